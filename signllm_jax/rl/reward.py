"""What a produced frame or sequence is worth (section 6)."""

import jax
import jax.numpy as jnp

from signllm_jax.losses import dtw


def of_frames(error: jax.Array, seen: jax.Array) -> jax.Array:
  """r_t = -(1/C) sum (y - y^)^2 over the C numbers that the truth shows.

  Args:
    error: [..., T, 150] produced - true, normalised.
    seen: [..., T, 150], 0 on missing joints and padding.

  Returns:
    [..., T], 0 in a frame that shows nothing.
  """
  counted = (seen > 0).astype(jnp.float32)
  squares = jnp.where(seen > 0, error**2, 0)
  return -jnp.sum(squares, -1) / jnp.maximum(jnp.sum(counted, -1), 1)


def of_clips(frames: jax.Array, seen: jax.Array) -> jax.Array:
  """The mean of rewards [..., T] over the frames that show something: [...]."""
  counted = jnp.any(seen > 0, -1)
  return jnp.sum(frames, -1) / jnp.maximum(jnp.sum(counted, -1), 1)


def of_sequences(
  produced: jax.Array, true: jax.Array, valid: jax.Array, length: jax.Array
) -> jax.Array:
  """Minus the DTW of a whole sequence over the truth's frames.

  Args:
    produced: [B, T, 150], normalised, as long as the truth.
    true: [B, T, 150].
    valid: [B, T, 50] bool, joints that the truth shows.
    length: [B] frames; 0 in empty rows, whose reward is 0.

  Returns:
    [B]; local cost is the mean distance of the joints.
  """
  frames = jnp.maximum(length, 1)
  total = dtw.dtw(true, frames, produced, frames, "mean_joint", valid).total
  return jnp.where(length > 0, -total / frames, 0)


def to_go(rewards: jax.Array) -> jax.Array:
  """What each frame and those after it earn: [..., T] -> [..., T]."""
  return jnp.flip(jnp.cumsum(jnp.flip(rewards, -1), -1), -1)


def spread(rewards: jax.Array, real: jax.Array) -> dict[str, jax.Array]:
  """Three quantiles of the rewards [B] of real rows [B], by name."""
  known = jnp.where(real, rewards, jnp.nan)
  low, middle, high = jnp.nanquantile(known, jnp.array([0.1, 0.5, 0.9]))
  return {"reward_p10": low, "reward_median": middle, "reward_p90": high}
