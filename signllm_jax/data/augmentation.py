"""Augmentations: noise on the decoder's input (section 5), clips to read."""

import jax
import jax.numpy as jnp

from signllm_jax.config import Read
from signllm_jax.core import random_bits, vocabulary
from signllm_jax.data.pose_statistics import Residuals


def gaussian_noise(
  frames: jax.Array,
  residuals: Residuals,
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
  noise = random_bits.normal(key, frames.shape) * (strength * residuals.std)
  noise = noise.at[:, 0].set(0)
  if not counter:
    noise = noise.at[..., -1].set(0)
  return frames + noise


def track_residuals(
  residuals: Residuals,
  error: jax.Array,
  weights: jax.Array,
  epoch_ends: jax.Array,
) -> Residuals:
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
  return Residuals(
    std=jnp.where(epoch_ends, std, residuals.std),
    total=jnp.where(epoch_ends, zero, total),
    squares=jnp.where(epoch_ends, zero, squares),
    count=jnp.where(epoch_ends, zero, count),
  )


def augment_clips(
  poses: jax.Array,
  valid: jax.Array,
  length: jax.Array,
  config: Read,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Clips to read, each slower or faster, noisy or smooth by chance.

  What reads them shall also read what a model produced: joints that tremble,
  or that were smoothed away.

  Args:
    poses: [B, T, 150] normalised.
    valid: [B, T, 50] bool.
    length: [B] frames; the rest is padding.
    config: how much.
    key: PRNG key.

  Returns:
    The same, changed.
  """
  stretch_key, smooth_key, noise_key, amount_key = jax.random.split(key, 4)
  b = len(poses)
  poses = jnp.where(jnp.repeat(valid, 3, -1), poses, 0)
  if config.stretch:
    poses, valid, length = _stretched(
      poses, valid, length, config.stretch, stretch_key
    )
  if config.smooth:
    chosen = jax.random.bernoulli(smooth_key, config.smooth, (b, 1, 1))
    poses = jnp.where(chosen, _smoothed(poses, valid, length), poses)
  if config.jitter:
    spread = config.jitter * jax.random.uniform(amount_key, (b, 1, 1))
    poses = poses + spread * jax.random.normal(noise_key, poses.shape)
  return poses, valid, length


def _stretched(
  poses: jax.Array,
  valid: jax.Array,
  length: jax.Array,
  most: float,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Resampled to another number of frames, T at most."""
  t = poses.shape[1]
  bound = jnp.log1p(most)
  factor = jnp.exp(
    jax.random.uniform(key, length.shape, minval=-bound, maxval=bound)
  )
  wanted = jnp.round(length * factor).astype(length.dtype)
  new = jnp.where(length > 0, jnp.clip(wanted, 1, t), 0)
  # The first and the last frame stay the first and the last.
  pace = jnp.maximum(length - 1, 0) / jnp.maximum(new - 1, 1)
  place = jnp.arange(t) * pace[:, None]  # [B, T]
  end = jnp.maximum(length - 1, 0)[:, None]
  before = jnp.clip(jnp.floor(place).astype(jnp.int32), 0, end)
  after = jnp.minimum(before + 1, end)
  share = jnp.clip(place - before, 0, 1)[..., None]

  def at(x: jax.Array, index: jax.Array) -> jax.Array:
    return jnp.take_along_axis(x, index[..., None], 1)

  mixed = (1 - share) * at(poses, before) + share * at(poses, after)
  # A joint between a frame that shows it and one that does not is missing.
  return mixed, at(valid, before) & at(valid, after), new


def _smoothed(
  poses: jax.Array, valid: jax.Array, length: jax.Array
) -> jax.Array:
  """Means over each frame and its neighbours that show the joint."""
  real = (jnp.arange(poses.shape[1]) < length[:, None])[..., None]
  weight = jnp.repeat(valid & real, 3, -1).astype(poses.dtype)

  def total(x: jax.Array) -> jax.Array:
    x = jnp.pad(x, ((0, 0), (1, 1), (0, 0)))
    return x[:, :-2] + x[:, 1:-1] + x[:, 2:]

  return total(poses * weight) / jnp.maximum(total(weight), 1)


def word_dropout(tokens: jax.Array, share: float, key: jax.Array) -> jax.Array:
  """Decoder inputs [B, U], a share of them <unk> (Bowman et al. 2016).

  So that a decoder reads the clip, not what it knows of spelling; <s> stays.
  """
  if not share:
    return tokens
  hidden = jax.random.bernoulli(key, share, tokens.shape).at[:, 0].set(False)
  return jnp.where(hidden & (tokens != vocabulary.PAD), vocabulary.UNK, tokens)
