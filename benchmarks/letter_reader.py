"""Reads spelt words by the recordings of single letters, without any training.

A hidden Markov model: every letter is a short sequence of states whose hand
shapes and wrist speeds are those of its recording, and a state between letters
fits any frame alike. The best path is found by Viterbi's algorithm. The reader
has seen no word and no model. A letter is read twice only if a movement stands
between two holds, so it does not see letters that merge.
"""

import itertools
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from data_pipeline.fingerspelling import spell
from signllm_jax.core import clips, languages
from signllm_jax.core.skeleton import HAND_JOINTS, PROMPT2SIGN50

STATES = 3  # of a letter, one after the other; each lasts a frame or more
# Standard deviations: of joints in shoulder widths, and of the wrist's speed in
# shoulder widths a second, which grows with the speed of the recording.
SHAPE, SPEED, FASTER = 0.03, 0.2, 0.5
HELD = 0.4  # the wrist of a letter that is held is slower in most frames
BETWEEN = 4.0  # cost of a frame between letters
ENTER = 2.0  # cost of a letter
HIDDEN = 12.0  # cost of a frame of a letter that does not show the hand


class Features(NamedTuple):
  """What the reader sees of each frame."""

  shape: np.ndarray  # [T, 21, 2] joints of the hand from its wrist
  speed: np.ndarray  # [T, 2] of the wrist, a second
  shown: np.ndarray  # [T] bool


def features(clip: clips.Clip, side: str) -> Features:
  """What is seen of a clip from the front, with one hand.

  Args:
    clip: of 50 joints; only x and y are used.
    side: of the hand that spells, "right" or "left".
  """
  frames = np.where(clip.valid[..., None], clip.frames, 0)[..., :2]
  first = PROMPT2SIGN50.hand(side)
  hand = frames[:, first : first + HAND_JOINTS]
  shoulders = [
    PROMPT2SIGN50.joint(f"{each}_shoulder") for each in ("right", "left")
  ]
  ends = frames[:, shoulders]
  width = np.median(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1))
  speed = clip.fps * np.gradient(hand[:, 0], axis=0) / width
  return Features((hand - hand[:, :1]) / width, speed, clip.valid[:, first])


class Reader:
  """Reads clips of one manual alphabet, spelt by one hand."""

  def __init__(self, language: languages.Language):
    """Takes the letters of one of `alphabets.ALPHABETS` from the recordings."""
    recorded = {
      letter: spell.recorded(letter, language)
      for letter in spell.letters(language)
    }
    shown = {
      side: sum(
        clip.valid[:, PROMPT2SIGN50.hand(side)].mean()
        for clip in recorded.values()
      )
      for side in ("right", "left")
    }
    self.side = max(shown, key=lambda side: shown[side])
    self.letters: Mapping[str, list[Features]] = {
      letter: _states(features(clip, self.side))
      for letter, clip in recorded.items()
    }

  def read(self, clip: clips.Clip) -> list[str]:
    """The letters of a clip, in order."""
    seen = features(clip, self.side)
    names = list(self.letters)
    path = _best_path(self._costs(seen))
    entered = [
      state
      for before, state in zip([-1, *path[:-1]], path, strict=True)
      if state >= 0 and state % STATES == 0 and state != before
    ]
    return [names[state // STATES] for state in entered]

  def _costs(self, seen: Features) -> np.ndarray:
    """The cost [T, L * STATES] of each frame in each state of each letter."""
    columns = []
    for state in itertools.chain.from_iterable(self.letters.values()):
      shape = seen.shape[:, None] - state.shape  # [T, P, 21, 2]
      speed = seen.speed[:, None] - state.speed
      width = SPEED + FASTER * np.linalg.norm(state.speed, axis=-1)
      cost = (shape**2).sum(-1).mean(-1) / (2 * SHAPE**2)
      cost += (speed**2).sum(-1) / (2 * width**2)
      columns.append(np.where(seen.shown, cost.min(1), HIDDEN))
    return np.stack(columns, 1)


def _states(seen: Features) -> list[Features]:
  """The frames of each state, of the middle two thirds of a recording.

  In a letter that is held, the wrist rests: fast frames lead to the letter or
  away from it.
  """
  count = len(seen.shape)
  middle = np.arange(count // 6, count - count // 6)
  speed = np.linalg.norm(seen.speed[middle], axis=-1)
  if np.median(speed) < HELD:
    middle = middle[speed < HELD]
    seen = seen._replace(speed=np.zeros_like(seen.speed))
  return [
    Features(*(values[part] for values in seen))
    for part in np.array_split(middle, STATES)
  ]


def _best_path(costs: np.ndarray) -> list[int]:
  """The cheapest state of each frame [T]; -1 between letters.

  Args:
    costs: [T, L * STATES] of each frame in each state of a letter.
  """
  length, count = costs.shape
  numbers = np.arange(count)
  first, last = numbers % STATES == 0, numbers % STATES == STATES - 1
  total = np.full(count + 1, np.inf)  # the state between letters is the last
  total[count] = 0
  came = np.zeros((length, count + 1), np.int64)
  for t in range(length):
    ends = np.where(last, total[:-1], np.inf)
    leave = int(np.argmin(ends))
    outside = count if total[count] <= ends[leave] else leave
    stay = total[:-1]
    move = np.where(first, total[outside] + ENTER, np.roll(total[:-1], 1))
    source = np.where(first, outside, numbers - 1)
    came[t, :-1] = np.where(stay <= move, numbers, source)
    came[t, count] = outside
    between = total[outside] + BETWEEN
    total[:-1] = np.minimum(stay, move) + costs[t]
    total[count] = between
  state = int(np.argmin(np.where(np.append(last, True), total, np.inf)))
  path = []
  for t in reversed(range(length)):
    path.append(state if state < count else -1)
    state = int(came[t, state])
  return path[::-1]
