"""Bone lengths, and poses whose bones have given lengths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax.core import bones
from signllm_jax.core.skeleton import PROMPT2SIGN50

RANDOM = np.random.default_rng(0)
POSES = RANDOM.normal(size=(3, 4, PROMPT2SIGN50.num_joints, 3)).astype(
  np.float32
)
LENGTHS = RANDOM.uniform(0.1, 2, (3, 1, 49)).astype(np.float32)
ALL = np.ones(PROMPT2SIGN50.num_joints, bool)


def vectors(poses):
  return (
    poses[..., PROMPT2SIGN50.children, :] - poses[..., PROMPT2SIGN50.parents, :]
  )


def test_lengths_are_those_of_the_limbs():
  expected = np.linalg.norm(vectors(POSES), axis=-1)
  np.testing.assert_allclose(
    bones.limb_lengths(POSES, PROMPT2SIGN50), expected, rtol=1e-6
  )
  made = jax.jit(bones.limb_lengths, static_argnums=1)(POSES, PROMPT2SIGN50)
  np.testing.assert_allclose(made, expected, rtol=1e-6)


@pytest.mark.parametrize("as_array", [np.asarray, jnp.asarray])
def test_held_poses_have_the_lengths_the_directions_and_the_neck(as_array):
  made = bones.hold(
    as_array(POSES), as_array(LENGTHS), as_array(ALL), PROMPT2SIGN50
  )
  assert type(made) is type(as_array(POSES))
  found = np.linalg.norm(vectors(made), axis=-1)
  np.testing.assert_allclose(
    found, np.broadcast_to(LENGTHS, found.shape), rtol=1e-4
  )
  np.testing.assert_allclose(
    vectors(made) / found[..., None],
    vectors(POSES) / np.linalg.norm(vectors(POSES), axis=-1)[..., None],
    atol=1e-4,
  )
  np.testing.assert_array_equal(
    made[:, :, PROMPT2SIGN50.joint("neck")],
    POSES[:, :, PROMPT2SIGN50.joint("neck")],
  )


def test_poses_with_these_lengths_stay():
  lengths = bones.limb_lengths(POSES, PROMPT2SIGN50)
  np.testing.assert_allclose(
    bones.hold(POSES, lengths, ALL, PROMPT2SIGN50), POSES, atol=1e-5
  )


def test_limbs_without_an_end_or_a_length_keep_their_vector():
  visible, lengths = ALL.copy(), LENGTHS.copy()
  visible[PROMPT2SIGN50.joint("right_elbow")] = False
  lengths[..., 20] = 0
  made = bones.hold(POSES, lengths, visible, PROMPT2SIGN50)
  before, after = vectors(POSES), vectors(made)
  kept = (~bones.limbs_visible(visible, PROMPT2SIGN50)) | (np.arange(49) == 20)
  assert kept.sum() == 3
  np.testing.assert_allclose(
    after[..., kept, :], before[..., kept, :], atol=1e-5
  )
  found = np.linalg.norm(after, axis=-1)
  expected = np.broadcast_to(lengths, found.shape)
  np.testing.assert_allclose(found[..., ~kept], expected[..., ~kept], rtol=1e-4)
  moved = POSES.copy()
  moved[..., PROMPT2SIGN50.joint("right_elbow"), :] = 7
  others = np.arange(PROMPT2SIGN50.num_joints) != PROMPT2SIGN50.joint(
    "right_elbow"
  )
  np.testing.assert_allclose(
    bones.hold(moved, lengths, visible, PROMPT2SIGN50)[..., others, :],
    made[..., others, :],
    atol=1e-5,
  )


def test_the_gradient_is_finite_and_that_of_the_function():
  weights = RANDOM.normal(size=POSES.shape).astype(np.float32)

  def value(poses):
    return jnp.sum(weights * bones.hold(poses, LENGTHS, ALL, PROMPT2SIGN50))

  gradient = jax.jit(jax.grad(value))
  along = RANDOM.normal(size=POSES.shape).astype(np.float32)
  step = 1e-2
  slope = value(POSES + step * along) - value(POSES - step * along)
  found = float(jnp.sum(gradient(POSES) * along))
  assert found == pytest.approx(float(slope) / (2 * step), rel=2e-2)
  # All joints in one place: no direction.
  nowhere = jnp.zeros_like(POSES)
  assert jnp.isfinite(gradient(nowhere)).all()
  np.testing.assert_array_equal(
    bones.hold(nowhere, LENGTHS, ALL, PROMPT2SIGN50), nowhere
  )
  lengths = jax.grad(
    lambda poses: jnp.sum(bones.limb_lengths(poses, PROMPT2SIGN50))
  )
  np.testing.assert_array_equal(lengths(nowhere), nowhere)


def _bent() -> np.ndarray:
  """Poses [3, 4, J, 3] whose limbs are a tenth too long or too short."""
  joints = np.random.default_rng(1).normal(0, 0.03, POSES.shape)
  return (POSES + joints).astype(np.float32)


def test_the_nearest_poses_have_the_lengths_and_move_less():
  lengths = bones.limb_lengths(POSES, PROMPT2SIGN50)
  bent = _bent()
  held = bones.hold(bent, lengths, ALL, PROMPT2SIGN50)
  near = np.asarray(
    jax.jit(bones.nearest, static_argnums=3)(bent, lengths, ALL, PROMPT2SIGN50)
  )
  np.testing.assert_allclose(
    bones.limb_lengths(near, PROMPT2SIGN50), lengths, rtol=1e-4
  )
  neck = PROMPT2SIGN50.joint("neck")
  np.testing.assert_allclose(near[:, :, neck], bent[:, :, neck], atol=1e-6)
  moved = np.square(near - bent).sum()
  assert moved < 0.6 * np.square(held - bent).sum()
  # No pose with these lengths is nearer: not the true one, and none beside it.
  assert moved < np.square(POSES - bent).sum()
  for seed in range(5):
    beside = near + 1e-2 * np.random.default_rng(seed).normal(size=near.shape)
    other = bones.hold(beside.astype(np.float32), lengths, ALL, PROMPT2SIGN50)
    other += (bent - other)[:, :, [neck]]
    assert np.square(other - bent).sum() > moved
  same = bones.nearest(POSES, lengths, ALL, PROMPT2SIGN50)
  np.testing.assert_allclose(same, POSES, atol=1e-4)


def test_the_nearest_pose_leaves_hidden_and_unknown_limbs():
  visible = ALL.copy()
  visible[PROMPT2SIGN50.hand("left") + 4] = False
  lengths = bones.limb_lengths(POSES, PROMPT2SIGN50)
  lengths[..., 2] = 0
  near = np.asarray(bones.nearest(_bent(), lengths, visible, PROMPT2SIGN50))
  assert np.isfinite(near).all()
  free = ~(bones.limbs_visible(visible, PROMPT2SIGN50) & (lengths > 0))
  found = bones.limb_lengths(near, PROMPT2SIGN50)
  np.testing.assert_allclose(found[~free], lengths[~free], rtol=1e-4)
  hidden = _bent()
  hidden[:, :, PROMPT2SIGN50.hand("left") + 4] += 5
  again = np.asarray(bones.nearest(hidden, lengths, visible, PROMPT2SIGN50))
  np.testing.assert_allclose(
    again[:, :, visible], near[:, :, visible], atol=1e-4
  )
