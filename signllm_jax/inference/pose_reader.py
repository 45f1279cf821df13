"""Reading clips with a trained model of pose to text, compiled and batched."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from signllm_jax import config
from signllm_jax.core import clips, errors
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data import batch_plan, corpus_info, loader
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.inference import beam_search, ctc_decoding, pose_embedding
from signllm_jax.models.back_translation import PoseToText
from signllm_jax.parallel import sharding
from signllm_jax.rl import recognition


class Translation(NamedTuple):
  """The text and the gloss that were read from a clip."""

  text: str  # by the decoder
  gloss: str  # by the CTC head; empty where the model has none


class SearchLimits(NamedTuple):
  """Static arguments of the compiled searches."""

  width: int  # K of both searches
  alpha: float  # length penalty of the text
  text: int  # tokens, </s> included
  gloss: int  # tokens; 0 for a model without glosses


class SearchResult(NamedTuple):
  """A batch of readings."""

  text: beam_search.Hypotheses
  gloss: ctc_decoding.Labels | None


@functools.partial(jax.jit, static_argnames=("graphdef", "limits"))
def translate(
  graphdef: nnx.GraphDef,
  params: nnx.State,
  statistics: PoseStatistics,
  frames: jax.Array,
  valid: jax.Array,
  length: jax.Array,
  limits: SearchLimits,
) -> SearchResult:
  """Reads a batch of clips: beam search for text, prefix search for gloss.

  Args:
    graphdef: of the model.
    params: its parameters.
    statistics: of the training poses.
    frames: [B, T, C] in canonical units.
    valid: [B, T, J] bool.
    length: [B] frames; the rest is padding.
    limits: of both searches.
  """
  model: PoseToText = nnx.merge(graphdef, params)
  encoded = model.encode(statistics.normalise(frames), valid, length)
  once = model.project_memory(encoded)
  seen = jax.tree.map(lambda x: jnp.repeat(x, limits.width, 0), once)

  def step(last, at, cache):
    logits, cache = model.decoder.step(last, at, cache, seen)
    return jax.nn.log_softmax(logits), cache

  rows = len(frames)
  found = beam_search.search(
    step,
    model.decoder.empty_cache(rows * limits.width, limits.text),
    rows=rows,
    width=limits.width,
    limit=limits.text,
    alpha=limits.alpha,
  )
  if not limits.gloss:
    return SearchResult(found, None)
  log_p = jax.nn.log_softmax(model.gloss_logits(encoded))
  labels = ctc_decoding.prefix_search(
    log_p, encoded.length, width=limits.width, limit=limits.gloss
  )
  return SearchResult(found, labels)


@functools.partial(jax.jit, static_argnames="graphdef")
def log_likelihood(
  graphdef: nnx.GraphDef,
  params: nnx.State,
  statistics: PoseStatistics,
  frames: jax.Array,
  valid: jax.Array,
  length: jax.Array,
  source: jax.Array,
) -> jax.Array:
  """Log-likelihood of texts given clips, by the decoder.

  Args:
    graphdef: as of `translate`, and so are those up to `length`.
    params: as there.
    statistics: as there.
    frames: as there.
    valid: as there.
    length: as there.
    source: [B, S] ids of the texts.

  Returns:
    [B] mean log-probability of a token, </s> included.
  """
  model: PoseToText = nnx.merge(graphdef, params)
  return model.log_likelihood(
    statistics.normalise(frames), valid, length, source
  )


class Reader:
  """Reads clips with a trained model; the one door to reading.

  Batches are padded to one of few shapes, each compiled once.
  """

  def __init__(
    self,
    graphdef: nnx.GraphDef,
    params: nnx.State,
    statistics: PoseStatistics,
    info: corpus_info.CorpusInfo,
    settings: config.Experiment,
    mesh: Mesh,
  ):
    """Wraps a model.

    Args:
      graphdef: of the model.
      params: its parameters.
      statistics: of the training poses.
      info: vocabularies it was trained with.
      settings: of its run; beam, length limit, batch size and bucket count.
      mesh: where to compute.
    """
    self.info = info
    self.skeleton = skeleton_lib.get(settings.data.skeleton)
    self._model = (graphdef, params, statistics)
    self._rows, self._mesh = settings.evaluate.batch_size, mesh
    self._bucket, self._data = settings.data.bucket, settings.data
    longest = settings.evaluate.length_limit
    self._limits = SearchLimits(
      settings.read.beam,
      settings.read.length_penalty,
      max(int(info.longest_source * longest), 1),
      int(info.longest_gloss * longest),
    )

  def texts(self) -> loader.ReaderTexts:
    """How texts are given to the model, for batches of training."""
    return loader.ReaderTexts(
      self.info.vocabulary, self._data, self.info.longest_source
    )

  def as_reward(self) -> recognition.TextReader:
    """The model as arrays of the host, for the reward of a policy."""
    graphdef, params, statistics = self._model
    params, statistics = sharding.to_host((params, statistics))
    return recognition.TextReader(graphdef, params, statistics)

  def read(
    self,
    listed: Sequence[clips.Clip],
    should_stop: Callable[[], bool] = lambda: False,
  ) -> list[Translation] | None:
    """Reads clips.

    Args:
      listed: canonical clips at the frame rate of training.
      should_stop: asked between batches.

    Returns:
      A reading a clip, in order; None if stopped.

    Raises:
      UsageError: a clip without frames, or of another frame rate.
      DataError: a clip of another skeleton than the model's.
      NonFiniteError: a clip or the model gives NaN or infinity.
    """
    self._check(listed)
    found: list[Translation] = [Translation("", "")] * len(listed)
    for group in loader.group_by_length(list(map(len, listed)), self._rows):
      if should_stop():
        return None
      readings = self._batch([listed[i] for i in group])
      for i, reading in zip(group, readings, strict=True):
        found[i] = reading
    return found

  def likelihoods(
    self, listed: Sequence[clips.Clip], texts: Sequence[str]
  ) -> np.ndarray:
    """Log-likelihood of each text given its clip.

    Args:
      listed: as of `read`.
      texts: of each clip, what it is to say.

    Returns:
      [n] float32, mean log-probability of a token, </s> included.

    Raises:
      UsageError, DataError: as `read`.
      NonFiniteError: a clip or the model gives NaN or infinity.
    """
    self._check(listed)
    found = np.zeros(len(listed), np.float32)
    ids = [self.info.vocabulary.encode(line) for line in texts]
    longest = max(self.info.longest_source, *map(len, ids))
    s = batch_plan.round_up(longest, loader.SOURCE_MULTIPLE)
    for group in loader.group_by_length(list(map(len, listed)), self._rows):
      batch = self._place(
        [listed[i] for i in group], [ids[i] for i in group], s
      )
      scores = sharding.to_host(log_likelihood(*self._model, **batch))
      found[group] = scores[: len(group)]
    if not np.isfinite(found).all():
      clip = listed[int(np.argmin(np.isfinite(found)))]
      raise errors.NonFiniteError(f"likelihood of clip {clip.name!r}")
    return found

  def embed(self, listed: Sequence[clips.Clip]) -> np.ndarray:
    """Mean encoder state of each clip, [n, D] float32; errors as of `read`."""
    self._check(listed)
    found: list[np.ndarray] = [np.zeros(0, np.float32)] * len(listed)
    for group in loader.group_by_length(list(map(len, listed)), self._rows):
      batch = self._place([listed[i] for i in group], [], 1)
      del batch["source"]
      states = sharding.to_host(
        pose_embedding.mean_state(*self._model, **batch)
      )
      for row, i in enumerate(group):
        found[i] = states[row]
    return np.stack(found)

  def _check(self, listed: Sequence[clips.Clip]) -> None:
    for clip in listed:
      skeleton_lib.check_same(
        clip.skeleton, self.skeleton, f"clip {clip.name!r}, which is read,"
      )
      if not len(clip):
        raise errors.UsageError(f"clip {clip.name!r} has no frames")
      if abs(clip.fps - self.info.fps) > 1e-3:
        raise errors.UsageError(
          f"clip {clip.name!r} has {clip.fps:g} frames a second",
          expected=f"{self.info.fps:g}, as what the reader learnt from",
          hint="Resample it, or train the reader on such records",
        )

  def _place(
    self, group: Sequence[clips.Clip], ids: Sequence[np.ndarray], s: int
  ) -> dict[str, jax.Array]:
    """Clips, with ids [s] of their texts, on the devices."""
    rows = sharding.batch_rows(self._mesh, len(group), self._rows)
    longest = max(len(clip) for clip in group)
    t = self._bucket
    while t < longest:
      t *= 2
    # Empty rows repeat the first clip: they end when it does.
    filled = [*group, *[group[0]] * (rows - len(group))]
    batch = loader.pad_batch(filled, ids, rows, t, s, self.skeleton)
    return sharding.put_batch(batch, self._mesh)

  def _batch(self, group: Sequence[clips.Clip]) -> list[Translation]:
    batch = self._place(group, [], 1)
    del batch["source"]
    out = sharding.to_host(
      translate(*self._model, **batch, limits=self._limits)
    )
    readings = []
    for row, clip in enumerate(group):
      if not np.isfinite(out.text.score[row]):
        raise errors.NonFiniteError(f"reading of clip {clip.name!r}")
      text = self.info.vocabulary.decode(out.text.tokens[row])
      gloss = ""
      if out.gloss is not None and self.info.gloss_vocabulary is not None:
        gloss = self.info.gloss_vocabulary.decode(out.gloss.tokens[row])
      readings.append(Translation(text, gloss))
    return readings
