"""Motion, length and bone lengths of produced signing against true (section 8).

Missing joints never count. Each function returns one row of sums a pair; see
`metric.Metric`.
"""

from collections.abc import Sequence

import numpy as np

from signllm_jax.core import bones as bones_lib
from signllm_jax.core import clips
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.evaluation.metrics import distances, metric

_SHORTEST = 1e-6  # a shorter limb has no length to compare with


def wrist_joints(skeleton: Skeleton) -> list[int]:
  """The right and the left wrist of the arms."""
  return [skeleton.joint("right_wrist"), skeleton.joint("left_wrist")]


def wrist_path(clip: clips.Clip) -> float:
  """Path length of both wrists, over steps between frames that show them."""
  joints = wrist_joints(clip.skeleton)
  wrists, seen = clip.frames[:, joints], clip.valid[:, joints]
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
  """Length [T, N] of each limb, and whether both its ends are visible."""
  seen = bones_lib.limbs_visible(clip.valid, clip.skeleton)
  return bones_lib.limb_lengths(clip.frames, clip.skeleton), seen


def bones(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Bone lengths of each pair: [n, 2 + 2 N].

  Sum over visible limbs and frames of |length / the clip's own median - 1| of
  the produced clip, and its number of terms; then the median length of every
  limb, produced and true, 0 where one of both clips never shows it.
  """
  return np.array(
    [_bones_of_pair(a, b) for a, b in zip(produced, true, strict=True)]
  )


def _bones_of_pair(produced: clips.Clip, true: clips.Clip) -> np.ndarray:
  length, seen = bone_lengths(produced)
  own, other = _medians(length, seen), _medians(*bone_lengths(true))
  known = own > _SHORTEST
  change = np.abs(length / np.where(known, own, 1) - 1)[seen & known]
  both = seen.any(0) & (other > _SHORTEST)
  return np.concatenate(
    [[change.sum(), change.size], np.where(both, own, 0), other * both]
  )


def _medians(length: np.ndarray, seen: np.ndarray) -> np.ndarray:
  """Median [N] over the frames that show each limb; 0 without one."""
  return np.array(
    [
      np.median(x[shown]) if shown.any() else 0
      for x, shown in zip(length.T, seen.T, strict=True)
    ],
    np.float64,
  )


def bone_length_error(sums: np.ndarray) -> np.ndarray:
  """Change within clips plus error of the mean lengths, from sums of `bones`.

  The second part is the mean over limbs of |sum of produced medians / sum of
  true medians - 1|. Signers and cameras differ, so recordings of one text have
  other bone lengths than each other, but the same ones on average. NaN where
  no limb is visible in both clips of a pair.
  """
  change = sums[..., 0] / np.maximum(sums[..., 1], 1)
  own, other = np.split(sums[..., 2:], 2, -1)
  compared = other > 0
  scale = np.abs(own / np.where(compared, other, 1) - 1) * compared
  return change + metric.divide(scale.sum(-1), compared.sum(-1))


def scores(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> dict[str, float]:
  """Scores of poses during training, as `catalogue` defines them."""
  found = {
    "dtw_mje": float(distances.dtw_mje(produced, true).mean()),
    "motion_share": float(metric.ratio(motion(produced, true).sum(0))),
    "length_ratio": float(metric.ratio(lengths(produced, true).sum(0))),
  }
  if true[0].skeleton.dims == 3:
    total = bones(produced, true).sum(0)
    found["bone_length_error"] = float(bone_length_error(total))
  return found
