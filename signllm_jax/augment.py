"""Augmentations of the decoder's input (section 5)."""

import jax
import jax.numpy as jnp

from signllm_jax import state as state_lib


def gaussian_noise(
  frames: jax.Array,
  residuals: state_lib.Residuals,
  strength: float,
  key: jax.Array,
  *,
  counter: bool,
) -> jax.Array:
  """Adds strength * N(0, 1) * std to decoder inputs, the start frame left out.

  Args:
    frames: [B, T, 151] inputs, normalised, the start frame first.
    residuals: their std a dimension is the previous epoch's.
    strength: PT's is 5.
    key: PRNG key.
    counter: whether the counter gets noise too, as in PT. Not where the next
      counter is the last one and a step: noise would come back as residual
      and grow by `strength` every epoch.
  """
  noise = jax.random.normal(key, frames.shape) * (strength * residuals.std)
  noise = noise.at[:, 0].set(0)
  if not counter:
    noise = noise.at[..., -1].set(0)
  return frames + noise


def track_residuals(
  residuals: state_lib.Residuals,
  error: jax.Array,
  weights: jax.Array,
  epoch_ends: jax.Array,
) -> state_lib.Residuals:
  """Adds a batch's residuals; at an epoch's end they become the std.

  Args:
    residuals: so far.
    error: [B, T, 151] produced - target.
    weights: [B, T, 151], 0 where a cell does not count.
    epoch_ends: [] bool, this is the epoch's last batch.
  """
  counted = (weights > 0).astype(jnp.float32)
  error = jnp.where(counted > 0, error, 0)
  total = residuals.total + jnp.sum(error, (0, 1))
  squares = residuals.squares + jnp.sum(error**2, (0, 1))
  count = residuals.count + jnp.sum(counted, (0, 1))
  n = jnp.maximum(count, 1)
  std = jnp.sqrt(jnp.maximum(squares / n - (total / n) ** 2, 0))
  zero = jnp.zeros_like(total)
  return state_lib.Residuals(
    std=jnp.where(epoch_ends, std, residuals.std),
    total=jnp.where(epoch_ends, zero, total),
    squares=jnp.where(epoch_ends, zero, squares),
    count=jnp.where(epoch_ends, zero, count),
  )
