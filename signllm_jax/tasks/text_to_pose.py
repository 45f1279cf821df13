"""Text or gloss in, frames out, taught by the frames before (section 5)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.core import skeleton
from signllm_jax.data import augmentation
from signllm_jax.data.batch import Batch
from signllm_jax.data.pose_statistics import PoseStatistics, Residuals
from signllm_jax.losses import pose as losses
from signllm_jax.models.pose_decoder import FRAME, PoseDecoder, Source
from signllm_jax.models.text_to_pose import TextToPose
from signllm_jax.rl import policy, reward
from signllm_jax.tasks.task import Known, Outcome

UNIT: str = "frames"


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> TextToPose:
  """The base model; glosses beside the source are not used."""
  return TextToPose(config.model, vocabulary, rngs)


def teacher_inputs(start: jax.Array, target: jax.Array) -> jax.Array:
  """The start frame, then all targets but the last: [B, T, 151]."""
  return jnp.concatenate([start[:, None], target[:, :-1]], 1)


def _targets(batch: Batch, statistics: PoseStatistics) -> jax.Array:
  """Normalised frames with counter; missing and padded cells are 0."""
  poses = statistics.normalise(batch["frames"])
  seen = jnp.repeat(batch["valid"], 3, axis=-1)
  return losses.with_counter(jnp.where(seen, poses, 0), batch["length"])


def _as_reward(config: Experiment) -> bool:
  """Whether the loss is minus the frames' rewards."""
  return config.rl.loss == "reward_mse"


def total(config: Experiment, batch: Batch) -> jax.Array:
  """Weight of all true numbers of a batch."""
  counter = config.loss.counter_weight * jnp.sum(batch["length"])
  # A frame is predicted by each of the `future` steps before it that exist.
  steps = jnp.arange(1, batch["valid"].shape[1] + 1)
  times = jnp.minimum(steps, config.model.future)[:, None]
  seen = batch["valid"]
  if _as_reward(config):  # every frame that shows something weighs the same
    seen = jnp.any(seen, -1, keepdims=True) * skeleton.J
  return jnp.maximum(3.0 * jnp.sum(seen * times) + counter, 1)


def loss(
  config: Experiment,
  model: TextToPose,
  batch: Batch,
  known: Known,
  key: jax.Array,
  total: jax.Array,
) -> tuple[jax.Array, Outcome]:
  """Regression of every frame after the true ones before it, and the policy."""
  encoder_key, decoder_key = jax.random.split(key)
  drops = config.model.dropout > 0
  encoded = model.encode(batch["source"], encoder_key if drops else None)
  source = model.attendable(*encoded)
  return pose_loss(config, model, source, batch, known, decoder_key, total)


def pose_loss(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  batch: Batch,
  known: Known,
  key: jax.Array,
  total: jax.Array,
) -> tuple[jax.Array, Outcome]:
  """The loss [] of frames, by `config.loss` and `config.rl`.

  Args:
    config: the run.
    model: what decodes.
    source: what it attends to.
    batch: with frames.
    known: statistics, of all clips or `of` each row, and residuals.
    key: of noise, dropout and policy.
    total: of the whole batch.
  """
  target = _targets(batch, known.statistics)
  settings = config.loss
  if _as_reward(config):
    settings = dataclasses.replace(settings, kind="mse")
  weights = losses.cell_weights(batch["valid"], batch["length"], settings)
  taught = _regress(config, model, source, target, weights, batch, known, key)
  regression = taught.cost / total
  errors = (taught.error, weights)
  seen = weights[..., :-1]
  if config.rl.loss != "policy_gradient":
    rewards = reward.of_frames(taught.error[..., :-1], seen)
    return regression, Outcome({}, errors, reward.of_clips(rewards, seen))
  act_key = jax.random.fold_in(key, 1)
  earned, cost = _act(
    config, model, source, target, seen, batch, known, act_key
  )
  acted = cost * skeleton.C / total  # of the scale of a squared error
  parts = {"regression": regression, "policy": acted}
  whole = config.rl.regression_weight * regression + config.rl.weight * acted
  return whole, Outcome(parts, errors, earned)


class _Taught(NamedTuple):
  """Frames after the true ones before them."""

  cost: jax.Array  # [] summed
  error: jax.Array  # [B, T, 151] of the frame after each


def _regress(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  target: jax.Array,
  weights: jax.Array,
  batch: Batch,
  known: Known,
  key: jax.Array,
) -> _Taught:
  """The regression, summed over the cells of target [B, T, 151]."""
  noise_key, dropout_key = jax.random.split(key)
  inputs = teacher_inputs(model.start_frames(len(target)), target)
  if config.augment.noise:
    inputs = augmentation.gaussian_noise(
      inputs,
      known.residuals,
      config.augment.noise,
      noise_key,
      counter=not config.model.alignment,
    )
  produced = model.decode(
    inputs, source, dropout_key if config.model.dropout else None
  )
  kind = config.loss.kind
  if _as_reward(config):
    kind, weights = "mse", losses.even_frames(weights)
  if "weight" in batch:
    weights = weights * batch["weight"][:, None, None]
  cost = losses.regression(
    produced,
    losses.with_future(target, config.model.future),
    losses.with_future(weights, config.model.future),
    kind,
  )
  return _Taught(cost, produced[..., :FRAME] - target)


def _act(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  target: jax.Array,
  seen: jax.Array,
  batch: Batch,
  known: Known,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Samples sequences: their mean reward [B], and the policy's loss, summed."""
  settings, count = config.rl, config.rl.samples

  def repeated(x: jax.Array) -> jax.Array:  # [B, ...] -> [samples * B, ...]
    return jnp.tile(x, (count, *[1] * (x.ndim - 1)))

  sources = jax.tree.map(repeated, source)
  counters = repeated(target[..., -1])
  true, shown = repeated(target[..., :-1]), repeated(seen)
  joints = jnp.asarray(known.statistics.seen)
  joints = repeated(joints) if joints.ndim > 1 else joints
  actions = policy.sample(model, sources, counters, joints, settings.std, key)
  if settings.reward == "dtw":
    length = repeated(batch["length"])
    valid = repeated(batch["valid"])
    earned = reward.of_sequences(actions, true, valid, length)
    # The whole sequence's, so often as its frames: a frame's share of it is
    # what the loss is divided by.
    returns = jnp.broadcast_to((earned * length)[:, None], shown.shape[:2])
  else:
    rewards = reward.of_frames(actions - true, shown)
    earned = reward.of_clips(rewards, shown)
    returns = reward.to_go(rewards)
  log_probability = policy.log_probabilities(
    model, sources, actions, counters, joints, settings.std
  )
  split = (count, len(target))
  advantage = policy.advantages(returns.reshape(*split, -1))
  real = jnp.any(seen > 0, -1)
  if "weight" in batch:
    real = real * batch["weight"][:, None]
  likely = log_probability.reshape(*split, -1)
  cost = -jnp.sum(jax.lax.stop_gradient(advantage) * likely * real) / count
  return jnp.mean(earned.reshape(split), 0), cost


def track(
  residuals: Residuals, errors: tuple[jax.Array, ...], epoch_ends: jax.Array
) -> Residuals:
  """Adds the errors of a batch, for the noise of the next epoch."""
  error, weights = errors
  return augmentation.track_residuals(residuals, error, weights, epoch_ends)
