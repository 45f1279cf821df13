"""Weights of the errors of parts of the skeleton, and of the counter."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178, PROMPT2SIGN50
from signllm_jax.losses import part_weights, pose
from signllm_jax.tasks import text_to_pose


def test_parts_and_features_have_weights_of_mean_1():
  weights = part_weights.joint_weights("face=2, mouth=4", DWPOSE128)
  assert weights.mean() == pytest.approx(1)
  mouth = list(DWPOSE128.feature("mouth"))
  rest = sorted({*DWPOSE128.face} - {*mouth})
  hand = list(DWPOSE128.parts["left_hand"])
  np.testing.assert_allclose(weights[mouth] / weights[rest[0]], 2)
  np.testing.assert_allclose(weights[rest] / weights[hand[0]], 2)
  assert (part_weights.joint_weights("", HOLISTIC178) == 1).all()


@pytest.mark.parametrize(
  "parts", ["tail=2", "face", "face=-1", "face=nan", "=1", "body=1e9"]
)
def test_other_parts_are_refused_by_name(parts):
  with pytest.raises(errors.UsageError, match=r"loss.parts.*dwpose128.*mouth"):
    part_weights.joint_weights(parts, DWPOSE128)


def test_a_skeleton_without_a_face_has_no_mouth():
  with pytest.raises(errors.UsageError, match="prompt2sign50"):
    part_weights.joint_weights("mouth=2", PROMPT2SIGN50)
  with pytest.raises(errors.UsageError, match="above 0"):
    zero = "body=0,left_hand=0,right_hand=0"
    part_weights.joint_weights(zero, PROMPT2SIGN50)


def test_only_poses_are_weighed():
  settings = config.Loss(frames=0.5, parts="right_hand=3")
  ones = jnp.ones((1, 2, PROMPT2SIGN50.num_values + 1))
  found = np.asarray(part_weights.weigh_poses(ones, settings, PROMPT2SIGN50))
  joints = part_weights.joint_weights("right_hand=3", PROMPT2SIGN50)
  np.testing.assert_allclose(found[0, 0, :-1], 0.5 * joints.repeat(3))
  np.testing.assert_array_equal(found[..., -1], 1)
  plain = dataclasses.replace(settings, frames=1.0, parts="")
  assert part_weights.weigh_poses(ones, plain, PROMPT2SIGN50) is ones


@pytest.mark.parametrize("skeleton", [PROMPT2SIGN50, DWPOSE128, HOLISTIC178])
def test_the_counter_keeps_its_share_of_the_loss(skeleton):
  settings = config.Loss(counter_weight=10.0, counter_unit="frames")
  valid = jnp.ones((1, 4, skeleton.num_joints), bool)
  lengths = jnp.array([4])
  weights = np.asarray(pose.cell_weights(valid, lengths, settings, skeleton))
  share = weights[0, 0, -1] / weights[0, 0, :-1].sum()
  assert share == pytest.approx(10 * 4**2 / 150)
  experiment = config.Experiment(loss=settings)
  experiment.data.skeleton = skeleton.name
  batch = {"valid": valid, "length": lengths}
  total = text_to_pose.loss_denominator(experiment, batch)
  counter = 4 * 10 * skeleton.num_values / 150
  assert float(total.numbers) == pytest.approx(
    4 * skeleton.num_values + counter
  )
