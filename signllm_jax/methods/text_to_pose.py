"""Text or gloss in, frames out, taught by the frames before (section 5)."""

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax import augment
from signllm_jax.config import Experiment
from signllm_jax.losses import pose as pose_loss
from signllm_jax.methods.method import Batch, Known, Outcome
from signllm_jax.models.pose_decoder import FRAME, PoseDecoder, Source
from signllm_jax.models.text_to_pose import TextToPose
from signllm_jax.statistics import Residuals, Statistics

UNIT: str = "frames"


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> TextToPose:
  """The base model; glosses beside the source are not used."""
  return TextToPose(config.model, vocabulary, rngs)


def teacher_inputs(start: jax.Array, target: jax.Array) -> jax.Array:
  """The start frame, then all targets but the last: [B, T, 151]."""
  return jnp.concatenate([start[:, None], target[:, :-1]], 1)


def _targets(batch: Batch, statistics: Statistics) -> jax.Array:
  """Normalised frames with counter; missing and padded cells are 0."""
  poses = statistics.normalize(batch["frames"])
  seen = jnp.repeat(batch["valid"], 3, axis=-1)
  return pose_loss.with_counter(jnp.where(seen, poses, 0), batch["length"])


def total(config: Experiment, batch: Batch) -> jax.Array:
  """Weight of all true numbers of a batch."""
  counter = config.loss.counter_weight * jnp.sum(batch["length"])
  # A frame is predicted by each of the `future` steps before it that exist.
  steps = jnp.arange(1, batch["valid"].shape[1] + 1)
  times = jnp.minimum(steps, config.model.future)[:, None]
  return jnp.maximum(3.0 * jnp.sum(batch["valid"] * times) + counter, 1)


def loss(
  config: Experiment,
  model: TextToPose,
  batch: Batch,
  known: Known,
  key: jax.Array,
  total: jax.Array,
) -> tuple[jax.Array, Outcome]:
  """Regression of every frame after the true ones before it."""
  encoder_key, decoder_key = jax.random.split(key)
  drops = config.model.dropout > 0
  encoded = model.encode(batch["source"], encoder_key if drops else None)
  cost, errors = regress(
    config, model, model.attendable(*encoded), batch, known, decoder_key
  )
  return cost / total, Outcome({}, errors)


def regress(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  batch: Batch,
  known: Known,
  key: jax.Array,
) -> tuple[jax.Array, tuple[jax.Array, ...]]:
  """The summed loss [] of frames taught by those before; errors for `track`.

  Args:
    config: the run.
    model: what decodes.
    source: what it attends to.
    batch: with frames.
    known: statistics and residuals.
    key: of noise and dropout.
  """
  noise_key, dropout_key = jax.random.split(key)
  target = _targets(batch, known.statistics)
  inputs = teacher_inputs(model.start_frames(len(target)), target)
  if config.augment.noise:
    inputs = augment.gaussian_noise(
      inputs,
      known.residuals,
      config.augment.noise,
      noise_key,
      counter=not config.model.alignment,
    )
  produced = model.decode(
    inputs, source, dropout_key if config.model.dropout else None
  )
  weights = pose_loss.cell_weights(batch["valid"], batch["length"], config.loss)
  cost = pose_loss.regression(
    produced,
    pose_loss.with_future(target, config.model.future),
    pose_loss.with_future(weights, config.model.future),
    config.loss,
  )
  return cost, (produced[..., :FRAME] - target, weights)


def track(
  residuals: Residuals, errors: tuple[jax.Array, ...], epoch_ends: jax.Array
) -> Residuals:
  """Adds the errors of a batch, for the noise of the next epoch."""
  error, weights = errors
  return augment.track_residuals(residuals, error, weights, epoch_ends)
