"""Augmentation of decoder inputs (section 5) and of clips for pose to text."""

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
  """Adds strength * N(0, 1) * std to decoder inputs, except the start frame.

  Args:
    frames: [B, T, C + 1] inputs, normalised, the start frame first.
    residuals: with the std of each dimension in the previous epoch.
    strength: 5 in PT.
    key: PRNG key.
    counter: whether the counter gets noise too, as in PT. False where the next
      counter is computed from the last one: noise would return as residual and
      grow by `strength` every epoch.
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
  """Accumulates a batch's residuals; computes the std at an epoch's end.

  Args:
    residuals: those before this batch.
    error: [B, T, C + 1] prediction - target.
    weights: [B, T, C + 1], 0 for padding and missing joints.
    epoch_ends: [] bool, whether this is the epoch's last batch.
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
  """Randomly stretches, smooths and perturbs clips for pose to text.

  A reader so trained also reads produced poses, whose joints jitter or are too
  smooth.

  Args:
    poses: [B, T, C] normalised.
    valid: [B, T, J] bool.
    length: [B] frames; the rest is padding.
    config: strength of each augmentation.
    key: PRNG key.

  Returns:
    Poses, valid and length, augmented.
  """
  stretch_key, smooth_key, noise_key, amount_key = jax.random.split(key, 4)
  b = len(poses)
  poses = jnp.where(_per_value(valid, poses), poses, 0)
  if config.stretch:
    poses, valid, length = _stretch(
      poses, valid, length, config.stretch, stretch_key
    )
  if config.smooth:
    chosen = jax.random.bernoulli(smooth_key, config.smooth, (b, 1, 1))
    poses = jnp.where(chosen, _smooth(poses, valid, length), poses)
  if config.jitter:
    std = config.jitter * jax.random.uniform(amount_key, (b, 1, 1))
    poses = poses + std * jax.random.normal(noise_key, poses.shape)
  return poses, valid, length


def _stretch(
  poses: jax.Array,
  valid: jax.Array,
  length: jax.Array,
  limit: float,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Resamples clips to a random number of frames, at most T."""
  t = poses.shape[1]
  bound = jnp.log1p(limit)
  factor = jnp.exp(
    jax.random.uniform(key, length.shape, minval=-bound, maxval=bound)
  )
  target = jnp.round(length * factor).astype(length.dtype)
  new_length = jnp.where(length > 0, jnp.clip(target, 1, t), 0)
  # The first and the last frame are kept.
  step = jnp.maximum(length - 1, 0) / jnp.maximum(new_length - 1, 1)
  position = jnp.arange(t) * step[:, None]  # [B, T]
  end = jnp.maximum(length - 1, 0)[:, None]
  before = jnp.clip(jnp.floor(position).astype(jnp.int32), 0, end)
  after = jnp.minimum(before + 1, end)
  weight = jnp.clip(position - before, 0, 1)[..., None]

  def take(x: jax.Array, index: jax.Array) -> jax.Array:
    return jnp.take_along_axis(x, index[..., None], 1)

  mixed = (1 - weight) * take(poses, before) + weight * take(poses, after)
  # An interpolated joint is valid only if it is valid in both frames.
  return mixed, take(valid, before) & take(valid, after), new_length


def _per_value(joints: jax.Array, poses: jax.Array) -> jax.Array:
  """A mask [..., J] of joints, for the numbers of poses [..., C]."""
  return jnp.repeat(joints, poses.shape[-1] // joints.shape[-1], -1)


def _smooth(poses: jax.Array, valid: jax.Array, length: jax.Array) -> jax.Array:
  """Averages each frame with its neighbours, over valid joints."""
  mask = (jnp.arange(poses.shape[1]) < length[:, None])[..., None]
  weight = _per_value(valid & mask, poses).astype(poses.dtype)

  def sum_of_three(x: jax.Array) -> jax.Array:
    x = jnp.pad(x, ((0, 0), (1, 1), (0, 0)))
    return x[:, :-2] + x[:, 1:-1] + x[:, 2:]

  return sum_of_three(poses * weight) / jnp.maximum(sum_of_three(weight), 1)


def token_dropout(
  tokens: jax.Array,
  rate: float,
  key: jax.Array,
  kept: jax.Array | None = None,
) -> jax.Array:
  """Replaces a share of tokens by <unk> (Bowman et al. 2016).

  It makes the decoder rely on the encoder, not on its language model. Special
  tokens stay: <s> and </s> say where sequences begin and end.

  Args:
    tokens: [B, U] ids.
    rate: share of them.
    key: PRNG key.
    kept: [B, U] bool, further tokens that stay.
  """
  if not rate:
    return tokens
  dropped = jax.random.bernoulli(key, rate, tokens.shape)
  dropped &= tokens >= len(vocabulary.SPECIALS)
  if kept is not None:
    dropped &= ~kept
  return jnp.where(dropped, vocabulary.UNK, tokens)
