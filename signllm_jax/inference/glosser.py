"""Glossing texts with trained models, compiled and batched."""

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
from signllm_jax.inference import beam_search, minimum_risk, sampling
from signllm_jax.models.text_to_gloss import TextToGloss
from signllm_jax.parallel import sharding


class SearchLimits(NamedTuple):
  """Static arguments of the compiled search."""

  width: int  # K hypotheses
  alpha: float  # length penalty
  tokens: int  # </s> included
  samples: int = 0  # of each text, for minimum Bayes risk


class Weights(NamedTuple):
  """A model of several that write together."""

  graphdef: nnx.GraphDef
  params: nnx.State


def _step(
  models: Sequence[TextToGloss],
  source: jax.Array,
  allowed: jax.Array,
  limits: SearchLimits,
) -> tuple[beam_search.Step, tuple]:
  """The step of a search with K rows a text, and its empty caches.

  Probabilities are the mean over the models.
  """
  rows = len(source) * limits.width
  memories = [
    jax.tree.map(
      lambda x: jnp.repeat(x, limits.width, 0), model.project_memory(source)
    )
    for model in models
  ]

  def step(tokens, at, caches):
    listed, kept = [], []
    for model, cache, memory in zip(models, caches, memories, strict=True):
      logits, cache = model.decoder.step(tokens, at, cache, memory)
      # A text is never answered with silence.
      ended = (at == 0) & (jnp.arange(logits.shape[-1]) == vocabulary.EOS)
      logits = jnp.where(allowed & ~ended, logits, beam_search.IMPOSSIBLE)
      listed.append(jax.nn.log_softmax(logits))
      kept.append(cache)
    mean = jax.nn.logsumexp(jnp.stack(listed), 0) - np.log(len(listed))
    return mean, tuple(kept)

  caches = tuple(
    model.decoder.empty_cache(rows, limits.tokens) for model in models
  )
  return step, caches


@functools.partial(jax.jit, static_argnames=("graphdefs", "limits"))
def write(
  graphdefs: tuple[nnx.GraphDef, ...],
  params: tuple[nnx.State, ...],
  source: jax.Array,
  allowed: jax.Array,
  limits: SearchLimits,
) -> beam_search.Hypotheses:
  """Glosses of a batch, by beam search.

  Args:
    graphdefs: of the models, one or more.
    params: their parameters.
    source: [B, S] ids.
    allowed: [V] bool, tokens that may be written.
    limits: of the search.
  """
  models = list(map(nnx.merge, graphdefs, params))
  step, caches = _step(models, source, allowed, limits)
  return beam_search.search(
    step,
    caches,
    rows=len(source),
    width=limits.width,
    limit=limits.tokens,
    alpha=limits.alpha,
  )


@functools.partial(jax.jit, static_argnames=("graphdefs", "limits"))
def draw(
  graphdefs: tuple[nnx.GraphDef, ...],
  params: tuple[nnx.State, ...],
  source: jax.Array,
  allowed: jax.Array,
  limits: SearchLimits,
) -> jax.Array:
  """Samples of a batch, [B, N, limit]; N is `limits.samples`.

  Arguments as of `write`. The samples of a text depend on its ids alone, so not
  on the other texts of its batch.
  """
  models = list(map(nnx.merge, graphdefs, params))
  step, caches = _step(models, source, allowed, limits)
  places = jnp.arange(source.shape[1], dtype=jnp.uint32) * jnp.uint32(
    0x9E3779B9
  )
  marks = jnp.sum(source.astype(jnp.uint32) * (places | 1), 1, dtype=jnp.uint32)
  keys = jax.vmap(jax.random.fold_in, (None, 0))(jax.random.key(0), marks)

  def group(number: jax.Array) -> jax.Array:
    """K samples of each text: as many rows as the beam has."""
    own = jax.vmap(
      lambda key: jax.random.split(
        jax.random.fold_in(key, number), limits.width
      )
    )(keys)
    drawn = sampling.sample(
      step, caches, keys=own.reshape(-1), limit=limits.tokens
    )
    return drawn.reshape(len(source), limits.width, -1)

  groups = -(-limits.samples // limits.width)
  drawn = jnp.concatenate(list(jax.lax.map(group, jnp.arange(groups))), 1)
  return drawn[:, : limits.samples]


class Glosser:
  """Writes the gloss of a text in one sign language.

  Only tokens of that language can be written, so languages never mix.
  """

  def __init__(
    self,
    weights: Sequence[Weights],
    info: corpus_info.CorpusInfo,
    code: str,
    settings: config.Experiment,
    mesh: Mesh,
  ):
    """Wraps models.

    Args:
      weights: of the models, one or more, with the same vocabularies; the mean
        of their probabilities decides.
      info: vocabularies they were trained with.
      code: of the sign language.
      settings: of the first one's run; beam, length limit and batch size.
      mesh: where to compute.
    """
    assert info.gloss_vocabulary is not None
    self.info, self.code = info, code
    self._known = info.gloss_vocabulary
    self._models = tuple(zip(*weights, strict=True))
    self._mesh = mesh
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
      max(int(info.longest_gloss * settings.evaluate.length_limit), 2),
      settings.gloss.samples,
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
    best = write(*self._models, source, self._allowed, self._limits)
    return jnp.where(best.tokens == vocabulary.EOS, vocabulary.PAD, best.tokens)

  def _batch(self, group: Sequence[np.ndarray]) -> list[str]:
    rows = sharding.batch_rows(self._mesh, len(group), self._rows)
    longest = round_up(max(map(len, group)), loader.SOURCE_MULTIPLE)
    filled = [*group, *[group[0]] * (rows - len(group))]
    batch = sharding.put_batch(
      {"source": vocabulary.pad(filled, longest)}, self._mesh
    )
    arguments = *self._models, batch["source"], self._allowed, self._limits
    best = sharding.to_host(write(*arguments))
    if not np.isfinite(best.score[: len(group)]).all():
      raise errors.NonFiniteError("glosses of a batch")
    lines = [self._known.decode(row) for row in best.tokens[: len(group)]]
    if not self._limits.samples:
      return lines
    drawn = sharding.to_host(draw(*arguments))
    found = np.concatenate([best.others, drawn], 1)[: len(group)]
    return list(map(self._least_risk, found))

  def _least_risk(self, found: np.ndarray) -> str:
    """Of ids [N, limit] the text of least risk."""
    ended = (found == vocabulary.EOS).any(1)  # not cut off by the beam
    candidates = list(map(self._known.decode, found[ended]))
    plain = list(map(gloss.strip_marks, candidates))
    return candidates[minimum_risk.choose(plain)]
