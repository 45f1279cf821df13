"""Coordinates of a generative decoder: hands in their own frame and size.

Hands are small: their shapes are a tenth of the arms' movements, and noise of
one size for all coordinates would hide them until the last steps. Here the
joints of a hand are taken about the hand's wrist, the hand's wrist about the
arm's, and both are multiplied by a constant. The map is linear and invertible.
"""

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core import skeleton

_HAND_SCALE = 2.5  # a hand's joints then vary about as much as the arms'


def _matrix() -> np.ndarray:
  """[50, 50] from joints to coordinates about the origins."""
  matrix = np.eye(skeleton.J, dtype=np.float64)
  arms = {
    skeleton.LEFT_HAND: skeleton.LEFT_WRIST,
    skeleton.RIGHT_HAND: skeleton.RIGHT_WRIST,
  }
  for root, wrist in arms.items():
    for joint in range(root, root + skeleton.HAND_JOINTS):
      origin = wrist if joint == root else root
      matrix[joint, joint] = _HAND_SCALE
      matrix[joint, origin] = -_HAND_SCALE
  return matrix


MATRIX = _matrix()
_FROM = np.linalg.inv(MATRIX)
# Joints on whose position a coordinate depends.
_NEEDED = (MATRIX != 0).astype(np.float32)


def to_hand_space(poses: jax.Array) -> jax.Array:
  """Converts joints [..., 50, 3] to coordinates of the same shape."""
  return jnp.einsum("ij,...jc->...ic", MATRIX.astype(np.float32), poses)


def from_hand_space(coordinates: jax.Array) -> jax.Array:
  """Converts coordinates [..., 50, 3] back to joints."""
  return jnp.einsum("ij,...jc->...ic", _FROM.astype(np.float32), coordinates)


def known(valid: jax.Array) -> jax.Array:
  """Whether all joints that a coordinate depends on are valid: [..., 50]."""
  return (1 - valid.astype(jnp.float32)) @ _NEEDED.T == 0


def fill_gaps(values: jax.Array, valid: jax.Array) -> jax.Array:
  """Fills what a clip does not show: between frames, then from the nearest.

  Args:
    values: [B, T, 50, 3].
    valid: [B, T, 50] bool.

  Returns:
    [B, T, 50, 3]; 0 for joints that no frame of a clip shows.
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
