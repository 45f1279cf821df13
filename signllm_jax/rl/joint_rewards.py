"""Rewards of produced sequences, shared out to frames and joints.

The noise of a policy that does not read its own poses moves one joint of one
frame. Rewards that are given joint by joint say which noise was good, with a
hundredth of the variance of one reward for the whole sequence. All numbers are
normalised; the rewards of an empty row are 0.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax.losses import dtw, frame_cost


class Truth(NamedTuple):
  """The true sequences of a batch."""

  poses: jax.Array  # [B, T, C]
  valid: jax.Array  # [B, T, J] bool, False on padding
  length: jax.Array  # [B] frames; 0 in empty rows


class MotionLack(NamedTuple):
  """What the motion of the joints lacks against the truth."""

  motion: jax.Array  # [B, J] path lengths, true minus produced
  total: jax.Array  # [B] path lengths of all joints of the truth


def mse(produced: jax.Array, true: Truth) -> jax.Array:
  """Minus the squared errors; over a frame's joints they sum to its reward.

  Args:
    produced: [..., B, T, C], frame by frame with the truth.
    true: the truth.

  Returns:
    [..., B, T, J]; the sum over the joints is `reward.per_frame`.
  """
  joints = true.valid.shape[-1]
  squares = jnp.sum(_by_joint(produced - true.poses, joints) ** 2, -1)
  dims = true.poses.shape[-1] // joints
  return -squares / dims * _shares(true)


def dtw_path(produced: jax.Array, length: jax.Array, true: Truth) -> dtw.Cells:
  """Aligns produced [B, T, C], of [B] frames, with the truth.

  The local cost is the mean distance of the joints that the truth shows.
  """
  cost = frame_cost.local_cost(true.poses, produced, "mean_joint", true.valid)
  return dtw.cells(cost, jnp.maximum(true.length, 1), jnp.maximum(length, 1))


def along_path(produced: jax.Array, true: Truth, path: dtw.Cells) -> jax.Array:
  """Minus the local costs along a path.

  Along the cheapest path of a sequence the sum is minus its DTW distance; near
  that sequence it changes as the distance does.

  Args:
    produced: [..., B, T, C].
    true: the truth.
    path: of `dtw_path`.

  Returns:
    [..., B, T, J], by produced frame.
  """

  def at(x: jax.Array, index: jax.Array) -> jax.Array:
    return jnp.take_along_axis(x, index[..., None], -2)

  weights = at(_shares(true), path.rows)
  weights = jnp.where((path.real & _filled(true))[..., None], weights, 0)
  poses, joints = at(true.poses, path.rows), true.valid.shape[-1]

  def reward(sample: jax.Array) -> jax.Array:  # [B, T, C]
    gaps = _by_joint(at(sample, path.columns) - poses, joints)
    costs = jnp.linalg.norm(gaps, axis=-1) * weights
    into = path.columns[..., None] == jnp.arange(sample.shape[1])
    return -jnp.einsum("bkt,bkj->btj", into.astype(costs.dtype), costs)

  flat = produced.reshape(-1, *produced.shape[-3:])
  found = jax.lax.map(reward, flat)
  return found.reshape(*produced.shape[:-1], joints)


def motion_lack(
  produced: jax.Array, length: jax.Array, true: Truth
) -> MotionLack:
  """Compares the path lengths of joints.

  A joint that the truth does not always show has the motion of its visible
  steps, extrapolated; one that it never shows lacks nothing.

  Args:
    produced: [B, T, C].
    length: [B] its frames.
    true: the truth.
  """
  joints = true.valid.shape[-1]
  seen = true.valid[:, 1:] & true.valid[:, :-1]
  count = jnp.sum(seen, 1)
  steps = jnp.where(seen, _steps(true.poses, joints)[:, 1:], 0)
  everywhere = jnp.maximum(true.length - 1, 0)[:, None]
  wanted = jnp.sum(steps, 1) * everywhere / jnp.maximum(count, 1)
  own = jnp.sum(_inside(_steps(produced, joints), length), 1)
  lack = jnp.where(count > 0, wanted - own, 0)
  return MotionLack(lack, jnp.sum(wanted, -1))


def where_lacking(
  produced: jax.Array, length: jax.Array, true: Truth, lack: MotionLack
) -> jax.Array:
  """Steps of joints that lack motion, minus those of joints with too much.

  Near the sequence of `lack` the sum changes as the reward "motion" does,
  which is minus the sum of |lack| as a share of the truth's motion, times the
  frames of the truth.

  Args:
    produced: [..., B, T, C].
    length: [B] its frames.
    true: the truth.
    lack: of `motion_lack`.

  Returns:
    [..., B, T, J]; a step belongs to the frame where it ends.
  """
  scale = true.length / jnp.maximum(lack.total, 1e-6)
  signs = jnp.sign(lack.motion) * scale[:, None]
  steps = _steps(produced, true.valid.shape[-1])
  return _inside(steps, length) * signs[:, None]


def motion(lack: MotionLack) -> jax.Array:
  """The reward "motion" [B]: minus |lack|, as a share of the truth's motion."""
  missing = jnp.sum(jnp.abs(lack.motion), -1)
  return -missing / jnp.maximum(lack.total, 1e-6)


def _by_joint(poses: jax.Array, joints: int) -> jax.Array:
  """Poses [..., C] as [..., J, D]."""
  return poses.reshape(*poses.shape[:-1], joints, -1)


def _shares(true: Truth) -> jax.Array:
  """Shares [B, T, J] of the valid joints in the mean of their frame."""
  valid = true.valid.astype(jnp.float32)
  return valid / jnp.maximum(jnp.sum(valid, -1, keepdims=True), 1)


def _filled(true: Truth) -> jax.Array:
  """Rows [B, 1] bool that are not empty."""
  return (true.length > 0)[:, None]


def _steps(poses: jax.Array, joints: int) -> jax.Array:
  """Distances [..., T, J] from the frame before; 0 in the first frame."""
  moved = jnp.diff(_by_joint(poses, joints), axis=-3)
  steps = jnp.linalg.norm(moved, axis=-1)
  return jnp.concatenate([jnp.zeros_like(steps[..., :1, :]), steps], -2)


def _inside(values: jax.Array, length: jax.Array) -> jax.Array:
  """Values [..., B, T, J], 0 from frame `length` [B] on."""
  frames = jnp.arange(values.shape[-2])
  return jnp.where((frames < length[:, None])[..., None], values, 0)
