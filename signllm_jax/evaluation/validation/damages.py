"""Damages to real signing, each in three grades, that a metric must order.

Grades are shares of the clip, from its start, that are damaged, or amounts. A
clip without damage comes first in the order.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import SIDES
from signllm_jax.evaluation import baselines

SHARES = (0.25, 0.5, 1.0)


class Damage(NamedTuple):
  """A damage.

  Attributes:
    name: for tables.
    apply: (clip, grade) -> the damaged clip.
    grades: from mild to heavy.
    definition: of the damage and its grades.
  """

  name: str
  apply: Callable[[clips.Clip, float], clips.Clip]
  grades: tuple[float, ...]
  definition: str


def statues(listed: Sequence[clips.Clip]) -> list[clips.Clip]:
  """The mean pose of all clips, held for the length of each."""
  mean = baselines.mean_frame(listed)
  shown = np.any([clip.valid.any(0) for clip in listed], axis=0)
  return [
    dataclasses.replace(
      clip,
      frames=np.repeat(mean[None], len(clip), 0).astype(np.float32),
      valid=np.repeat(shown[None], len(clip), 0),
    )
    for clip in listed
  ]


def _cut(clip: clips.Clip, share: float) -> int:
  return max(1, round(len(clip) * share))


def _replaced(clip, frames, valid=None) -> clips.Clip:
  valid = clip.valid if valid is None else valid
  frames = np.where(valid[..., None], frames, 0).astype(np.float32)
  return dataclasses.replace(clip, frames=frames, valid=valid)


def reverse(clip: clips.Clip, share: float) -> clips.Clip:
  """The first frames in reverse order."""
  n = _cut(clip, share)
  order = np.r_[np.arange(n)[::-1], np.arange(n, len(clip))]
  return _replaced(clip, clip.frames[order], clip.valid[order])


def mirror(clip: clips.Clip, share: float) -> clips.Clip:
  """The first frames by a left-handed signer: x turned, sides exchanged."""
  n, order = _cut(clip, share), clip.skeleton.swap_sides
  frames, valid = clip.frames.copy(), clip.valid.copy()
  frames[:n] = frames[:n][:, order]
  middle = clip.skeleton.origin_of(frames[:n])[..., 0]
  frames[:n, :, 0] = 2 * middle - frames[:n, :, 0]
  valid[:n] = valid[:n][:, order]
  return _replaced(clip, frames, valid)


def swap_hands(clip: clips.Clip, share: float) -> clips.Clip:
  """Each hand's fingers at the other's wrist, in the first frames."""
  n = _cut(clip, share)
  frames, valid = clip.frames.copy(), clip.valid.copy()
  left, right = (list(clip.skeleton.parts[f"{side}_hand"]) for side in SIDES)
  for own, other in ((left, right), (right, left)):
    shape = clip.frames[:n, other] - clip.frames[:n, other[:1]]
    frames[:n, own] = clip.frames[:n, own[:1]] + shape
    valid[:n, own] = clip.valid[:n, own[:1]] & clip.valid[:n, other]
  return _replaced(clip, frames, valid)


def freeze_hands(clip: clips.Clip, share: float) -> clips.Clip:
  """Each hand keeps its first shape on a moving arm, in the first frames."""
  n, frames = _cut(clip, share), clip.frames.copy()
  for side in SIDES:
    hand = list(clip.skeleton.parts[f"{side}_hand"])
    shown = np.flatnonzero(clip.valid[:, hand].all(1))
    if len(shown):
      first = clip.frames[shown[0], hand] - clip.frames[shown[0], hand[0]]
      frames[:n, hand] = frames[:n, hand[:1]] + first
  return _replaced(clip, frames)


def average_hands(clip: clips.Clip, share: float) -> clips.Clip:
  """Each hand moved by a share towards its mean shape over the clip."""
  frames = clip.frames.copy()
  for side in SIDES:
    hand = list(clip.skeleton.parts[f"{side}_hand"])
    seen = clip.valid[:, hand].all(1)
    if seen.any():
      shape = frames[:, hand] - frames[:, hand[:1]]
      mean = shape[seen].mean(0)
      frames[:, hand] = frames[:, hand[:1]] + (1 - share) * shape + share * mean
  return _replaced(clip, frames)


def shake(clip: clips.Clip, amount: float) -> clips.Clip:
  """Gaussian noise on every joint and frame, in shoulder widths; seed 0."""
  noise = np.random.default_rng(0).normal(size=clip.frames.shape)
  return _replaced(clip, clip.frames + amount * clips.SHOULDER_WIDTH * noise)


def speed_up(clip: clips.Clip, factor: float) -> clips.Clip:
  """The whole clip faster, at the same frame rate."""
  return clips.with_frames(clip, max(2, round(len(clip) / factor)))


_PART = "of the first 25, 50 and 100 % of the frames"
ALL = (
  Damage("time reversed", reverse, SHARES, f"order {_PART} reversed"),
  Damage("mirrored", mirror, SHARES, f"x and sides {_PART} exchanged"),
  Damage("hands swapped", swap_hands, SHARES, f"fingers {_PART} exchanged"),
  Damage("hands frozen", freeze_hands, SHARES, f"first hand shape {_PART}"),
  Damage(
    "mean hands",
    average_hands,
    SHARES,
    "hand shapes 25, 50 and 100 % towards their mean over the clip",
  ),
  Damage(
    "jitter",
    shake,
    (0.02, 0.05, 0.1),
    "Gaussian noise of 2, 5 and 10 % of the shoulder width",
  ),
  Damage("faster", speed_up, (1.25, 1.5, 2.0), "1.25, 1.5 and 2 times as fast"),
)
