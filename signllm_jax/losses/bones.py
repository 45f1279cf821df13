"""Loss on the lengths of produced bones."""

import jax
import jax.numpy as jnp

from signllm_jax.core import bones, skeleton

_SHORTEST = 1e-3  # canonical units; a relative error needs a true length


def _as_joints(poses: jax.Array) -> jax.Array:
  return poses.reshape(*poses.shape[:-1], skeleton.J, 3)


def limb_weights(
  true: jax.Array, valid: jax.Array, lengths: jax.Array
) -> jax.Array:
  """Weight of each limb: 0 for padding, missing ends and no true length.

  Args:
    true: [B, T, 150] canonical units.
    valid: [B, T, 50] bool, whether a joint was seen.
    lengths: [B] frames; the rest is padding.

  Returns:
    [B, T, 49] float32, 0 or 1.
  """
  inside = jnp.arange(valid.shape[1]) < lengths[:, None]
  shown = bones.limbs_visible(valid) & inside[..., None]
  long = bones.limb_lengths(_as_joints(true)) > _SHORTEST
  return (shown & long).astype(jnp.float32)


def relative_error(
  produced: jax.Array, true: jax.Array, weights: jax.Array
) -> jax.Array:
  """Weighted sum [] of |length / true length - 1| over limbs.

  Args:
    produced: [B, T, 150] canonical units.
    true: [B, T, 150] canonical units.
    weights: [B, T, 49], of `limb_weights`; the mean is this sum divided by
      theirs.
  """
  made, aim = (
    bones.limb_lengths(_as_joints(each)) for each in (produced, true)
  )
  error = jnp.abs(made / jnp.maximum(aim, _SHORTEST) - 1)
  return jnp.sum(error * weights)
