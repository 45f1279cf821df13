"""Glossing texts with a trained model, compiled and batched."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from signllm_jax import config
from signllm_jax.core import errors, gloss, vocabulary
from signllm_jax.data import corpus_info, loader
from signllm_jax.data.batch_plan import round_up
from signllm_jax.inference import beam_search
from signllm_jax.models.text_to_gloss import TextToGloss
from signllm_jax.parallel import sharding


class SearchLimits(NamedTuple):
  """Static arguments of the compiled search."""

  width: int  # K hypotheses
  alpha: float  # length penalty
  tokens: int  # </s> included


@functools.partial(jax.jit, static_argnames=("graphdef", "limits"))
def write(
  graphdef: nnx.GraphDef,
  params: nnx.State,
  source: jax.Array,
  allowed: jax.Array,
  limits: SearchLimits,
) -> beam_search.Hypotheses:
  """Glosses of a batch, by beam search.

  Args:
    graphdef: of the model.
    params: its parameters.
    source: [B, S] ids.
    allowed: [V] bool, tokens that may be written.
    limits: of the search.
  """
  model: TextToGloss = nnx.merge(graphdef, params)
  once = model.project_memory(source)
  memory = jax.tree.map(lambda x: jnp.repeat(x, limits.width, 0), once)

  def step(tokens, at, cache):
    logits, cache = model.decoder.step(tokens, at, cache, memory)
    # A text is never answered with silence.
    ended = (at == 0) & (jnp.arange(logits.shape[-1]) == vocabulary.EOS)
    logits = jnp.where(allowed & ~ended, logits, beam_search.IMPOSSIBLE)
    return jax.nn.log_softmax(logits), cache

  rows = len(source)
  return beam_search.search(
    step,
    model.decoder.empty_cache(rows * limits.width, limits.tokens),
    rows=rows,
    width=limits.width,
    limit=limits.tokens,
    alpha=limits.alpha,
  )


class Glosser:
  """Writes the gloss of a text in one sign language.

  Only tokens of that language can be written, so languages never mix.
  """

  def __init__(
    self,
    graphdef: nnx.GraphDef,
    params: nnx.State,
    info: corpus_info.CorpusInfo,
    code: str,
    settings: config.Experiment,
    mesh: Mesh,
  ):
    """Wraps a model.

    Args:
      graphdef: of the model.
      params: its parameters.
      info: vocabularies it was trained with.
      code: of the sign language.
      settings: of its run; beam, length limit and batch size.
      mesh: where to compute.
    """
    assert info.gloss_vocabulary is not None
    self.info, self.code = info, code
    self._known = info.gloss_vocabulary
    self._model, self._mesh = (graphdef, params), mesh
    self._rows = settings.evaluate.batch_size
    own = [
      i == vocabulary.EOS
      or (i >= len(vocabulary.SPECIALS) and gloss.parse_token(token)[0] == code)
      for i, token in enumerate(self._known.entries)
    ]
    self._allowed = np.array(own)
    self._limits = SearchLimits(
      settings.gloss.beam,
      settings.gloss.length_penalty,
      int(info.longest_gloss * settings.evaluate.length_limit),
    )

  def write(
    self,
    texts: Sequence[str],
    should_stop: Callable[[], bool] = lambda: False,
  ) -> list[str] | None:
    """The gloss of each text, as marked tokens; None if stopped.

    Args:
      texts: in the spoken language, without a language's mark.
      should_stop: asked between batches.

    Raises:
      NonFiniteError: the model gives NaN or infinity.
    """
    encoded = [
      self.info.vocabulary.encode(gloss.prepend_language(line, self.code))
      for line in texts
    ]
    glosses = [""] * len(texts)
    for group in loader.group_by_length(list(map(len, encoded)), self._rows):
      if should_stop():
        return None
      lines = self._batch([encoded[i] for i in group])
      for i, line in zip(group, lines, strict=True):
        glosses[i] = line
    return glosses

  def search(self, source: jax.Array) -> jax.Array:
    """The glosses of ids [B, S]: ids [B, G], </s> left out, PAD at the end.

    Of `gloss.prepend_language`, as `write` takes texts; to be compiled by who
    calls it.
    """
    best = write(*self._model, source, self._allowed, self._limits)
    return jnp.where(best.tokens == vocabulary.EOS, vocabulary.PAD, best.tokens)

  def _batch(self, group: Sequence[np.ndarray]) -> list[str]:
    rows = sharding.batch_rows(self._mesh, len(group), self._rows)
    longest = round_up(max(map(len, group)), loader.SOURCE_MULTIPLE)
    filled = [*group, *[group[0]] * (rows - len(group))]
    batch = sharding.put_batch(
      {"source": vocabulary.pad(filled, longest)}, self._mesh
    )
    best = sharding.to_host(
      write(*self._model, batch["source"], self._allowed, self._limits)
    )
    if not np.isfinite(best.score[: len(group)]).all():
      raise errors.NonFiniteError("glosses of a batch")
    return [self._known.decode(row) for row in best.tokens[: len(group)]]
