"""Text or gloss in, frames out, under teacher forcing (section 5)."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data import augmentation
from signllm_jax.data.batch import Batch
from signllm_jax.data.pose_statistics import PoseStatistics, Residuals
from signllm_jax.data.sizes import Sizes
from signllm_jax.losses import bones, part_weights
from signllm_jax.losses import pose as losses
from signllm_jax.models import text_to_pose, visibility
from signllm_jax.models.flow_decoder import FlowDecoder, FlowSource
from signllm_jax.models.pose_decoder import PoseDecoder, Source
from signllm_jax.models.text_to_pose import FlowTextToPose, TextToPose
from signllm_jax.rl import recognition, reward
from signllm_jax.rl.joint_rewards import Truth
from signllm_jax.tasks import flow_matching, free_running, policy_gradient
from signllm_jax.tasks.task import LossContext, LossOutput

LENGTH_UNIT: str = "frames"


class Denominators(NamedTuple):
  """Denominators of the losses, over a whole batch."""

  numbers: jax.Array  # [] weight of all true numbers
  limbs: jax.Array  # [] limbs with a true length
  frames: jax.Array  # [] true frames


def build_model(
  config: Experiment, sizes: Sizes, rngs: nnx.Rngs
) -> TextToPose | FlowTextToPose:
  """Builds the base model, which does not use glosses beside the source."""
  skeleton = skeleton_lib.get(config.data.skeleton)
  return text_to_pose.build(config.model, sizes.vocabulary, skeleton, rngs)


def teacher_inputs(start: jax.Array, target: jax.Array) -> jax.Array:
  """The start frame, then all targets but the last: [B, T, C + 1]."""
  return jnp.concatenate([start[:, None], target[:, :-1]], 1)


def _targets(
  batch: Batch, statistics: PoseStatistics, skeleton: Skeleton
) -> jax.Array:
  """Normalised frames with counter; missing and padded cells are 0."""
  poses = statistics.normalise(batch["frames"])
  valid = jnp.repeat(batch["valid"], skeleton.dims, axis=-1)
  return losses.append_counter(jnp.where(valid, poses, 0), batch["length"])


def _is_reward_loss(config: Experiment) -> bool:
  """Whether the loss is minus the frames' rewards."""
  return config.rl.loss == "reward_mse"


def loss_denominator(config: Experiment, batch: Batch) -> Denominators:
  """Weights of all true numbers and limbs of a batch."""
  skeleton = skeleton_lib.get(config.data.skeleton)
  if config.model.decoder == "flow":  # all numbers have a target
    frames = jnp.maximum(jnp.sum(batch["length"]), 1)
    return Denominators(skeleton.num_values * frames, jnp.float32(1), frames)
  weight = part_weights.of_counter(config.loss, skeleton)
  counter = weight * jnp.sum(batch["length"])
  # A frame is predicted by each of the `future` steps before it that exist.
  steps = jnp.arange(1, batch["valid"].shape[1] + 1)
  times = jnp.minimum(steps, config.model.future)[:, None]
  weights = batch["valid"]
  if _is_reward_loss(config):  # all frames with a valid joint weigh the same
    weights = jnp.any(weights, -1, keepdims=True) * skeleton.num_joints
  numbers = float(skeleton.dims) * jnp.sum(weights * times) + counter
  limbs = jnp.sum(_limb_weights(batch, skeleton)) if config.loss.bones else 1
  frames = jnp.sum(batch["length"])
  return Denominators(*(jnp.maximum(n, 1) for n in (numbers, limbs, frames)))


def _limb_weights(batch: Batch, skeleton: Skeleton) -> jax.Array:
  return bones.limb_weights(
    batch["frames"], batch["valid"], batch["length"], skeleton
  )


def loss(
  config: Experiment,
  model: TextToPose | FlowTextToPose,
  batch: Batch,
  context: LossContext,
  key: jax.Array,
  denominator: Denominators,
) -> tuple[jax.Array, LossOutput]:
  """Regression under teacher forcing, and the policy gradient if configured."""
  encoder_key, decoder_key = jax.random.split(key)
  drops = config.model.dropout > 0
  encoded = model.encode(batch["source"], encoder_key if drops else None)
  source = model.project_memory(*encoded)
  return pose_loss(
    config, model, source, batch, context, decoder_key, denominator
  )


def pose_loss(
  config: Experiment,
  model: PoseDecoder | FlowDecoder,
  source: Source | FlowSource,
  batch: Batch,
  context: LossContext,
  key: jax.Array,
  denominator: Denominators,
) -> tuple[jax.Array, LossOutput]:
  """The loss [] of frames, by `config.loss` and `config.rl`.

  The loss of a policy is apart, in the output: its gradient is balanced.

  Args:
    config: the run.
    model: the decoder.
    source: what it attends to.
    batch: with frames.
    context: statistics, of all clips or of each row, and residuals.
    key: of noise, dropout and policy.
    denominator: of the whole batch.
  """
  if isinstance(model, FlowDecoder):
    assert isinstance(source, FlowSource)
    return flow_matching.flow_loss(
      config, model, source, batch, context, key, denominator.numbers
    )
  assert isinstance(source, Source)
  skeleton, settings = model.skeleton, config.loss
  target = _targets(batch, context.statistics, skeleton)
  if _is_reward_loss(config):
    settings = dataclasses.replace(settings, kind="mse")
  shown = batch["valid"], batch["length"]
  weights = losses.cell_weights(*shown, settings, skeleton)
  forced = _regress(config, model, source, target, weights, batch, context, key)
  terms = {"regression": forced.loss / denominator.numbers}
  total = terms["regression"]
  if forced.visibility is not None:
    terms["visibility"] = forced.visibility / denominator.numbers
    total = total + terms["visibility"]
  if config.loss.bones:
    made = forced.produced, batch, context.statistics, skeleton
    terms["bones"] = _bone_error(*made) / denominator.limbs
    total = total + config.loss.bones * terms["bones"]
  if config.loss.dtw:
    own = source, target, batch, context.statistics, key
    distance = free_running.soft_dtw_distance(config, model, *own)
    terms["dtw"] = distance / denominator.frames
    total = total + config.loss.dtw * terms["dtw"]
  errors, mask = (forced.error, weights), weights[..., :-1]
  if config.rl.loss != "policy_gradient":
    rewards = reward.per_frame(forced.error[..., :-1], mask)
    clips = reward.per_clip(rewards, mask)
    return total, LossOutput(terms if len(terms) > 1 else {}, errors, clips)
  terms["policy"], rewards = _policy_loss(
    config, model, source, target, mask, batch, context, denominator, key
  )
  policy = config.rl.weight * terms["policy"]
  output = LossOutput(terms, errors, rewards, policy)
  return config.rl.regression_weight * total, output


def _policy_loss(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  target: jax.Array,
  mask: jax.Array,
  batch: Batch,
  context: LossContext,
  denominator: Denominators,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Loss [] of REINFORCE on the scale of a squared error, and rewards [B]."""
  shown = mask[..., :: model.skeleton.dims] > 0
  true = Truth(target[..., :-1], shown, batch["length"])
  seen = jnp.asarray(context.statistics.seen)
  weight = batch.get("weight", jnp.ones(len(target)))
  key = jax.random.fold_in(key, 1)
  recognise = None
  if context.reader is not None:
    recognise = recognition.rewarder(
      context.reader,
      batch["read"],
      batch["length"] > 0,
      context.statistics,
      model.skeleton,
    )
  rewards, surrogate = policy_gradient.policy_loss(
    config, model, source, true, seen, weight, key, recognise
  )
  values = model.skeleton.num_values
  return surrogate * values / denominator.numbers, rewards


class _TeacherForcing(NamedTuple):
  """Result of a teacher-forced pass."""

  loss: jax.Array  # [] summed
  produced: jax.Array  # [B, T, C + 1] the next frame
  visibility: jax.Array | None  # [] loss, summed
  error: jax.Array  # [B, T, C + 1] of the next frame


def _regress(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  target: jax.Array,
  weights: jax.Array,
  batch: Batch,
  context: LossContext,
  key: jax.Array,
) -> _TeacherForcing:
  """Regression loss summed over the cells of target [B, T, C + 1]."""
  noise_key, dropout_key = jax.random.split(key)
  inputs = teacher_inputs(model.start_frames(len(target)), target)
  if config.augment.noise:
    inputs = augmentation.gaussian_noise(
      inputs,
      context.residuals,
      config.augment.noise,
      noise_key,
      counter=not config.model.alignment,
    )
  predicted = model.decode(
    inputs, source, dropout_key if config.model.dropout else None
  )
  kind = config.loss.kind
  if _is_reward_loss(config):
    kind, weights = "mse", losses.equalise_frames(weights)
  weights = part_weights.weigh_poses(weights, config.loss, model.skeleton)
  if "weight" in batch:
    weights = weights * batch["weight"][:, None, None]
  made = _hold_bones(predicted.frames, context.statistics, model.skeleton)
  total = losses.regression(
    made,
    losses.append_future(target, config.model.future),
    losses.append_future(weights, config.model.future),
    kind,
  )
  produced = made[..., : model.frame_size]
  visible = None
  if predicted.visible is not None:
    frames = losses.frame_weights(batch)
    visible = visibility.loss(predicted.visible, batch["valid"], frames)
  return _TeacherForcing(total, produced, visible, produced - target)


def _hold_bones(
  predicted: jax.Array, statistics: PoseStatistics, skeleton: Skeleton
) -> jax.Array:
  """Holds the bones of all poses in predictions [B, T, C + 1 + C (k - 1)]."""
  if statistics.bones is None:
    return predicted
  values = skeleton.num_values
  first, counter, later = jnp.split(predicted, (values, values + 1), -1)
  poses = jnp.concatenate([first, later], -1)
  held = statistics.hold_bones(poses.reshape(len(poses), -1, values), skeleton)
  first, later = jnp.split(held.reshape(poses.shape), (values,), -1)
  return jnp.concatenate([first, counter, later], -1)


def _bone_error(
  produced: jax.Array,
  batch: Batch,
  statistics: PoseStatistics,
  skeleton: Skeleton,
) -> jax.Array:
  """Relative error of bone lengths, summed over the limbs of a batch."""
  weights = _limb_weights(batch, skeleton)
  if "weight" in batch:
    weights = weights * batch["weight"][:, None, None]
  poses = statistics.denormalise(produced[..., : skeleton.num_values])
  return bones.relative_error(poses, batch["frames"], weights, skeleton)


def update_residuals(
  residuals: Residuals, errors: tuple[jax.Array, ...], epoch_ends: jax.Array
) -> Residuals:
  """Adds the errors of a batch, for the noise of the next epoch."""
  if not errors:  # of the generative decoder
    return residuals
  error, weights = errors
  return augmentation.track_residuals(residuals, error, weights, epoch_ends)
