"""Regression losses over the true cells of a batch of frames."""

import jax
import jax.numpy as jnp

from signllm_jax.config import Loss


def cell_weights(
  valid: jax.Array, real: jax.Array, counter_weight: float
) -> jax.Array:
  """The weight of each number: 1 on true cells, 0 on padding and missing.

  Args:
    valid: [B, T, J] bool, joint was seen.
    real: [B, T] bool, frame is not padding.
    counter_weight: weight of the counter against one joint number.

  Returns:
    [B, T, 151] float32.
  """
  cells = jnp.repeat(valid & real[..., None], 3, axis=-1).astype(jnp.float32)
  counter = counter_weight * real[..., None].astype(jnp.float32)
  return jnp.concatenate([cells, counter], -1)


def regression(
  produced: jax.Array, target: jax.Array, weights: jax.Array, config: Loss
) -> jax.Array:
  """Weighted sum of squared ("mse") or absolute ("l1") errors: [].

  Divide by the weights' sum over the whole batch for the mean; sums make parts
  of a batch add up exactly.

  Args:
    produced: [B, T, 151].
    target: [B, T, 151].
    weights: of `cell_weights`.
    config: which loss.
  """
  error = produced - target
  cost = jnp.abs(error) if config.kind == "l1" else error**2
  return jnp.sum(cost * weights)


def with_counter(poses: jax.Array, lengths: jax.Array) -> jax.Array:
  """Appends the counter i/N, i = 1..N: [B, T, 150] -> [B, T, 151]."""
  i = jnp.arange(1, poses.shape[1] + 1, dtype=jnp.float32)
  counter = i / jnp.maximum(lengths, 1)[:, None]
  return jnp.concatenate([poses, jnp.minimum(counter, 1)[..., None]], -1)
