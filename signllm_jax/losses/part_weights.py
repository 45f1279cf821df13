"""Weights of the errors of parts of a skeleton: `loss.parts`."""

import functools
import re

import jax
import numpy as np

from signllm_jax.config import Loss
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton

_WEIGHT = re.compile(r"(\d{1,6}(\.\d{1,6})?)", re.ASCII)


@functools.cache
def joint_weights(parts: str, skeleton: Skeleton) -> np.ndarray:
  """Weight [J] float32 of each joint; their mean is 1.

  Args:
    parts: such as "face=2,mouth=4": names of parts of the skeleton or of its
      face, and their weights; others have 1. A later one counts where a joint
      is in two.
    skeleton: of the joints.

  Raises:
    UsageError: another form, no such part, or all weights are 0.
  """
  weights = np.ones(skeleton.num_joints)
  known = (*skeleton.parts, *skeleton.features)
  for entry in filter(None, parts.split(",")):
    name, _, weight = entry.strip().partition("=")
    if name not in known or not _WEIGHT.fullmatch(weight):
      raise errors.UsageError(
        f"--config.loss.parts={parts!r}",
        expected="PART=WEIGHT,..., weights from 0 on, of the parts of "
        f"{skeleton.name}: {', '.join(known)}",
      )
    joints = skeleton.parts.get(name) or skeleton.feature(name)
    weights[list(joints)] = float(weight)
  if not weights.any():
    raise errors.UsageError(
      f"--config.loss.parts={parts!r}", expected="a weight above 0"
    )
  return (weights / weights.mean()).astype(np.float32)


def weigh_poses(
  weights: jax.Array, settings: Loss, skeleton: Skeleton
) -> jax.Array:
  """Weights [B, T, C + 1] of numbers, with those of `settings` for poses.

  The counter, which comes last, keeps its own.
  """
  if settings.frames == 1 and not settings.parts:
    return weights
  joints = joint_weights(settings.parts, skeleton)
  factor = settings.frames * np.repeat(joints, skeleton.dims)
  return weights.at[..., :-1].multiply(factor)


def of_counter(settings: Loss, skeleton: Skeleton) -> float:
  """The weight of the counter beside the C coordinates of a frame.

  `loss.counter_weight` is relative to a coordinate of prompt2sign50. With more
  coordinates it grows in proportion, or they would outvote the counter, and
  with it the length of a clip.
  """
  share = skeleton.num_values / PROMPT2SIGN50.num_values
  return settings.counter_weight * share
