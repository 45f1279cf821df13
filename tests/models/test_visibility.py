"""The joints that a frame shows, from the logits of their visibility."""

import jax.numpy as jnp
import numpy as np

from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.models import visibility

LEFT = list(PROMPT2SIGN50.parts["left_hand"])


def test_a_joint_is_shown_with_its_part_alone():
  logits = np.full((3, PROMPT2SIGN50.num_joints), 4.0, np.float32)
  logits[1, LEFT] = -4  # a hidden hand
  logits[1, LEFT[0]] = 4  # of which one joint is seen by itself
  logits[2, LEFT[3]] = -4  # a missing finger of a hand that is shown
  seen = np.ones(PROMPT2SIGN50.num_joints, bool)
  seen[9] = False
  shown = np.asarray(visibility.shown(jnp.asarray(logits), seen, PROMPT2SIGN50))
  assert not shown[:, 9].any()
  assert shown[0].sum() == PROMPT2SIGN50.num_joints - 1
  assert (
    not shown[1, LEFT].any() and shown[1].sum() == PROMPT2SIGN50.num_joints - 21
  )
  assert (
    not shown[2, LEFT[3]] and shown[2].sum() == PROMPT2SIGN50.num_joints - 2
  )


def test_joints_that_no_clip_shows_do_not_hide_their_part():
  seen = np.ones(PROMPT2SIGN50.num_joints, bool)
  seen[LEFT[2:]] = False
  logits = np.where(seen, 4.0, -4.0).astype(np.float32)
  shown = visibility.shown(jnp.asarray(logits)[None], seen, PROMPT2SIGN50)
  np.testing.assert_array_equal(np.asarray(shown)[0], seen)


def test_the_loss_counts_real_frames_alone():
  valid = np.zeros((1, 4, PROMPT2SIGN50.num_joints), bool)
  valid[:, :2, :8] = True
  frames = np.array([[1, 1, 0, 0]], np.float32)
  logits = np.where(valid, 2.0, -2.0).astype(np.float32)
  logits[:, 2:] = 100.0  # padding
  loss = visibility.loss(jnp.asarray(logits), valid, frames)
  expected = 2 * PROMPT2SIGN50.num_joints * np.log1p(np.exp(-2.0))
  np.testing.assert_allclose(loss, expected, rtol=1e-5)
