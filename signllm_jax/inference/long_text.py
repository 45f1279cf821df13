"""Signs texts of any length: parts are signed, joined and postprocessed.

Between two parts stand frames that no model made: a pause, in which the last
frame of one stays, and a cubic to the first frame of the next with the
velocities that both have there.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.inference import flow_sampling, postprocess, sequences
from signllm_jax.inference import producer as producer_lib
from signllm_jax.inference import transition as transition_lib


class Segment(NamedTuple):
  """A part of a text and its place in the clip; transitions lie between."""

  text: str
  start: float  # first frame
  end: float  # frame after the last


class SignedText(NamedTuple):
  """A text and its produced clip."""

  clip: clips.Clip
  finished: bool  # False where the frame limit ended any of its parts
  spans: tuple[sequences.Span, ...] | None  # of its tokens, if known
  segments: tuple[Segment, ...]  # one for a text that was signed in one go


class SeededProducer(NamedTuple):
  """Signs texts with one seed: a `sequences.BatchProducer`."""

  producer: producer_lib.Producer
  seed: int

  def batches(
    self, texts: Sequence[str]
  ) -> Iterator[list[sequences.ProducedSequence]]:
    """As `producer.Producer.batches`, with the seed."""
    return self.producer.batches(texts, seed=self.seed)


class TextChunk(NamedTuple):
  """The next frames of one of several texts that are signed together."""

  index: int  # of the text
  clip: clips.Clip  # the frames alone; there may be none
  parts: list[sequences.ProducedSequence] | None  # all, once they have ended


def sign(
  producer: sequences.BatchProducer,
  texts: Sequence[Sequence[str]],
  options: postprocess.Options,
  on_frames: Callable[[int], object] = lambda frames: None,
  pauses: Sequence[Sequence[float]] | None = None,
) -> Iterator[SignedText]:
  """Signs texts, batches of parts at a time.

  Args:
    producer: signs the parts. A generative decoder draws for each part by its
      number in this call, so no clip depends on the batch it was signed in.
    texts: the parts of each text (`sentences.split`).
    options: of the postprocessing.
    on_frames: called after each batch with its number of frames.
    pauses: of each text, as of `join`; None: none.

  Yields:
    The signed texts, in order.

  Raises:
    NonFiniteError: the model gives NaN or infinity.
  """
  flat = [part for parts in texts for part in parts]

  def sign_parts() -> Iterator[sequences.ProducedSequence]:
    for batch in producer.batches(flat):
      on_frames(sum(len(sequence.clip) for sequence in batch))
      yield from batch

  signed = sign_parts()
  for number, parts in enumerate(texts):
    own = pauses[number] if pauses else ()
    yield join(list(itertools.islice(signed, len(parts))), options, own)


def stream(
  producer: producer_lib.Producer,
  texts: Sequence[Sequence[str]],
  batch_size: int,
  seeds: Sequence[int],
  *,
  full_batches: bool = False,
  pauses: Sequence[Sequence[float]] | None = None,
) -> Iterator[TextChunk]:
  """Signs texts as `sign` does, yielding joined frames as they come.

  Without postprocessing, which needs the whole clip.

  Args:
    producer: signs the parts.
    texts: the parts of each text.
    batch_size: parts that are signed together.
    seeds: of each text, for a generative decoder. Its draw for a part depends
      on the seed and on the number of the part in its text, not on the other
      texts.
    full_batches: pad a batch of several parts to `batch_size`, so that only
      two batch sizes are compiled.
    pauses: of each text, as of `join`; None: none.

  Yields:
    The frames of each text in order, those of several texts interleaved; when
    a text has ended, its parts for `join`.

  Raises:
    NonFiniteError: the model gives NaN or infinity.
  """
  fps, skeleton = producer.info.fps, producer.skeleton
  joins = [
    IncrementalJoin(len(parts), fps, skeleton, pauses[i] if pauses else ())
    for i, parts in enumerate(texts)
  ]
  done: list[list[sequences.ProducedSequence]] = [[] for _ in texts]
  queue = [(i, n) for i, parts in enumerate(texts) for n in range(len(parts))]
  for start in range(0, len(queue), batch_size):
    group = queue[start : start + batch_size]
    lines = [texts[i][n] for i, n in group]
    draws = [flow_sampling.Draw(seeds[i], n) for i, n in group]
    if full_batches and len(lines) > 1:
      missing = batch_size - len(lines)
      lines, draws = lines + lines[:1] * missing, draws + draws[:1] * missing
    ended: list[sequences.ProducedSequence | None] = [None] * len(group)
    for chunks in producer.stream(lines, draws):
      for row, ((i, n), chunk) in enumerate(zip(group, chunks, strict=False)):
        ended[row] = chunk.sequence or ended[row]
        part = clips.Clip(chunk.frames, chunk.valid, fps, skeleton=skeleton)
        joined = joins[i].add(n, part, chunk.sequence is not None)
        yield TextChunk(i, joined, None)
    for (i, _), sequence in zip(group, ended, strict=True):
      assert sequence is not None  # the stream ends with its last sequence
      done[i].append(sequence)
      if len(done[i]) == len(texts[i]):
        yield TextChunk(i, _no_frames(fps, skeleton), done[i])


def join(
  parts: Sequence[sequences.ProducedSequence],
  options: postprocess.Options = postprocess.UNCHANGED,
  pauses: Sequence[float] = (),
) -> SignedText:
  """Joins the parts of a text to one clip and postprocesses it.

  Args:
    parts: of one model, at least one.
    options: of the postprocessing.
    pauses: seconds after each part but the last, before the speed is changed;
      0 where there are none.
  """
  produced = [part.clip for part in parts]
  pieces = [produced[0]]
  segments = [Segment(produced[0].text, 0, len(produced[0]))]
  for number, (before, after) in enumerate(itertools.pairwise(produced)):
    transition = transition_lib.between(before, after, _at(pauses, number))
    start = segments[-1].end + len(transition)
    segments.append(Segment(after.text, start, start + len(after)))
    pieces += [transition, after]
  clip = dataclasses.replace(
    _concatenated(pieces),
    name=" ".join(clip.name for clip in produced),
    text=" ".join(clip.text for clip in produced),
    gloss=" ".join(clip.gloss for clip in produced if clip.gloss),
  )
  finished = postprocess.apply(clip, options)
  # Speed moves frame t to t * scale: the first stays, and so does the last.
  scale = (len(finished) - 1) / max(len(clip) - 1, 1)

  def rescaled(frame: float) -> float:
    return round(min(frame * scale, len(finished)), 3)

  return SignedText(
    finished,
    all(part.finished for part in parts),
    _joined_spans(parts, segments, rescaled),
    tuple(
      segment._replace(start=rescaled(segment.start), end=rescaled(segment.end))
      for segment in segments
    ),
  )


def _joined_spans(
  parts: Sequence[sequences.ProducedSequence],
  segments: Sequence[Segment],
  rescaled: Callable[[float], float],
) -> tuple[sequences.Span, ...] | None:
  """The spans of all parts in the joined clip; None if any are unknown."""
  spans: list[sequences.Span] = []
  for part, segment in zip(parts, segments, strict=True):
    if part.spans is None:
      return None
    spans += [
      span._replace(
        start=rescaled(segment.start + span.start),
        end=rescaled(segment.start + span.end),
      )
      for span in part.spans
    ]
  return tuple(spans)


class IncrementalJoin:
  """Joins the parts of a text while they are signed.

  The frames are bit for bit those of `join` without postprocessing.
  """

  def __init__(
    self,
    parts: int,
    fps: float,
    skeleton: Skeleton,
    pauses: Sequence[float] = (),
  ):
    """Starts without frames.

    Args:
      parts: of the text.
      fps: of the frames.
      skeleton: of the frames.
      pauses: as of `join`.
    """
    self._pauses = pauses
    self._parts = [_no_frames(fps, skeleton)] * parts
    self._ended = [False] * parts
    self._current = 0  # the part that the next frame belongs to
    self._emitted = 0  # frames of that part

  def add(self, part: int, clip: clips.Clip, ended: bool) -> clips.Clip:
    """Adds the next frames of a part.

    Args:
      part: which; parts may grow side by side.
      clip: the frames.
      ended: these are its last.

    Returns:
      The frames of the joined clip that have become known.
    """
    self._parts[part] = _concatenated([self._parts[part], clip])
    self._ended[part] |= ended
    known = []
    while True:
      now = self._parts[self._current]
      known.append(
        dataclasses.replace(
          now,
          frames=now.frames[self._emitted :],
          valid=now.valid[self._emitted :],
        )
      )
      self._emitted = len(now)
      following = self._current + 1
      if not self._ended[self._current] or following == len(self._parts):
        break
      after = self._parts[following]
      # A transition depends on the first two frames after it.
      if len(after) < 2 and not self._ended[following]:
        break
      pause = _at(self._pauses, self._current)
      known.append(transition_lib.between(now, after, pause))
      self._current, self._emitted = following, 0
    return _concatenated(known)


def _no_frames(fps: float, skeleton: Skeleton) -> clips.Clip:
  frames = np.zeros((0, *skeleton.shape), np.float32)
  valid = np.zeros((0, skeleton.num_joints), bool)
  return clips.Clip(frames, valid, fps, skeleton=skeleton)


def _concatenated(pieces: Sequence[clips.Clip]) -> clips.Clip:
  """The frames of all pieces, with the labels of the first."""
  return dataclasses.replace(
    pieces[0],
    frames=np.concatenate([piece.frames for piece in pieces]),
    valid=np.concatenate([piece.valid for piece in pieces]),
  )


def _at(pauses: Sequence[float], number: int) -> float:
  return pauses[number] if number < len(pauses) else 0.0
