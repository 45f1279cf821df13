"""Rewards of produced frames and clips (section 6)."""

import jax
import jax.numpy as jnp


def per_frame(error: jax.Array, mask: jax.Array) -> jax.Array:
  """r_t = -(1/C) sum (y - y^)^2 over the C valid numbers of the truth.

  Args:
    error: [..., T, C] produced - true, normalised.
    mask: [..., T, C], 0 on missing joints and padding.

  Returns:
    [..., T], 0 in a frame without a valid number.
  """
  counted = (mask > 0).astype(jnp.float32)
  squares = jnp.where(mask > 0, error**2, 0)
  return -jnp.sum(squares, -1) / jnp.maximum(jnp.sum(counted, -1), 1)


def per_clip(rewards: jax.Array, mask: jax.Array) -> jax.Array:
  """Mean of rewards [..., T] over the frames with a valid number: [...]."""
  counted = jnp.any(mask > 0, -1)
  return jnp.sum(rewards, -1) / jnp.maximum(jnp.sum(counted, -1), 1)


def to_go(rewards: jax.Array) -> jax.Array:
  """Reward to go: the sum of a frame's reward and all later ones, [..., T]."""
  return jnp.flip(jnp.cumsum(jnp.flip(rewards, -1), -1), -1)


def quantiles(rewards: jax.Array, real: jax.Array) -> dict[str, jax.Array]:
  """Three quantiles of the rewards [B] of real rows [B], by metric name."""
  rewards = jnp.where(real, rewards, jnp.nan)
  low, middle, high = jnp.nanquantile(rewards, jnp.array([0.1, 0.5, 0.9]))
  return {"reward_p10": low, "reward_median": middle, "reward_p90": high}
