"""Bones of a clip in 3-D: lengths, what no human body has, what changes.

Dim letters: T frames, J = 50 joints, N = 49 limbs, K = 25 bones.
"""

import numpy as np

from signllm_jax.core import skeleton

NAMES: tuple[str, ...] = (
  *("neck", "shoulder", "upper arm", "forearm", "wrist"),
  *(
    f"{finger} {part}"
    for finger in ("thumb", "index", "middle", "ring", "little")
    for part in ("metacarpal", "proximal", "middle", "distal")
  ),
)
_WRIST = 4  # from the arm's end to the hand's start: about 0 long
_HAND, _THUMB = range(13, 17), range(5, 9)  # wrist to the tip of a finger
# Ratio -> bones above, bones below, least, most. The bounds are far wider than
# people differ: outside of them a skeleton is none.
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


def limb_lengths(frames: np.ndarray, valid: np.ndarray) -> np.ndarray:
  """Lengths of the limbs.

  Args:
    frames: [T, J, 3].
    valid: [T, J] bool.

  Returns:
    [T, N] in the frames' unit; NaN where an end was not seen.
  """
  ends = frames[:, skeleton.CHILDREN] - frames[:, skeleton.PARENTS]
  seen = valid[:, skeleton.CHILDREN] & valid[:, skeleton.PARENTS]
  return np.where(seen, np.sqrt((ends**2).sum(-1)), np.nan)


def bone_lengths(limbs: np.ndarray) -> np.ndarray:
  """[K] of limbs [T, N]: the median in time, the mean of left and right.

  NaN for a bone that was never seen.
  """
  (medians,) = _quantiles(limbs, 0.5)
  known = ~np.isnan(medians)
  sums = np.bincount(
    skeleton.LIMB_BONES, np.where(known, medians, 0), skeleton.BONES
  )
  counts = np.bincount(skeleton.LIMB_BONES, known, skeleton.BONES)
  return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)


def ratios(lengths: np.ndarray) -> dict[str, float]:
  """The `RATIOS` of bones [K], as far as these were seen."""
  found = {}
  for name, (above, below, _, _) in RATIOS.items():
    over, under = lengths[list(above)].sum(), lengths[list(below)].sum()
    if under > 0 and not np.isnan(over):
      found[name] = float(over / under)
  return found


def strange(found: dict[str, float]) -> tuple[str, ...]:
  """The ratios that no human body has."""
  return tuple(
    name
    for name, ratio in found.items()
    if not RATIOS[name][2] <= ratio <= RATIOS[name][3]
  )


def change(limbs: np.ndarray) -> float | None:
  """How far limbs [T, N] change in a clip, the one that changes most.

  The middle 90 % of its lengths span this share of their median. None if no
  limb was seen.
  """
  low, middle, high = _quantiles(limbs, 0.05, 0.5, 0.95)
  counted = (middle > 0) & (skeleton.LIMB_BONES != _WRIST)  # NaN is not > 0
  if not counted.any():
    return None
  return float(np.max((high - low)[counted] / middle[counted]))


def _quantiles(limbs: np.ndarray, *shares: float) -> np.ndarray:
  """[shares, N] of limbs [T, N] in time, by nearest rank; NaN if unseen.

  `np.nanpercentile` takes a hundred times as long.
  """
  if not len(limbs):
    return np.full((len(shares), limbs.shape[1]), np.nan)
  last = np.maximum((~np.isnan(limbs)).sum(0) - 1, 0)
  at = np.rint(np.multiply.outer(shares, last)).astype(int)
  return np.take_along_axis(np.sort(limbs, 0), at, 0)  # NaN sorts last
