"""Noise with the covariance of poses."""

import jax
import numpy as np

from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.models import flow_noise, hand_space


def test_noise_has_the_correlations_of_the_coordinates():
  generator = np.random.default_rng(0)
  mixing = generator.normal(size=(PROMPT2SIGN50.num_values, 20))
  covariance = (mixing @ mixing.T).astype(np.float32)
  deviation, factor = flow_noise.measure(
    covariance, np.float32(2.0), PROMPT2SIGN50
  )
  white = jax.random.normal(
    jax.random.key(0), (4000, 1, PROMPT2SIGN50.num_values)
  )
  made = np.asarray(flow_noise.colour(white, factor))[:, 0] * deviation
  poses = (generator.normal(size=(4000, 20)) @ mixing.T / 2).astype(np.float32)
  expected = np.asarray(
    hand_space.to_hand_space(
      poses.reshape(-1, PROMPT2SIGN50.num_joints, 3), PROMPT2SIGN50
    )
  ).reshape(-1, PROMPT2SIGN50.num_values)
  scale = np.std(expected)
  difference = np.cov(made.T) - np.cov(expected.T)
  assert np.abs(difference).mean() < 0.1 * scale**2


def test_a_coordinate_that_hardly_varies_is_not_enlarged_without_bound():
  values = PROMPT2SIGN50.num_values
  deviation, factor = flow_noise.measure(
    np.zeros((values, values)), np.float32(1.0), PROMPT2SIGN50
  )
  np.testing.assert_allclose(deviation, 0.05)
  assert np.abs(factor).max() < 0.01


def test_each_row_has_its_own_covariance():
  white = jax.random.normal(jax.random.key(1), (2, 5, PROMPT2SIGN50.num_values))
  factor = np.eye(PROMPT2SIGN50.num_values, dtype=np.float32)
  shared = flow_noise.colour(white, factor)
  each = flow_noise.colour(white, np.stack([factor, 2 * factor]))
  np.testing.assert_allclose(each[0], shared[0], rtol=1e-5)
  np.testing.assert_allclose(each[1], 2 * shared[1], rtol=1e-5)
