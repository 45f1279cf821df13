"""Normalises, prunes and interpolates 2-D keypoints.

These are the first stages of `lifter.py`, by the method of Zelinka and Kanis
(WACV 2020), one clip at a time. They run in numpy, in the order of operations
and the float32 of the published tool: `initialisation.py` chooses between
candidates that differ only by rounding, so the last bit counts.

Dim letters: T frames, J = 50 joints.
"""

import math
from typing import Literal

import numpy as np

from signllm_jax.core.skeleton import PROMPT2SIGN50

Mode = Literal["fast", "reference"]

MIN_BODY_CONFIDENCE = np.float32(0.3)  # a frame below it is pruned
WINDOW_WEIGHT = np.float32(0.99)  # what an interpolation window must hold
_SHORT_WINDOW = 16  # frames to each side, summed one by one


def normalise(keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
  """Removes each axis' mean and the joint scale of both.

  Args:
    keypoints: [T, J, 3] x, y, confidence.

  Returns:
    Normalised keypoints, the centre [2] and the scale.
  """
  keypoints = np.ascontiguousarray(keypoints, np.float32)
  x, y = keypoints[..., 0], keypoints[..., 1]
  totals = np.sum(x), np.sum(y)
  pooled = (totals[0] + totals[1]) / (2 * x.size)
  square = (np.sum(x * x) + np.sum(y * y)) / (2 * x.size)
  scale = math.sqrt(max(square - pooled * pooled, 1e-10))
  centre = np.array([total / x.size for total in totals])
  # A row of 150 at a time: numpy is slow along a last axis of 2.
  rows = keypoints.reshape(len(keypoints), PROMPT2SIGN50.num_values)
  moved = rows - np.tile(
    np.append(centre, np.float32(0)), PROMPT2SIGN50.num_joints
  )
  moved /= np.tile(
    np.array([scale, scale, 1], np.float32), PROMPT2SIGN50.num_joints
  )
  return moved.reshape(keypoints.shape), centre, scale


def prune(keypoints: np.ndarray) -> np.ndarray:
  """Zeroes frames whose mean confidence over the body's 8 joints is low."""
  weight = keypoints[..., 2]
  body = sum((weight[:, joint] for joint in range(1, 8)), weight[:, 0])
  kept = body / np.float32(8) >= MIN_BODY_CONFIDENCE
  return np.where(kept[:, None, None], keypoints, np.float32(0))


def interpolate(keypoints: np.ndarray) -> np.ndarray:
  """Confidence-weighted mean over the smallest sufficient window.

  The window around each frame widens by one on both sides until it holds
  `WINDOW_WEIGHT` of confidence or the whole clip; confidences stay. A joint
  that was never seen is put at 0, the centre of the clip.

  Args:
    keypoints: [T, J, 3].
  """
  t = len(keypoints)
  weight = keypoints[..., 2]
  weighted = np.stack(
    [keypoints[..., 0] * weight, keypoints[..., 1] * weight, weight], -1
  )
  total = weighted.copy()
  frame, joint = np.nonzero((weight < WINDOW_WEIGHT) & weight.any(0))
  for radius in range(1, min(t, _SHORT_WINDOW + 1)):
    for at in (frame + radius, frame - radius):
      inside = (at >= 0) & (at < t)
      to = joint[inside]
      total[frame[inside], to] += weighted[at[inside], to]
    short = total[frame, joint, 2] < WINDOW_WEIGHT
    frame, joint = frame[short], joint[short]
  if len(frame):
    total[frame, joint] = _wide_windows(weighted, frame, joint)
  held = np.where(total[..., 2] > 0, total[..., 2], np.float32(1e-10))
  return np.stack([total[..., 0] / held, total[..., 1] / held, weight], -1)


def _wide_windows(
  weighted: np.ndarray, frame: np.ndarray, joint: np.ndarray
) -> np.ndarray:
  """Sums over the smallest sufficient windows [M, 3], by running sums.

  One by one they would take the square of the clip's length.
  """
  t = len(weighted)
  running = np.zeros((t + 1, *weighted.shape[1:]))
  np.cumsum(weighted, 0, np.float64, out=running[1:])

  def window(radius):
    before = np.maximum(frame - radius, 0)
    after = np.minimum(frame + radius + 1, t)
    return running[after, joint] - running[before, joint]

  low, high = np.zeros_like(frame), np.full_like(frame, t)
  while (low < high).any():
    middle = (low + high) // 2
    holds = window(middle)[:, 2] >= WINDOW_WEIGHT
    high = np.where(holds, middle, high)
    low = np.where(holds, low, np.minimum(middle + 1, high))
  return window(high)
