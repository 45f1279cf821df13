"""Texts of any length: their parts are signed, joined and finished.

Between two parts stand frames that no model made: a cubic from the last frame
of the one to the first of the next, with the velocities that both have there.
"""

import dataclasses
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import clips, skeleton
from signllm_jax.inference import postprocess
from signllm_jax.inference import producer as producer_lib

TRANSITION_SECONDS = 0.24  # between two parts


class Segment(NamedTuple):
  """A part of a text and its place in the clip; between segments are joints."""

  text: str
  start: float  # first frame
  end: float  # frame after the last


class SignedText(NamedTuple):
  """A signed text."""

  clip: clips.Clip
  finished: bool  # False where the limit of frames ended some part of it
  spans: tuple[producer_lib.Span, ...] | None  # of its tokens, if known
  segments: tuple[Segment, ...]  # one for a text that was signed in one go


def sign(
  producer: producer_lib.BatchProducer,
  texts: Sequence[Sequence[str]],
  options: postprocess.Options,
  on_frames: Callable[[int], object] = lambda frames: None,
) -> Iterator[SignedText]:
  """Signs texts, batches of parts at a time.

  Args:
    producer: what signs.
    texts: the parts of each text (`sentences.split`).
    options: how to finish the clips.
    on_frames: told after each batch how many frames it has.

  Yields:
    A passage a text, in order.

  Raises:
    NonFiniteError: the model gives NaN or infinity.
  """
  flat = [part for parts in texts for part in parts]

  def each() -> Iterator[producer_lib.ProducedSequence]:
    for batch in producer.batches(flat):
      on_frames(sum(len(one.clip) for one in batch))
      yield from batch

  signed = each()
  for parts in texts:
    yield join(list(itertools.islice(signed, len(parts))), options)


def join(
  parts: Sequence[producer_lib.ProducedSequence],
  options: postprocess.Options = postprocess.UNCHANGED,
) -> SignedText:
  """The parts of a text as one clip, in the options asked for.

  Args:
    parts: of one model, at least one.
    options: how to finish the clip.
  """
  made = [part.clip for part in parts]
  pieces, segments = [made[0]], [Segment(made[0].text, 0, len(made[0]))]
  for before, after in itertools.pairwise(made):
    joint = _transition(before, after)
    start = segments[-1].end + len(joint)
    segments.append(Segment(after.text, start, start + len(after)))
    pieces += [joint, after]
  clip = dataclasses.replace(
    made[0],
    frames=np.concatenate([piece.frames for piece in pieces]),
    valid=np.concatenate([piece.valid for piece in pieces]),
    name=" ".join(each.name for each in made),
    text=" ".join(each.text for each in made),
    gloss=" ".join(each.gloss for each in made if each.gloss),
  )
  done = postprocess.apply(clip, options)
  # Speed moves frame t to t * share: the first stays, and so does the last.
  share = (len(done) - 1) / max(len(clip) - 1, 1)

  def placed(frame: float) -> float:
    return round(min(frame * share, len(done)), 3)

  spans: list[producer_lib.Span] | None = []
  for part, segment in zip(parts, segments, strict=True):
    if spans is not None and part.spans is not None:
      spans += [
        span._replace(
          start=placed(segment.start + span.start),
          end=placed(segment.start + span.end),
        )
        for span in part.spans
      ]
    else:
      spans = None
  return SignedText(
    done,
    all(part.finished for part in parts),
    None if spans is None else tuple(spans),
    tuple(
      segment._replace(start=placed(segment.start), end=placed(segment.end))
      for segment in segments
    ),
  )


class IncrementalJoin:
  """The parts of a text while they are signed, joined as far as they go.

  What it gives is bit for bit the clip of `join` in the plain options.
  """

  def __init__(self, parts: int, seen: np.ndarray, fps: float):
    """Begins with nothing.

    Args:
      parts: of the text.
      seen: [J] bool, the joints that the model signs with.
      fps: of the frames.
    """
    self._seen, self._fps = seen, fps
    self._made = [np.zeros((0, skeleton.J, 3), np.float32)] * parts
    self._ended = [False] * parts
    self._at = 0  # the part that the next frame belongs to
    self._given = 0  # frames of it

  def add(self, part: int, frames: np.ndarray, ended: bool) -> np.ndarray:
    """Takes the next frames of a part.

    Args:
      part: which; parts may grow side by side.
      frames: [n, J, 3].
      ended: these are its last.

    Returns:
      [m, J, 3] the frames of the whole that are known now and were not before.
    """
    self._made[part] = np.concatenate([self._made[part], frames])
    self._ended[part] |= ended
    known = []
    while True:
      now = self._made[self._at]
      known.append(now[self._given :])
      self._given = len(now)
      following = self._at + 1
      if not self._ended[self._at] or following == len(self._made):
        break
      after = self._made[following]
      # A joint looks at two frames of what it leads to.
      if len(after) < 2 and not self._ended[following]:
        break
      known.append(_transition(self._clip(now), self._clip(after)).frames)
      self._at, self._given = following, 0
    return np.concatenate(known)

  def _clip(self, frames: np.ndarray) -> clips.Clip:
    valid = np.broadcast_to(self._seen, frames.shape[:2])
    return clips.Clip(frames, valid, self._fps)


def _transition(before: clips.Clip, after: clips.Clip) -> clips.Clip:
  """The frames between two clips: a cubic Hermite curve a joint."""
  count = max(round(TRANSITION_SECONDS * before.fps), 1)
  first, last = before.frames[-1], after.frames[0]
  leaving = first - before.frames[-2] if len(before) > 1 else 0 * first
  arriving = after.frames[1] - last if len(after) > 1 else 0 * last
  steps = count + 1  # from the last frame to the first
  u = (np.arange(1, steps) / steps)[:, None, None]
  frames = (
    (2 * u**3 - 3 * u**2 + 1) * first
    + (3 * u**2 - 2 * u**3) * last
    + steps * (u**3 - 2 * u**2 + u) * leaving
    + steps * (u**3 - u**2) * arriving
  )
  ends = (before.valid[-2:].all(0), after.valid[:2].all(0))
  valid = np.broadcast_to(ends[0] & ends[1], frames.shape[:2]).copy()
  frames[~valid] = 0
  return clips.Clip(frames.astype(np.float32), valid, before.fps)
