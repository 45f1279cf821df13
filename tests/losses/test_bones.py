"""The loss on bone lengths."""

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.losses import bones

RANDOM = np.random.default_rng(0)
TRUE = RANDOM.normal(size=(2, 3, 150)).astype(np.float32)


def test_the_error_is_relative_and_leaves_out_what_is_missing():
  valid = np.ones((2, 3, 50), bool)
  valid[0, 0, PROMPT2SIGN50.joint("right_elbow")] = False
  weights = bones.limb_weights(TRUE, valid, np.array([3, 1]), PROMPT2SIGN50)
  assert float(weights.sum()) == 49 * 4 - 2
  assert not weights[1, 1:].any()
  longer = bones.relative_error(1.3 * TRUE, TRUE, weights, PROMPT2SIGN50)
  shorter = bones.relative_error(0.7 * TRUE, TRUE, weights, PROMPT2SIGN50)
  np.testing.assert_allclose([longer, shorter], 0.3 * (49 * 4 - 2), rtol=1e-4)


def test_a_limb_without_a_true_length_has_no_weight():
  none = np.zeros_like(TRUE)
  valid = np.ones((2, 3, 50), bool)
  weights = bones.limb_weights(none, valid, np.array([3, 3]), PROMPT2SIGN50)
  assert not weights.any()
  gradient = jax.grad(bones.relative_error)(
    jnp.asarray(none), none, weights, PROMPT2SIGN50
  )
  assert jnp.isfinite(gradient).all()
