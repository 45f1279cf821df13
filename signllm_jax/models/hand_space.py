"""Coordinates of a generative decoder: hands in their own frame and size.

Hands are small: their shapes are a tenth of the arms' movements, and noise of
one size for all coordinates would hide them until the last steps. Here the
joints of a hand are taken about the hand's wrist, the hand's wrist about the
arm's, and both are multiplied by a constant. The map is linear and invertible.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core.skeleton import SIDES, Skeleton

_HAND_SCALE = 2.5  # a hand's joints then vary about as much as the arms'


class _Matrices(NamedTuple):
  """The linear map of a skeleton."""

  to: np.ndarray  # [J, J] float32, joints to coordinates about the origins
  back: np.ndarray  # [J, J] float32, its inverse
  needed: np.ndarray  # [J, J] float32, joints that a coordinate depends on


def matrix(skeleton: Skeleton) -> np.ndarray:
  """[J, J] float64 from joints to coordinates about the origins."""
  to = np.eye(skeleton.num_joints, dtype=np.float64)

  def about(joint: int, origin: int, scale: float) -> None:
    to[joint, joint], to[joint, origin] = scale, -scale

  for side in SIDES:
    root, (*_, wrist) = skeleton.hand(side), skeleton.arm(side)
    for joint in skeleton.parts[f"{side}_hand"]:
      about(joint, wrist if joint == root else root, _HAND_SCALE)
  return to


@functools.cache
def _matrices(skeleton: Skeleton) -> _Matrices:
  to = matrix(skeleton)
  return _Matrices(
    to.astype(np.float32),
    np.linalg.inv(to).astype(np.float32),
    (to != 0).astype(np.float32),
  )


def to_hand_space(poses: jax.Array, skeleton: Skeleton) -> jax.Array:
  """Converts joints [..., J, D] to coordinates of the same shape."""
  return jnp.einsum("ij,...jc->...ic", _matrices(skeleton).to, poses)


def from_hand_space(coordinates: jax.Array, skeleton: Skeleton) -> jax.Array:
  """Converts coordinates [..., J, D] back to joints."""
  return jnp.einsum("ij,...jc->...ic", _matrices(skeleton).back, coordinates)


def known(valid: jax.Array, skeleton: Skeleton) -> jax.Array:
  """Whether all joints that a coordinate depends on are valid: [..., J]."""
  return (1 - valid.astype(jnp.float32)) @ _matrices(skeleton).needed.T == 0


def fill_gaps(values: jax.Array, valid: jax.Array) -> jax.Array:
  """Fills what a clip does not show: between frames, then from the nearest.

  Args:
    values: [B, T, J, D].
    valid: [B, T, J] bool.

  Returns:
    [B, T, J, D]; 0 for joints that no frame of a clip shows.
  """
  t = values.shape[1]
  frame = jnp.arange(t)[:, None]
  before = jax.lax.cummax(jnp.where(valid, frame, -1), axis=1)
  after = jax.lax.cummin(jnp.where(valid, frame, t), axis=1, reverse=True)
  first = jnp.where(before < 0, after, before)
  last = jnp.where(after == t, before, after)
  weight = (frame - first) / jnp.maximum(last - first, 1)

  def take(index: jax.Array) -> jax.Array:
    index = jnp.clip(index, 0, t - 1)[..., None]
    return jnp.take_along_axis(values, index, 1)

  weight = weight[..., None]
  filled = (1 - weight) * take(first) + weight * take(last)
  return jnp.where(jnp.any(valid, 1, keepdims=True)[..., None], filled, 0)
