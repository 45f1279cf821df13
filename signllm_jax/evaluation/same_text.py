"""Rows of other recordings of the same text, where a corpus repeats texts.

Another real recording shows what a perfect model would score: it says the text
and differs from the true clip as people do. The mean of the recordings is what
a regression tends to.
"""

import collections
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.data import datasets


def rows(
  true: Sequence[clips.Clip],
  train: datasets.Clips,
  texts: Sequence[str],
  seed: int = 0,
) -> tuple[dict[str, list[clips.Clip]], list[str]]:
  """Another recording and the mean recording of each true clip's text.

  Recordings come from the training split or, for a text that it lacks, from
  the true clips. There are no such rows unless every true clip has another
  recording, so that all rows of a report are over the same sequences.

  Args:
    true: the true clips.
    train: the training split, of the same language.
    texts: of the training clips, in order.
    seed: of the draw.

  Returns:
    Row name -> a clip for each true one: "same_text" and "text_mean", or none;
    and notes for the user.
  """
  of_split, of_train = _group([clip.text for clip in true]), _group(texts)
  random = np.random.default_rng(seed)
  drawn: list[clips.Clip | None] = [None] * len(true)
  mean: list[clips.Clip] = list(true)
  for text, places in of_split.items():
    pool = [train[i] for i in of_train.get(text, ())]
    pool = pool or [true[i] for i in places]
    order = collections.deque(pool[i] for i in random.permutation(len(pool)))
    average = mean_clip(pool)
    for place in places:
      drawn[place], mean[place] = _next_other(order, true[place]), average
  found = [clip for clip in drawn if clip is not None]
  if len(found) == len(true):
    return {"same_text": found, "text_mean": mean}, []
  if not found:
    return {}, []
  return {}, [
    f"{len(true) - len(found)} of {len(true)} clips have no other recording of "
    "their text, so there is no row of them"
  ]


def mean_clip(recordings: Sequence[clips.Clip]) -> clips.Clip:
  """The mean of recordings, each interpolated to their mean length.

  A joint is valid where at least half of the recordings show it; its position
  is the mean of those.
  """
  count = round(float(np.mean([len(clip) for clip in recordings])))
  normalised = [clips.with_frames(clip, count) for clip in recordings]
  seen = np.stack([clip.valid for clip in normalised])
  total = sum(clip.frames.astype(np.float64) for clip in normalised)
  frames = total / np.maximum(seen.sum(0), 1)[..., None]
  valid = seen.mean(0) >= 0.5
  frames = np.where(valid[..., None], frames, 0).astype(np.float32)
  first = recordings[0]
  return clips.Clip(frames, valid, first.fps, "mean", first.text, first.gloss)


def _group(texts: Sequence[str]) -> dict[str, list[int]]:
  """Text -> its places, in order."""
  groups: dict[str, list[int]] = {}
  for i, text in enumerate(texts):
    groups.setdefault(text, []).append(i)
  return groups


def _next_other(
  order: collections.deque[clips.Clip], clip: clips.Clip
) -> clips.Clip | None:
  """The next recording of a cycle that is not this clip; None without one."""
  for _ in range(len(order)):
    candidate = order[0]
    order.rotate(-1)
    if not np.array_equal(candidate.frames, clip.frames):
      return candidate
  return None
