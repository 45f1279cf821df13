"""Signing texts with a trained model: the one door to generation.

Nothing of the truth is used: the model starts from its own frame, the counter
is its own, and a sequence ends where that counter says it does (section 7).
`Producer.produce_pt_protocol` is the exception, for comparisons alone: PT's
published inference.
"""

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, Protocol

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from signllm_jax.core import clips, errors
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import batch_plan, corpus_info, loader
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.inference import decoding
from signllm_jax.parallel import sharding

_LEAKY_MULTIPLE = 32  # frames; the limit of leaky batches is one of few


class Span(NamedTuple):
  """A token and its place in the produced clip."""

  token: str  # of the gloss, where the model writes one; "" for the end
  start: float  # first frame
  end: float  # frame after the last


class ProducedSequence(NamedTuple):
  """One generated sequence."""

  clip: clips.Clip
  finished: bool  # False where the limit ended it
  spans: tuple[Span, ...] | None  # None: the model has learnt no durations


class StreamChunk(NamedTuple):
  """Some frames of a sequence, as they come."""

  frames: np.ndarray  # [n, J, 3], in canonical units; n is 0 after the end
  signed: ProducedSequence | None  # all of it, with the last of its frames


class ModelInputs(NamedTuple):
  """A batch of texts as a model takes it."""

  inputs: dict[str, np.ndarray]  # of the model's `encode`, in order
  tokens: list[list[str]]  # of each text, what `Span` tells the times of; ""
  # for </s>
  glosses: list[str]  # of each text; "" where the model writes none


class BatchProducer(Protocol):
  """What signs texts: a `Producer`, or the best of several of its samples."""

  def batches(self, texts: Sequence[str]) -> Iterator[list[ProducedSequence]]:
    """Signs texts, yielding each batch when it is done."""
    ...


class Producer:
  """Signs texts with a trained model.

  Batches are padded to one of few shapes, each compiled once.
  """

  def __init__(
    self,
    graphdef: nnx.GraphDef,
    params: nnx.State,
    statistics: PoseStatistics,
    info: corpus_info.CorpusInfo,
    *,
    limit: int,
    batch_size: int,
    mesh: Mesh,
  ):
    """Wraps a model.

    Args:
      graphdef: of the model.
      params: its parameters.
      statistics: of the training poses.
      info: vocabulary and frame rate it was trained with.
      limit: frames after which any sequence ends.
      batch_size: texts a compiled call.
      mesh: where to compute.
    """
    self.info = info
    self.batch_size = batch_size
    self.model = decoding.Model(graphdef, params, statistics)
    self.limit, self._mesh = limit, mesh

  def produce(
    self,
    texts: Sequence[str],
    should_stop: Callable[[], bool] = lambda: False,
  ) -> list[clips.Clip] | None:
    """Signs texts.

    Args:
      texts: what to sign (or glosses, for a model of glosses).
      should_stop: asked between batches.

    Returns:
      A clip a text, in order; None if stopped.

    Raises:
      UsageError: an empty text.
      NonFiniteError: the model gives NaN or infinity.
    """
    produced = []
    batches = self.batches(texts)
    while not should_stop():
      batch = next(batches, None)
      if batch is None:
        return produced
      produced += [signed.clip for signed in batch]
    return None

  def batches(self, texts: Sequence[str]) -> Iterator[list[ProducedSequence]]:
    """Signs texts as `produce` does, yielding each batch when it is done."""
    for start in range(0, len(texts), self.batch_size):
      group = texts[start : start + self.batch_size]
      yield _whole(self.stream(group), len(group))

  def stream(self, texts: Sequence[str]) -> Iterator[list[StreamChunk]]:
    """Signs texts as `produce` does, yielding frames as they come.

    The frames of a text are those of `produce`, bit for bit, if the batch is
    the same; another number of texts may change their last digits.

    Args:
      texts: at most `batch_size`.

    Yields:
      A part a text, in order, until all have ended.
    """
    yield from self._decode(texts, *self._prepare(texts), self.limit)

  def samples(
    self, texts: Sequence[str], std: float, keys: Sequence[jax.Array]
  ) -> Iterator[list[tuple[ProducedSequence, ...]]]:
    """Signs texts as `batches` does, and again with poses drawn around those.

    Args:
      texts: what to sign; one that is named twice is drawn twice.
      std: of the Gaussian policy, in normalised units (`config.rl.std`).
      keys: of the noise, one a sample; equal keys and batches give equal
        samples.

    Yields:
      Of each batch, for every text what the model itself signs and then the
      samples.
    """
    for at, start in enumerate(range(0, len(texts), self.batch_size)):
      group = texts[start : start + self.batch_size]
      prepared = self._prepare(group)
      modes = [
        decoding.Noise(np.array(std, np.float32), jax.random.fold_in(key, at))
        for key in keys
      ]
      signed = [
        _whole(self._decode(group, *prepared, self.limit, mode), len(group))
        for mode in (None, *modes)
      ]
      yield list(zip(*signed, strict=True))

  def warm_up(self, texts: Sequence[str]) -> None:
    """Compiles all that `stream` needs for so many texts of such lengths."""
    decoding.warm_up(self.model, self._prepare(texts)[1], self.limit)

  def produce_pt_protocol(
    self, texts: Sequence[str], true: Sequence[clips.Clip]
  ) -> list[clips.Clip]:
    """PT's published inference (section 7), which sees the truth: `PTProtocol`.

    Every number made of these clips must carry the word "leaky".

    Args:
      texts: what to sign.
      true: the true clip of each.
    """
    made = []
    for start in range(0, len(texts), self.batch_size):
      group = slice(start, start + self.batch_size)
      read, placed = self._prepare(texts[group])
      leaked = _pt_protocol(true[group], len(placed[0]))
      limit = batch_plan.round_up(int(leaked["length"].max()), _LEAKY_MULTIPLE)
      leak = decoding.PTProtocol(**sharding.put_batch(leaked, self._mesh))
      parts = self._decode(texts[group], read, placed, limit, leak)
      made += [one.clip for one in _whole(parts, len(texts[group]))]
    return made

  def _decode(
    self,
    texts: Sequence[str],
    read: ModelInputs,
    placed: tuple[jax.Array, ...],
    limit: int,
    mode: decoding.PTProtocol | decoding.Noise | None = None,
  ) -> Iterator[list[StreamChunk]]:
    """Parts of texts that were prepared."""
    made = [_SequenceBuffer() for _ in texts]
    for part in decoding.decode(self.model, placed, limit, mode):
      yield [
        self._take(one, row, part, limit, texts[row], read)
        for row, one in enumerate(made)
      ]

  def _prepare(
    self, texts: Sequence[str]
  ) -> tuple[ModelInputs, tuple[jax.Array, ...]]:
    """Texts, and what the model takes of them on its devices."""
    if not all(line.strip() for line in texts):
      raise errors.UsageError("an empty text", expected="words to sign")
    rows = sharding.batch_rows(self._mesh, len(texts), self.batch_size)
    read = self._encode_texts(texts, rows)
    # In this order: `put_batch` keeps it.
    return read, tuple(sharding.put_batch(read.inputs, self._mesh).values())

  def _take(
    self,
    one: "_SequenceBuffer",
    row: int,
    part: decoding.Chunk,
    limit: int,
    line: str,
    read: ModelInputs,
  ) -> StreamChunk:
    """The row of a part, and the whole sequence with its last frames."""
    if one.ended:
      return StreamChunk(part.frames[row, :0], None)
    length = int(part.length[row])
    one.ended = length > 0 or one.count + part.frames.shape[1] >= limit
    stop = length - one.count if length else None
    frames = part.frames[row, :stop]
    if not np.isfinite(frames).all():
      raise errors.NonFiniteError(f"produced frames of {line!r}")
    one.add(frames)
    if not one.ended:
      return StreamChunk(frames, None)
    spans = None
    if part.ends is not None:
      spans = _spans(read.tokens[row], part.ends[row], one.count)
    whole = np.concatenate(one.parts)
    seen = np.asarray(self.model.statistics.seen)
    valid = np.broadcast_to(seen, whole.shape[:2]).copy()
    clip = clips.Clip(
      whole, valid, self.info.fps, line, line, read.glosses[row]
    )
    return StreamChunk(frames, ProducedSequence(clip, length > 0, spans))

  def _encode_texts(self, texts: Sequence[str], rows: int) -> ModelInputs:
    """What the model takes of texts.

    Empty rows repeat the first text: they end when it does.
    """
    vocabulary = self.info.vocabulary
    sources = [vocabulary.encode(line) for line in texts]
    longest = max(self.info.longest_source, *map(len, sources))
    sources += sources[:1] * (rows - len(sources))
    ids = vocabulary_lib.pad(
      sources, batch_plan.round_up(longest, loader.SOURCE_MULTIPLE)
    )
    tokens = [[*vocabulary.tokenize(line), ""] for line in texts]
    return ModelInputs({"source": ids}, tokens, [""] * len(texts))


class _SequenceBuffer:
  """What is there of a sequence while it is signed."""

  def __init__(self):
    self.parts: list[np.ndarray] = []
    self.count = 0  # frames
    self.ended = False

  def add(self, frames: np.ndarray) -> None:
    self.parts.append(frames)
    self.count += len(frames)


def _whole(
  parts: Iterator[list[StreamChunk]], count: int
) -> list[ProducedSequence]:
  """The sequences of `count` streams, each when it has ended."""
  found: list[ProducedSequence | None] = [None] * count
  for row in parts:
    for i, part in enumerate(row):
      found[i] = part.signed or found[i]
  return [one for one in found if one is not None]


def _spans(
  tokens: Sequence[str], ends: np.ndarray, frames: int
) -> tuple[Span, ...]:
  """Tokens in time; those after the last frame are left out."""
  borders = np.concatenate([[0], ends[: len(tokens)]])
  borders = np.minimum(borders, frames).round(3).tolist()
  return tuple(
    Span(" " if token == vocabulary_lib.SPACE else token, start, end)
    for token, (start, end) in zip(
      tokens, itertools.pairwise(borders), strict=True
    )
    if start < frames
  )


def _pt_protocol(
  true: Sequence[clips.Clip], rows: int
) -> dict[str, np.ndarray]:
  """`PTProtocol` of a batch; empty rows repeat the first, as its texts do."""
  listed = [*true, *[true[0]] * (rows - len(true))]
  return {
    "first": np.stack([clip.frames[0].reshape(-1) for clip in listed]),
    "valid": np.stack([clip.valid[0].repeat(3) for clip in listed]),
    "length": np.array([len(clip) for clip in listed], np.int32),
  }
