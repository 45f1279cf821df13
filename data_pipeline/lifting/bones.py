"""Bone lengths of a 3-D clip, their plausibility and their change in time.

Dim letters: T frames, J joints, N limbs, K bones.
"""

import numpy as np

from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton

NAMES: tuple[str, ...] = (
  *("neck", "shoulder", "upper arm", "forearm", "wrist"),
  *(
    f"{finger} {part}"
    for finger in ("thumb", "index", "middle", "ring", "little")
    for part in ("metacarpal", "proximal", "middle", "distal")
  ),
)
_WRIST = 4  # from the wrist of the arm to that of the hand: about 0 long
_HAND, _THUMB = range(13, 17), range(5, 9)  # wrist to the tip of a finger
# Ratio -> bones of the numerator and the denominator, minimum, maximum. The
# bounds are far wider than the variation among people. Bones of prompt2sign50.
RATIOS = {
  "neck / shoulder": ([0], [1], 0.4, 3.0),
  "upper arm / shoulder": ([2], [1], 0.6, 3.5),
  "forearm / upper arm": ([3], [2], 0.4, 2.0),
  "hand / forearm": (_HAND, [3], 0.3, 1.5),
  "wrist / forearm": ([_WRIST], [3], 0.0, 0.5),
  "thumb / hand": (_THUMB, _HAND, 0.4, 1.4),
  "index / hand": (range(9, 13), _HAND, 0.6, 1.4),
  "ring / hand": (range(17, 21), _HAND, 0.6, 1.4),
  "little / hand": (range(21, 25), _HAND, 0.5, 1.3),
}


def names(skeleton: Skeleton) -> tuple[str, ...]:
  """The names of the bones: those of `NAMES`, or of the joint at their end."""
  if skeleton == PROMPT2SIGN50:
    return NAMES
  ends = {bone: skeleton.joints[child] for _, child, bone in skeleton.limbs}
  return tuple(
    ends[bone].removeprefix("left_").removeprefix("right_").replace("_", " ")
    for bone in range(skeleton.num_bones)
  )


def limb_lengths(
  frames: np.ndarray, valid: np.ndarray, skeleton: Skeleton = PROMPT2SIGN50
) -> np.ndarray:
  """Lengths of the limbs.

  Args:
    frames: [T, J, 3].
    valid: [T, J] bool.
    skeleton: of the frames.

  Returns:
    [T, N] in the frames' unit; NaN where an end is missing.
  """
  ends = frames[:, skeleton.children] - frames[:, skeleton.parents]
  seen = valid[:, skeleton.children] & valid[:, skeleton.parents]
  return np.where(seen, np.sqrt((ends**2).sum(-1)), np.nan)


def bone_lengths(
  limbs: np.ndarray, skeleton: Skeleton = PROMPT2SIGN50
) -> np.ndarray:
  """Bone lengths [K] of limbs [T, N]: median in time, mean of left and right.

  NaN for a bone that is always missing.
  """
  (medians,) = _quantiles(limbs, 0.5)
  known = ~np.isnan(medians)
  bones, count = skeleton.limb_bones, skeleton.num_bones
  sums = np.bincount(bones, np.where(known, medians, 0), count)
  counts = np.bincount(bones, known, count)
  return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def ratios(lengths: np.ndarray) -> dict[str, float]:
  """The `RATIOS` of bone lengths [25], without ratios of missing bones."""
  values = {}
  for name, (upper, lower, _, _) in RATIOS.items():
    numerator = lengths[list(upper)].sum()
    denominator = lengths[list(lower)].sum()
    if denominator > 0 and not np.isnan(numerator):
      values[name] = float(numerator / denominator)
  return values


def strange(values: dict[str, float]) -> tuple[str, ...]:
  """Names of the ratios outside their bounds."""
  return tuple(
    name
    for name, ratio in values.items()
    if not RATIOS[name][2] <= ratio <= RATIOS[name][3]
  )


def change(
  limbs: np.ndarray, skeleton: Skeleton = PROMPT2SIGN50
) -> float | None:
  """Relative length change of the limb [T, N] that changes most.

  It is the span of the middle 90 % of its lengths divided by their median. None
  if all limbs are missing.
  """
  low, middle, high = _quantiles(limbs, 0.05, 0.5, 0.95)
  wrists = [skeleton.hand("left"), skeleton.hand("right")]
  counted = (middle > 0) & ~np.isin(skeleton.children, wrists)  # NaN is not > 0
  if not counted.any():
    return None
  return float(np.max((high - low)[counted] / middle[counted]))


def _quantiles(limbs: np.ndarray, *shares: float) -> np.ndarray:
  """Quantiles [shares, N] of limbs [T, N] in time, by nearest rank.

  NaN for a missing limb. `np.nanpercentile` takes a hundred times as long.
  """
  if not len(limbs):
    return np.full((len(shares), limbs.shape[1]), np.nan)
  last = np.maximum((~np.isnan(limbs)).sum(0) - 1, 0)
  at = np.rint(np.multiply.outer(shares, last)).astype(int)
  return np.take_along_axis(np.sort(limbs, 0), at, 0)  # NaN sorts last
