"""Noise with the covariance of poses."""

import jax
import numpy as np

from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.models import flow_noise


def test_noise_has_the_covariance_of_the_coordinates():
  generator = np.random.default_rng(0)
  values = PROMPT2SIGN50.num_values
  poses = generator.normal(size=(4000, 20)) @ generator.normal(
    size=(20, values)
  )
  units, factor = flow_noise.measure(
    poses.std(0), np.corrcoef(poses.T), np.float32(2.0)
  )
  white = jax.random.normal(jax.random.key(0), (4000, 1, values))
  made = np.asarray(flow_noise.colour(white, factor))[:, 0] * units
  difference = np.cov(made.T) - np.cov(poses.T)
  assert np.abs(difference).mean() < 0.1 * poses.var()


def test_a_coordinate_that_hardly_varies_is_not_enlarged_without_bound():
  values = PROMPT2SIGN50.num_values
  units, factor = flow_noise.measure(
    np.zeros(values), np.eye(values), np.float32(2.0)
  )
  np.testing.assert_allclose(units, 0.1)
  assert np.abs(factor).max() < 0.01


def test_each_row_has_its_own_covariance():
  white = jax.random.normal(jax.random.key(1), (2, 5, PROMPT2SIGN50.num_values))
  factor = np.eye(PROMPT2SIGN50.num_values, dtype=np.float32)
  shared = flow_noise.colour(white, factor)
  each = flow_noise.colour(white, np.stack([factor, 2 * factor]))
  np.testing.assert_allclose(each[0], shared[0], rtol=1e-5)
  np.testing.assert_allclose(each[1], 2 * shared[1], rtol=1e-5)
