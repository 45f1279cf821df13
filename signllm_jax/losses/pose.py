"""Regression losses over the true cells of a batch of frames."""

import jax
import jax.numpy as jnp

from signllm_jax.config import Loss
from signllm_jax.core import skeleton


def cell_weights(
  valid: jax.Array, lengths: jax.Array, config: Loss
) -> jax.Array:
  """The weight of each number: 0 on padding and missing joints.

  Args:
    valid: [B, T, J] bool, joint was seen.
    lengths: [B] frames; the rest is padding.
    config: the counter's weight. One frame is 1/N of the counter, so an error
      in frames weighs N times as much; without that, long clips hardly teach
      how long they are.

  Returns:
    [B, T, 151] float32; 1 on true joint numbers.
  """
  real = jnp.arange(valid.shape[1]) < lengths[:, None]  # [B, T]
  cells = jnp.repeat(valid & real[..., None], 3, axis=-1).astype(jnp.float32)
  unit = lengths if config.counter_unit == "frames" else jnp.ones_like(lengths)
  power = 2 if config.kind == "mse" else 1
  weight = config.counter_weight * unit.astype(jnp.float32) ** power
  counter = jnp.where(real, weight[:, None], 0)
  return jnp.concatenate([cells, counter[..., None]], -1)


def even_frames(weights: jax.Array) -> jax.Array:
  """Weights [B, T, 151] with which every frame counts alike.

  The joint numbers that a frame shows share the weight of all 150, so that the
  weighted squared error is 150 times minus the frame's reward (section 6).
  """
  cells = weights[..., :-1]
  shown = jnp.sum(cells, -1, keepdims=True)
  share = skeleton.C / jnp.maximum(shown, 1)
  return jnp.concatenate([cells * share, weights[..., -1:]], -1)


def regression(
  produced: jax.Array, target: jax.Array, weights: jax.Array, kind: str
) -> jax.Array:
  """Weighted sum of squared ("mse") or absolute ("l1") errors: [].

  Divide by the weights' sum over the whole batch for the mean; sums make parts
  of a batch add up exactly.

  Args:
    produced: [B, T, C].
    target: [B, T, C].
    weights: [B, T, C], of `cell_weights`.
    kind: which loss.
  """
  error = produced - target
  cost = jnp.abs(error) if kind == "l1" else error**2
  return jnp.sum(cost * weights)


def with_counter(poses: jax.Array, lengths: jax.Array) -> jax.Array:
  """Appends the counter i/N, i = 1..N: [B, T, 150] -> [B, T, 151]."""
  i = jnp.arange(1, poses.shape[1] + 1, dtype=jnp.float32)
  counter = i / jnp.maximum(lengths, 1)[:, None]
  return jnp.concatenate([poses, jnp.minimum(counter, 1)[..., None]], -1)


def with_future(frames: jax.Array, future: int) -> jax.Array:
  """Appends the poses of the frames after each one, 0 past the last.

  Args:
    frames: [B, T, 151] targets or weights, 0 on padding.
    future: k, how many frames each step predicts.

  Returns:
    [B, T, 151 + 150 (k - 1)]; frame t holds the poses of t to t + k - 1
    (future prediction, Progressive Transformers, Saunders et al. 2020).
  """
  poses = jnp.pad(frames[..., :-1], ((0, 0), (0, future - 1), (0, 0)))
  t = frames.shape[1]
  after = [poses[:, j : j + t] for j in range(1, future)]
  return jnp.concatenate([frames, *after], -1)
