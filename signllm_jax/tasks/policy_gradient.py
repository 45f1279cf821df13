"""The policy gradient of poses that are sampled free-running (section 6).

A frame is rewarded for itself and, if the decoder reads its own poses, for all
later frames. A decoder that reads the counter alone (`model.just_counter`)
cannot pass an action on: all samples of a text come from one pass over its
frames, and every joint has its own return.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax.config import Experiment, Reinforce
from signllm_jax.losses.pose import append_counter
from signllm_jax.models.pose_decoder import PoseDecoder, Source
from signllm_jax.rl import joint_rewards, policy, recognition, reward
from signllm_jax.rl.joint_rewards import Truth
from signllm_jax.rl.recognition import Recognise


def policy_loss(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  true: Truth,
  seen: jax.Array,
  weight: jax.Array,
  key: jax.Array,
  recognise: Recognise | None = None,
) -> tuple[jax.Array, jax.Array]:
  """Samples sequences: rewards [B], and the loss [] of REINFORCE.

  The gradient of the loss is minus that of the expected rewards, summed over
  frames.

  Args:
    config: the run.
    model: the decoder.
    source: what it attends to.
    true: the truth.
    seen: [J] or [B, J] bool, False for joints that are valid in no clip.
    weight: [B] of the rows.
    key: of the noise.
    recognise: the reward "recognition", where it is `rl.reward`.

  Returns:
    The reward of a text is that of its mean sequence if one pass samples all,
    else the mean of its samples' rewards.
  """
  settings = config.rl
  free = settings.reward != "mse"
  source = policy.hold_durations(source, whole=free)
  frames = true.poses.shape[1]
  clock = policy.own_clock(source, frames) if free else _true_clock(true)
  goal = _Goal(settings.reward, true, recognise)
  if model.just_counter and clock is not None:
    sampled = _sample_at_once(model, source, clock, goal, seen, settings, key)
  else:
    start = frames if clock is None else clock
    sampled = _sample_in_turn(model, source, start, goal, seen, settings, key)
  rewards, returns, log_probability = sampled
  advantage = jax.lax.stop_gradient(policy.advantages(returns))
  gains = jnp.sum(advantage * log_probability, range(2, returns.ndim))
  return rewards, -jnp.sum(gains * weight) / settings.samples


class _Goal(NamedTuple):
  """What sampled sequences are rewarded for."""

  reward: str  # `rl.reward`
  true: Truth
  recognise: Recognise | None


def _true_clock(true: Truth) -> policy.Clock:
  """The clock of the truth."""
  counters = append_counter(true.poses, true.length)[..., -1]
  return policy.Clock(counters, true.length)


def _sample_at_once(
  model: PoseDecoder,
  source: Source,
  clock: policy.Clock,
  goal: _Goal,
  seen: jax.Array,
  settings: Reinforce,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Rewards [B], returns and log-probabilities [S, B, T, J] of samples."""
  still = policy.Samples(jnp.zeros_like(goal.true.poses), clock)
  mean, visible = policy.means(model, source, still)
  cells = jnp.repeat(seen, model.skeleton.dims, axis=-1)[..., None, :]
  fixed = jax.lax.stop_gradient(jnp.where(cells, mean, 0))
  noise = jax.random.normal(key, (settings.samples, *mean.shape))
  actions = fixed + jnp.where(cells, settings.std * noise, 0)
  rewards, shares = _rewards(goal, actions, fixed, visible, clock.length)
  if goal.reward == "motion":  # of the steps before and after a frame
    after = jnp.pad(shares[..., 1:, :], ((0, 0), (0, 0), (0, 1), (0, 0)))
    shares += after
  return (
    rewards,
    shares,
    policy.log_probabilities(actions, mean, seen, settings.std),
  )


def _sample_in_turn(
  model: PoseDecoder,
  source: Source,
  clock: policy.Clock | int,
  goal: _Goal,
  seen: jax.Array,
  settings: Reinforce,
  key: jax.Array,
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Rewards [B], returns and log-probabilities [S, B, T] of samples."""
  count, rows = settings.samples, len(goal.true.length)

  def repeat(x: jax.Array) -> jax.Array:  # [B, ...] -> [S * B, ...]
    return jnp.tile(x, (count, *[1] * (x.ndim - 1)))

  sources, true = jax.tree.map(repeat, (source, goal.true))
  clocks = clock if isinstance(clock, int) else jax.tree.map(repeat, clock)
  joints = repeat(seen) if seen.ndim > 1 else seen
  made = policy.sample(model, sources, clocks, joints, settings.std, key)
  mean, visible = policy.means(model, sources, made)
  rewards, shares = _rewards(
    goal._replace(true=true),
    made.actions,
    made.actions,
    visible,
    made.clock.length,
  )
  log_probability = policy.log_probabilities(
    made.actions, mean, joints, settings.std
  )
  returns = reward.to_go(jnp.sum(shares, -1))
  by_text = jnp.mean(rewards.reshape(count, rows), 0)
  returns, log_probability = (
    x.reshape(count, rows, -1) for x in (returns, jnp.sum(log_probability, -1))
  )
  return by_text, returns, log_probability


def _rewards(
  goal: _Goal,
  made: jax.Array,
  near: jax.Array,
  visible: jax.Array | None,
  length: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """Rewards of sequences, and how they are shared out.

  Args:
    goal: what is rewarded.
    made: [..., B, T, C] samples.
    near: [B, T, C] the sequences themselves, or one near all samples: its
      alignment with the truth is that of the samples.
    visible: [B, T, J] logits of their visibility, or None.
    length: [B] frames of each.

  Returns:
    [B] rewards of `near`, and [..., B, T, J] those of the samples by frame
    and joint, whose sums are on the scale of the reward times the frames.
  """
  name, true, recognise = goal
  frames = jnp.maximum(true.length, 1)
  if name == "motion":
    lack = joint_rewards.motion_lack(near, length, true)
    shares = joint_rewards.where_lacking(made, length, true, lack)
    return joint_rewards.motion(lack), shares
  if name == "recognition":
    assert recognise is not None
    return _recognition(recognise, made, near, visible, length, true)
  if name == "dtw":
    path = joint_rewards.dtw_path(near, length, true)
    total = jnp.sum(joint_rewards.along_path(near, true, path), (-2, -1))
    return total / frames, joint_rewards.along_path(made, true, path)
  total = jnp.sum(joint_rewards.mse(near, true), (-2, -1))
  shown = jnp.sum(jnp.any(true.valid, -1), -1)
  return total / jnp.maximum(shown, 1), joint_rewards.mse(made, true)


def _recognition(
  recognise: Recognise,
  made: jax.Array,
  near: jax.Array,
  visible: jax.Array | None,
  length: jax.Array,
  true: Truth,
) -> tuple[jax.Array, jax.Array]:
  """`_rewards` of a reader; of whole clips, times the frames of the truth."""
  joints, scale = true.valid.shape[-1], jnp.maximum(true.length, 1)
  if made is not near:
    rewards, shares = recognition.by_joint(
      recognise, made, near, visible, length, joints
    )
    return rewards, shares * scale[:, None, None]
  rewards = recognise(made, visible, length)
  last = jnp.arange(made.shape[-2]) == length[:, None] - 1
  share = (rewards * scale / joints)[:, None, None]
  return rewards, jnp.where(last[..., None], share, jnp.zeros(joints))
