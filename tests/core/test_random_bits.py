"""Random bits and normal noise."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax.core import random_bits

SHAPE = (16, 64, 128)


@pytest.fixture(scope="module")
def drawn():
  """Uniform numbers of two keys that differ in one bit."""
  draw = jax.jit(lambda key: random_bits.bits(key, SHAPE))
  keys = [
    jax.random.wrap_key_data(jnp.array([5, k], jnp.uint32)) for k in (0, 1)
  ]
  return [np.asarray(draw(key)).reshape(-1) / 2**32 for key in keys]


def test_bits_are_uniform_and_unrelated_to_their_neighbours(drawn):
  n = drawn[0].size
  counts, _ = np.histogram(drawn[0], 64, (0, 1))
  assert ((counts - n / 64) ** 2 / (n / 64)).sum() < 120  # chi-squared, 63
  for apart in (1, 128, 64 * 128):
    related = np.corrcoef(drawn[0][:-apart], drawn[0][apart:])[0, 1]
    assert abs(related) < 5 / np.sqrt(n)


def test_bits_of_two_keys_are_unrelated(drawn):
  a, b = drawn
  assert abs(np.corrcoef(a, b)[0, 1]) < 5 / np.sqrt(a.size)
  # Nor are they the same numbers elsewhere: few meet by chance.
  assert len(np.intersect1d(a, b)) < 100


def test_noise_is_standard_normal():
  noise = np.asarray(random_bits.normal(jax.random.key(3), SHAPE))
  assert np.isfinite(noise).all()
  assert abs(noise.mean()) < 0.01
  assert abs(noise.std() - 1) < 0.01
  assert abs((noise**4).mean() - 3) < 0.1
