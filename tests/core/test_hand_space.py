"""Coordinates of hands in their own frame, from arrays of NumPy and JAX."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax.core import hand_space
from signllm_jax.core.skeleton import PROMPT2SIGN50

BOTH = pytest.mark.parametrize("xp", [np, jnp], ids=["numpy", "jax"])


@BOTH
def test_coordinates_are_invertible_and_hands_their_own(xp):
  poses = np.random.default_rng(1).normal(size=(4, PROMPT2SIGN50.num_joints, 3))
  coordinates = hand_space.to_hand_space(
    xp.asarray(poses, np.float32), PROMPT2SIGN50
  )
  np.testing.assert_allclose(
    hand_space.from_hand_space(coordinates, PROMPT2SIGN50), poses, atol=1e-5
  )
  carried = poses.copy()  # the left arm and its hand, moved together
  carried[
    :, [PROMPT2SIGN50.joint("left_wrist"), *PROMPT2SIGN50.parts["left_hand"]]
  ] += 1.0
  after = hand_space.to_hand_space(
    xp.asarray(carried, np.float32), PROMPT2SIGN50
  )
  changed = np.abs(after - coordinates).max((0, 2)) > 1e-4
  assert np.flatnonzero(changed).tolist() == [PROMPT2SIGN50.joint("left_wrist")]


@BOTH
def test_a_coordinate_is_known_where_its_origin_is(xp):
  valid = np.ones((3, PROMPT2SIGN50.num_joints), bool)
  valid[:, PROMPT2SIGN50.hand("left")] = False
  valid[1:, PROMPT2SIGN50.hand("right")] = False  # but once
  poses = np.ones((3, PROMPT2SIGN50.num_joints, 3), np.float32)
  _, known = hand_space.of_clips(
    xp.asarray(poses), xp.asarray(valid), PROMPT2SIGN50
  )
  known = np.asarray(known)
  assert not known[list(PROMPT2SIGN50.parts["left_hand"])].any()
  assert (
    known[list(PROMPT2SIGN50.parts["right_hand"])].all() and known[:8].all()
  )


@BOTH
def test_gaps_are_filled_in_time(xp):
  values = np.zeros((1, 6, PROMPT2SIGN50.num_joints, 3), np.float32)
  valid = np.zeros((1, 6, PROMPT2SIGN50.num_joints), bool)
  values[0, 1, 0], values[0, 4, 0] = 1.0, 4.0
  valid[0, [1, 4], 0] = True
  values[0, :, 1] = 9.0  # of a joint that the clip never shows
  filled = np.asarray(
    hand_space.fill_gaps(xp.asarray(values), xp.asarray(valid))
  )
  np.testing.assert_allclose(filled[0, :, 0, 0], [1, 1, 2, 3, 4, 4])
  assert not filled[0, :, 1].any()


def test_one_clip_is_filled_as_a_batch_is():
  random = np.random.default_rng(0)
  poses = random.normal(size=(5, 9, PROMPT2SIGN50.num_joints, 3))
  valid = random.random((5, 9, PROMPT2SIGN50.num_joints)) < 0.3
  batch, known = jax.jit(hand_space.of_clips, static_argnums=2)(
    jnp.asarray(poses, jnp.float32), jnp.asarray(valid), PROMPT2SIGN50
  )
  for i in range(5):
    alone, shown = hand_space.of_clips(poses[i], valid[i], PROMPT2SIGN50)
    np.testing.assert_allclose(batch[i], alone, atol=1e-5)
    np.testing.assert_array_equal(known[i], shown)
