"""Distances between produced and true signing (section 8).

Missing joints of the truth never count.
"""

import dataclasses
from collections.abc import Sequence

import jax
import numpy as np

from signllm_jax import clips, skeleton
from signllm_jax.losses import dtw

WRISTS = [skeleton.RIGHT_WRIST, skeleton.LEFT_WRIST]
_PAD = 32  # frames; keeps the number of compiled shapes small
_BATCH = 64  # pairs a call


def _padded(group: Sequence[clips.Clip], rows: int):
  longest = max(len(clip) for clip in group)
  t = -(-longest // _PAD) * _PAD
  frames = np.zeros((rows, t, skeleton.J, 3), np.float32)
  valid = np.zeros((rows, t, skeleton.J), bool)
  length = np.ones(rows, np.int32)
  for row, clip in enumerate(group):
    length[row] = len(clip)
    frames[row, : len(clip)] = clip.frames
    valid[row, : len(clip)] = clip.valid
  return frames, valid, length


def dtw_mje(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Mean joint distance along the cheapest path, of each pair: [n] float32.

  In units of the canonical skeleton (shoulders 1/3 apart).
  """
  scores = []
  for start in range(0, len(true), _BATCH):
    pair = slice(start, start + _BATCH)
    rows = _BATCH if len(true) > _BATCH else len(true)
    reference, valid, reference_length = _padded(true[pair], rows)
    hypothesis, _, hypothesis_length = _padded(produced[pair], rows)
    total, cells = jax.device_get(
      dtw.mean_joint_dtw(
        reference, valid, reference_length, hypothesis, hypothesis_length
      )
    )
    scores.append((total / cells)[: len(true[pair])])
  return np.concatenate(scores)


def wrist_path(clip: clips.Clip) -> float:
  """Length of the way of both wrists, over steps where a wrist was seen."""
  wrists, seen = clip.frames[:, WRISTS], clip.valid[:, WRISTS]
  steps = np.linalg.norm(np.diff(wrists, axis=0), axis=-1)
  return float((steps * (seen[1:] & seen[:-1])).sum())


def bone_lengths(clip: clips.Clip) -> tuple[np.ndarray, np.ndarray]:
  """Length [T, 49] of each limb and whether both its ends were seen."""
  ends = clip.frames[:, skeleton.CHILDREN] - clip.frames[:, skeleton.PARENTS]
  seen = clip.valid[:, skeleton.CHILDREN] & clip.valid[:, skeleton.PARENTS]
  return np.linalg.norm(ends, axis=-1), seen


def bone_length_error(produced: clips.Clip, true: clips.Clip) -> float:
  """Mean |length / true length - 1| over limbs and frames.

  A limb's true length is its median over the true clip.
  """
  length, seen = bone_lengths(true)
  shown = seen.any(0)
  if not shown.any():
    return float("nan")
  median = np.array(
    [np.median(length[seen[:, limb], limb]) for limb in np.flatnonzero(shown)]
  )
  long_enough = median > 1e-6
  made = bone_lengths(produced)[0][:, shown]
  return float(np.abs(made / median - 1)[:, long_enough].mean())


def scores(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> dict[str, float]:
  """One row of the report: means over sequences, shares of totals."""
  way = sum(wrist_path(clip) for clip in true)
  return {
    "dtw_mje": float(dtw_mje(produced, true).mean()),
    "motion_share": sum(wrist_path(clip) for clip in produced) / way
    if way > 0
    else float("nan"),
    "length_ratio": sum(map(len, produced)) / sum(map(len, true)),
    "bone_length_error": _mean_of_known(
      [bone_length_error(p, t) for p, t in zip(produced, true, strict=True)]
    ),
  }


def _mean_of_known(values: Sequence[float]) -> float:
  known = [value for value in values if not np.isnan(value)]
  return float(np.mean(known)) if known else float("nan")


def floors(
  true: Sequence[clips.Clip], mean_pose: np.ndarray
) -> dict[str, list[clips.Clip]]:
  """What needs no model: mean pose, frozen first frame, another clip.

  Args:
    true: clips of the split.
    mean_pose: [J, 3] mean of the training clips.

  Returns:
    Row name -> one clip for each true one; the still ones as long as it.
  """

  def still(clip: clips.Clip, frame: np.ndarray) -> clips.Clip:
    frames = np.broadcast_to(frame, clip.frames.shape).astype(np.float32)
    return dataclasses.replace(clip, frames=frames)

  return {
    "mean_pose": [still(clip, mean_pose) for clip in true],
    "frozen": [still(clip, clip.frames[0]) for clip in true],
    "other_clip": [*true[1:], *true[:1]],
  }
