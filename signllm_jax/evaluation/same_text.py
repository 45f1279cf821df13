"""Rows of other recordings of the same text, where a corpus repeats texts.

Another real recording shows what a perfect model would score: it says the text
and differs from the true clip as people do. The mean of the recordings is what
a regression tends to.
"""

import collections
import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import clips
from signllm_jax.data import datasets

DRAWS = 5  # of another recording for every clip; scores are means over them


class Recordings(NamedTuple):
  """Recordings of the texts of true clips; empty lists where there are none."""

  drawn: list[list[clips.Clip]]  # of each draw, a clip for each true one
  mean: list[clips.Clip]  # for each true one
  notes: list[str]

  @property
  def rows(self) -> dict[str, list[clips.Clip]]:
    """The rows of a report; none where there are no recordings."""
    if not self.drawn:
      return {}
    return {"same_text": self.drawn[0], "text_mean": self.mean}

  @property
  def draws(self) -> dict[str, list[list[clips.Clip]]]:
    """Further draws of a row; none where there are no recordings."""
    return {"same_text": self.drawn[1:]} if self.drawn else {}


def find(
  true: Sequence[clips.Clip],
  train: datasets.Clips,
  texts: Sequence[str],
  seed: int = 0,
) -> Recordings:
  """Other recordings and the mean recording of each true clip's text.

  Recordings come from the training split or, for a text that it lacks, from
  the true clips. There are none unless every true clip has another recording,
  so that all rows of a report are over the same sequences.

  Args:
    true: the true clips.
    train: the training split, of the same language.
    texts: of the training clips, in order.
    seed: of the draws.
  """
  of_split, of_train = _group([clip.text for clip in true]), _group(texts)
  random = np.random.default_rng(seed)
  drawn: list[list[clips.Clip]] = [list(true) for _ in range(DRAWS)]
  mean, alone = list(true), 0
  for text, places in of_split.items():
    pool = [train[i] for i in of_train.get(text, ())]
    pool = pool or [true[i] for i in places]
    average = mean_clip(pool)
    for place in places:
      mean[place] = average
      alone += not any(_differ(clip, true[place]) for clip in pool)
    for draw in drawn:
      order = [pool[i] for i in random.permutation(len(pool))]
      _deal(collections.deque(order), draw, places)
  if not alone:
    return Recordings(drawn, mean, [])
  note = (
    f"{alone} of {len(true)} clips have no other recording of their text, so "
    "there is no row of such recordings"
  )
  return Recordings([], [], [note] if alone < len(true) else [])


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
  return dataclasses.replace(
    first, frames=frames, valid=valid, name="mean", prompt=""
  )


def _group(texts: Sequence[str]) -> dict[str, list[int]]:
  """Text -> its places, in order."""
  groups: dict[str, list[int]] = {}
  for i, text in enumerate(texts):
    groups.setdefault(text, []).append(i)
  return groups


def _deal(
  order: collections.deque[clips.Clip],
  draw: list[clips.Clip],
  places: Sequence[int],
) -> None:
  """Replaces the clips of these places by the next other ones of a cycle."""
  for place in places:
    for _ in range(len(order)):
      candidate = order[0]
      order.rotate(-1)
      if _differ(candidate, draw[place]):
        draw[place] = candidate
        break


def _differ(a: clips.Clip, b: clips.Clip) -> bool:
  return not np.array_equal(a.frames, b.frames)
