"""The loss of the generative decoder (`models.flow_decoder`).

Everything that is produced has a target: gaps of a clip are filled from its
other frames, joints that it never shows are at the mean, and their visibility
says that they are not shown. The length of a clip is learnt by its likelihood:
its logarithm is normal around that of the summed durations.
"""

import jax
import jax.numpy as jnp

from signllm_jax.config import Experiment
from signllm_jax.core import bones, hand_space
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data.batch import Batch
from signllm_jax.data.pose_statistics import ClipNoise, PoseStatistics
from signllm_jax.losses import part_weights
from signllm_jax.losses import pose as losses
from signllm_jax.models import flow_noise, visibility
from signllm_jax.models.flow_decoder import LOGITS, FlowDecoder, FlowSource
from signllm_jax.models.flow_noise import FlowClip
from signllm_jax.tasks.task import LossContext, LossOutput

# Errors near time 1 are small; the velocity would multiply them without bound.
_LATEST = 0.2  # least 1 - t of the loss's weight
_CONSTANT = 1e-3  # deviation of the log of a length that hardly varies
_CHANGES = 10.0  # weight of errors of the change from frame to frame


def targets(
  batch: Batch, statistics: PoseStatistics, skeleton: Skeleton
) -> FlowClip:
  """Clips in the decoder's coordinates, without gaps."""
  assert statistics.noise is not None
  noise, valid = statistics.noise, batch["valid"]
  shape = (*valid.shape, skeleton.dims)
  poses = jnp.where(valid[..., None], batch["frames"].reshape(shape), 0)
  filled, known = hand_space.of_clips(poses, valid, skeleton)
  flat = filled.reshape(*shape[:2], skeleton.num_values)
  standard = (flat - noise.centre[..., None, :]) / noise.deviation[..., None, :]
  known = known.repeat(skeleton.dims, -1)[..., None, :]
  standard = jnp.where(known, standard, 0)
  return FlowClip(standard, _bone_lengths(batch, noise, skeleton))


def _bone_lengths(
  batch: Batch, noise: ClipNoise, skeleton: Skeleton
) -> jax.Array:
  """Standardised logs [B, K] of the median lengths of each clip's bones.

  The lengths of bones that a clip never shows are at the mean.
  """
  valid = batch["valid"]
  inside = jnp.arange(valid.shape[1]) < batch["length"][:, None]
  frames = batch["frames"].reshape(*valid.shape, skeleton.dims)
  shown = valid & inside[..., None]
  medians = bones.median_lengths(frames, shown, skeleton)
  known = medians > 0
  logs = jnp.log(jnp.where(known, medians, 1))
  centre, deviation = noise.lengths[..., 0, :], noise.lengths[..., 1, :]
  standard = (logs - centre) / jnp.maximum(deviation, _CONSTANT)
  return jnp.where(known, standard, 0)


def flow_loss(
  config: Experiment,
  model: FlowDecoder,
  source: FlowSource,
  batch: Batch,
  context: LossContext,
  key: jax.Array,
  denominator: jax.Array,
) -> tuple[jax.Array, LossOutput]:
  """The loss [] of a batch: flow matching, visibility and length.

  Args:
    config: the run.
    model: the decoder.
    source: what it attends to.
    batch: with frames.
    context: statistics, of all clips or of each row.
    key: of noise, times, absent sources and dropout.
    denominator: of the whole batch.
  """
  noise_key, time_key, absent_key, dropout_key = jax.random.split(key, 4)
  length = batch["length"]
  clip = targets(batch, context.statistics, model.skeleton)
  rows = len(length)
  assert context.statistics.noise is not None
  noise = _noise(noise_key, clip, length, context.statistics.noise)
  # Evenly spread over a batch (Kingma et al. 2021, arXiv 2107.00630): the loss
  # depends much on the time.
  place = (jax.random.uniform(time_key) + jnp.arange(rows) / rows) % 1
  time = jax.nn.sigmoid(LOGITS[0] + (LOGITS[1] - LOGITS[0]) * place)
  present = ~jax.random.bernoulli(absent_key, config.flow.absent, (rows,))
  noisy = jax.tree.map(lambda a, b: _between(a, b, time), noise, clip)
  made = model.estimate(
    noisy,
    time,
    length,
    source,
    present,
    dropout_key if config.model.dropout else None,
  )
  weights = losses.frame_weights(batch)
  error = _errors(made.clip.poses - clip.poses)
  bones_error = jnp.sum((made.clip.lengths - clip.lengths) ** 2, -1)[:, None]
  # Of velocities, not of clips.
  scale = 1 / jnp.maximum(1 - time, _LATEST)[:, None] ** 2
  # Lengths drift where the places of frames among the tokens weigh much more.
  length_weight = part_weights.of_counter(config.loss, model.skeleton)
  terms = {
    "flow": clip.poses.shape[-1] * jnp.sum(scale * error * weights),
    "bones": jnp.sum(scale * bones_error * weights),
    "length": length_weight * _length_loss(source, batch),
  }
  if made.visible is not None:
    terms["visibility"] = visibility.loss(made.visible, batch["valid"], weights)
  terms = {name: term / denominator for name, term in terms.items()}
  inside = jnp.sum(weights > 0, -1)
  reward = -jnp.sum(error * (weights > 0), -1) / jnp.maximum(inside, 1)
  total = jnp.sum(jnp.stack(list(terms.values())))
  return total, LossOutput(terms, reward=reward)


def _noise(
  key: jax.Array, clip: FlowClip, length: jax.Array, noise: ClipNoise
) -> FlowClip:
  """Noise in the shape of clips [B, T, C] of so many frames [B]."""
  common_key, single_key, bursts_key, lengths_key = jax.random.split(key, 4)
  shape = clip.poses.shape
  common = jax.random.normal(common_key, (shape[0], 1, shape[-1]))
  single = jax.random.normal(single_key, shape)
  bursts = jax.random.normal(bursts_key, (*shape[:2], 1))
  return FlowClip(
    flow_noise.colour(common, single, bursts, length, noise),
    jax.random.normal(lengths_key, clip.lengths.shape),
  )


def _between(start: jax.Array, end: jax.Array, time: jax.Array) -> jax.Array:
  """The point (1 - t) start + t end of each row."""
  at = time.reshape(-1, *[1] * (start.ndim - 1))
  return (1 - at) * start + at * end


def _errors(difference: jax.Array) -> jax.Array:
  """Squared errors of each frame and of its change from the frame before.

  Fast movement has a hundredth of the variance of the positions; without its
  own term it is learnt last.

  Args:
    difference: [B, T, C], estimate minus truth.

  Returns:
    [B, T], means over coordinates.
  """
  change = jnp.diff(difference, axis=1, prepend=difference[:, :1])
  return jnp.mean(difference**2 + _CHANGES * change**2, -1)


def _length_loss(source: FlowSource, batch: Batch) -> jax.Array:
  """Minus the log-likelihood of the lengths, a frame of weight a row."""
  length = jnp.maximum(batch["length"], 1)
  error = jnp.log(length) - jnp.log(source.timeline.total)
  cost = 0.5 * (error / source.spread) ** 2 + jnp.log(source.spread)
  weights = jnp.sum(losses.frame_weights(batch), -1)
  return jnp.sum(cost * weights)
