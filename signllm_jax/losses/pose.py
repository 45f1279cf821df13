"""Regression losses over valid joints of a batch, and their targets."""

import jax
import jax.numpy as jnp

from signllm_jax.config import Loss
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data.batch import Batch
from signllm_jax.losses import part_weights


def cell_weights(
  valid: jax.Array, lengths: jax.Array, config: Loss, skeleton: Skeleton
) -> jax.Array:
  """Loss weight of each value: 0 for padding and missing joints.

  Args:
    valid: [B, T, J] bool, whether a joint was seen.
    lengths: [B] frames; the rest is padding.
    config: the counter's weight. One frame is 1/N of the counter, so in frames
      its error weighs N times as much; otherwise long clips hardly teach their
      length.
    skeleton: of the joints.

  Returns:
    [B, T, C + 1] float32; 1 for coordinates of valid joints.
  """
  mask = jnp.arange(valid.shape[1]) < lengths[:, None]  # [B, T]
  cells = jnp.repeat(valid & mask[..., None], skeleton.dims, axis=-1)
  cells = cells.astype(jnp.float32)
  unit = lengths if config.counter_unit == "frames" else jnp.ones_like(lengths)
  power = 2 if config.kind == "mse" else 1
  weight = part_weights.of_counter(config, skeleton)
  weight = weight * unit.astype(jnp.float32) ** power
  counter = jnp.where(mask, weight[:, None], 0)
  return jnp.concatenate([cells, counter[..., None]], -1)


def frame_weights(batch: Batch) -> jax.Array:
  """Weight [B, T] of each frame: that of its sample, 0 on padding."""
  t = batch["valid"].shape[1]
  inside = (jnp.arange(t) < batch["length"][:, None]).astype(jnp.float32)
  return inside * batch["weight"][:, None] if "weight" in batch else inside


def equalise_frames(weights: jax.Array) -> jax.Array:
  """Rescales weights [B, T, C + 1] so that all frames have the same weight.

  The valid joints of a frame share the weight of all C coordinates, so that the
  weighted squared error is -C times the frame's reward (section 6).
  """
  cells = weights[..., :-1]
  valid = jnp.sum(cells, -1, keepdims=True)
  scale = cells.shape[-1] / jnp.maximum(valid, 1)
  return jnp.concatenate([cells * scale, weights[..., -1:]], -1)


def regression(
  produced: jax.Array, target: jax.Array, weights: jax.Array, kind: str
) -> jax.Array:
  """Weighted sum [] of squared ("mse") or absolute ("l1") errors.

  The mean is this sum divided by that of the weights over the whole batch; sums
  over parts of a batch can be added.

  Args:
    produced: [B, T, C].
    target: [B, T, C].
    weights: [B, T, C], of `cell_weights`.
    kind: mse or l1.
  """
  error = produced - target
  cost = jnp.abs(error) if kind == "l1" else error**2
  return jnp.sum(cost * weights)


def append_counter(poses: jax.Array, lengths: jax.Array) -> jax.Array:
  """Appends the counter i/N, i = 1..N: [B, T, C] -> [B, T, C + 1]."""
  i = jnp.arange(1, poses.shape[1] + 1, dtype=jnp.float32)
  counter = i / jnp.maximum(lengths, 1)[:, None]
  return jnp.concatenate([poses, jnp.minimum(counter, 1)[..., None]], -1)


def append_future(frames: jax.Array, future: int) -> jax.Array:
  """Appends to each frame the poses of the next frames, 0 past the end.

  Args:
    frames: [B, T, C + 1] targets or weights, 0 on padding.
    future: k, the number of frames predicted by each step.

  Returns:
    [B, T, C + 1 + C (k - 1)]; frame t holds the poses of t to t + k - 1
    (future prediction, Progressive Transformers, Saunders et al. 2020).
  """
  poses = jnp.pad(frames[..., :-1], ((0, 0), (0, future - 1), (0, 0)))
  t = frames.shape[1]
  after = [poses[:, j : j + t] for j in range(1, future)]
  return jnp.concatenate([frames, *after], -1)
