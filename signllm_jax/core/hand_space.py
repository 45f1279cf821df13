"""Coordinates of a generative decoder: hands in their own frame and size.

Hands are small: their shapes are a tenth of the arms' movements, and noise of
one size for all coordinates would hide them until the last steps. Here the
joints of a hand are taken about the hand's wrist, the hand's wrist about the
arm's, and both are multiplied by a constant. The map is linear and invertible.
The functions take arrays of NumPy and JAX.
"""

import functools
from typing import Any, NamedTuple

import jax
import numpy as np

from signllm_jax.core.skeleton import SIDES, Skeleton

_HAND_SCALE = 2.5  # a hand's joints then vary about as much as the arms'


class _Matrices(NamedTuple):
  """The linear map of a skeleton."""

  to: np.ndarray  # [J, J] float32, joints to coordinates about the origins
  back: np.ndarray  # [J, J] float32, its inverse
  needed: np.ndarray  # [J, J] float32, joints that a coordinate depends on


@functools.cache
def _matrices(skeleton: Skeleton) -> _Matrices:
  to = np.eye(skeleton.num_joints, dtype=np.float64)

  def about(joint: int, origin: int, scale: float) -> None:
    to[joint, joint], to[joint, origin] = scale, -scale

  for side in SIDES:
    root, (*_, wrist) = skeleton.hand(side), skeleton.arm(side)
    for joint in skeleton.parts[f"{side}_hand"]:
      about(joint, wrist if joint == root else root, _HAND_SCALE)
  return _Matrices(
    to.astype(np.float32),
    np.linalg.inv(to).astype(np.float32),
    (to != 0).astype(np.float32),
  )


def to_hand_space(poses: Any, skeleton: Skeleton) -> Any:
  """Converts joints [..., J, D] to coordinates of the same shape."""
  return _product(_matrices(skeleton).to, poses)


def from_hand_space(coordinates: Any, skeleton: Skeleton) -> Any:
  """Converts coordinates [..., J, D] back to joints."""
  return _product(_matrices(skeleton).back, coordinates)


def of_clips(poses: Any, valid: Any, skeleton: Skeleton) -> tuple[Any, Any]:
  """Coordinates of clips without gaps.

  Args:
    poses: [..., T, J, D] float, finite.
    valid: [..., T, J] bool.
    skeleton: of the poses.

  Returns:
    [..., T, J, D], and whether a frame of the clip shows the joint and those
    that its coordinates depend on, [..., J] bool; the others are 0.
  """
  known = (1 - valid.astype(np.float32)) @ _matrices(skeleton).needed.T == 0
  filled = fill_gaps(to_hand_space(poses, skeleton), known)
  return filled, known.any(-2)


def fill_gaps(values: Any, valid: Any) -> Any:
  """Fills what a clip does not show: between frames, then from the nearest.

  Args:
    values: [..., T, J, D].
    valid: [..., T, J] bool.

  Returns:
    [..., T, J, D]; 0 for joints that no frame of a clip shows.
  """
  xp = values.__array_namespace__()
  t, axis = values.shape[-3], valid.ndim - 2
  frame = xp.arange(t)[:, None]
  latest = _running_maximum(xp.where(valid, frame, -1), axis)
  # The same backwards: the next frame is the latest of the turned clip.
  turned = xp.flip(xp.where(valid, t - 1 - frame, -1), axis)
  following = t - 1 - xp.flip(_running_maximum(turned, axis), axis)
  first = xp.where(latest < 0, following, latest)
  last = xp.where(following == t, latest, following)
  weight = ((frame - first) / xp.maximum(last - first, 1))[..., None]

  def take(index: Any) -> Any:
    index = xp.clip(index, 0, t - 1)[..., None]
    return xp.take_along_axis(values, index, axis)

  filled = (1 - weight) * take(first) + weight * take(last)
  return xp.where(valid.any(axis, keepdims=True)[..., None], filled, 0)


def _product(matrix: np.ndarray, values: Any) -> Any:
  with jax.default_matmul_precision("highest"):
    return matrix @ values


def _running_maximum(values: Any, axis: int) -> Any:
  if isinstance(values, np.ndarray):
    return np.maximum.accumulate(values, axis)
  return jax.lax.cummax(values, axis)
