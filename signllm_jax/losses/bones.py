"""Loss on the lengths of produced bones."""

import jax
import jax.numpy as jnp

from signllm_jax.core import bones
from signllm_jax.core.skeleton import Skeleton

_SHORTEST = 1e-3  # canonical units; a relative error needs a true length


def _lengths(poses: jax.Array, skeleton: Skeleton) -> jax.Array:
  joints = poses.reshape(*poses.shape[:-1], *skeleton.shape)
  return bones.limb_lengths(joints, skeleton)


def limb_weights(
  true: jax.Array, valid: jax.Array, lengths: jax.Array, skeleton: Skeleton
) -> jax.Array:
  """Weight of each limb: 0 for padding, missing ends and no true length.

  Args:
    true: [B, T, C] canonical units.
    valid: [B, T, J] bool, whether a joint was seen.
    lengths: [B] frames; the rest is padding.
    skeleton: of J joints and N limbs.

  Returns:
    [B, T, N] float32, 0 or 1.
  """
  inside = jnp.arange(valid.shape[1]) < lengths[:, None]
  shown = bones.limbs_visible(valid, skeleton) & inside[..., None]
  long = _lengths(true, skeleton) > _SHORTEST
  return (shown & long).astype(jnp.float32)


def relative_error(
  produced: jax.Array,
  true: jax.Array,
  weights: jax.Array,
  skeleton: Skeleton,
) -> jax.Array:
  """Weighted sum [] of |length / true length - 1| over limbs.

  Args:
    produced: [B, T, C] canonical units.
    true: [B, T, C] canonical units.
    weights: [B, T, N], of `limb_weights`; the mean is this sum divided by
      theirs.
    skeleton: of the poses.
  """
  made, aim = (_lengths(each, skeleton) for each in (produced, true))
  error = jnp.abs(made / jnp.maximum(aim, _SHORTEST) - 1)
  return jnp.sum(error * weights)
