"""Motion, length and bone lengths of produced signing against true (section 8).

Missing joints never count. Each function returns one row of sums a pair; see
`metric.Metric`.
"""

from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips, skeleton
from signllm_jax.evaluation.metrics import distances, metric

WRISTS = [skeleton.RIGHT_WRIST, skeleton.LEFT_WRIST]


def wrist_path(clip: clips.Clip) -> float:
  """Path length of both wrists, over steps between frames that show them."""
  wrists, seen = clip.frames[:, WRISTS], clip.valid[:, WRISTS]
  steps = np.linalg.norm(np.diff(wrists, axis=0), axis=-1)
  return float((steps * (seen[1:] & seen[:-1])).sum())


def motion(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Wrist path lengths, produced and true: [n, 2]."""
  return np.array(
    [
      (wrist_path(a), wrist_path(b))
      for a, b in zip(produced, true, strict=True)
    ]
  )


def lengths(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Frames, produced and true: [n, 2]."""
  return np.array(
    [(len(a), len(b)) for a, b in zip(produced, true, strict=True)],
    np.float64,
  )


def jerk(clip: clips.Clip) -> tuple[float, int]:
  """Sum of |third derivative of position| and the number of terms.

  In units / s³, over joints that four consecutive frames show.
  """
  if len(clip) < 4:
    return 0.0, 0
  size = np.linalg.norm(np.diff(clip.frames.astype(np.float64), 3, 0), axis=-1)
  v = clip.valid
  seen = v[:-3] & v[1:-2] & v[2:-1] & v[3:]
  return float((size * seen).sum() * clip.fps**3), int(seen.sum())


def jerks(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """`jerk` of the produced and of the true clip: [n, 4]."""
  return np.array(
    [(*jerk(a), *jerk(b)) for a, b in zip(produced, true, strict=True)],
    np.float64,
  )


def jerk_ratio(sums: np.ndarray) -> np.ndarray:
  """Ratio of the mean jerk, produced over true, from sums of `jerks`."""
  return metric.divide(metric.ratio(sums[..., :2]), metric.ratio(sums[..., 2:]))


def bone_lengths(clip: clips.Clip) -> tuple[np.ndarray, np.ndarray]:
  """Length [T, 49] of each limb, and whether both its ends are visible."""
  ends = clip.frames[:, skeleton.CHILDREN] - clip.frames[:, skeleton.PARENTS]
  seen = clip.valid[:, skeleton.CHILDREN] & clip.valid[:, skeleton.PARENTS]
  return np.linalg.norm(ends, axis=-1), seen


def bone_length_error(produced: clips.Clip, true: clips.Clip) -> float:
  """Mean |length / true length - 1| over limbs and frames.

  A limb's true length is its median over the true clip. NaN where no limb is
  visible in both.
  """
  length, seen = bone_lengths(true)
  shown = np.flatnonzero(seen.any(0))
  median = np.array([np.median(length[seen[:, limb], limb]) for limb in shown])
  shown, median = shown[median > 1e-6], median[median > 1e-6]
  length, seen = bone_lengths(produced)
  length, seen = length[:, shown], seen[:, shown]
  if not seen.any():
    return float("nan")
  return float(np.abs(length / median - 1)[seen].mean())


def bone_length_errors(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """`bone_length_error` of each pair: [n]."""
  return np.array(
    [bone_length_error(a, b) for a, b in zip(produced, true, strict=True)]
  )


def scores(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> dict[str, float]:
  """Scores of poses during training: means over sequences, ratios of sums."""
  return {
    "dtw_mje": float(distances.dtw_mje(produced, true).mean()),
    "motion_share": float(metric.ratio(motion(produced, true).sum(0))),
    "length_ratio": float(metric.ratio(lengths(produced, true).sum(0))),
    "bone_length_error": float(
      metric.ratio(metric.counted(bone_length_errors(produced, true)).sum(0))
    ),
  }
