"""What the step is made fast by: random bits, products, the optimiser."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from signllm_jax import config
from signllm_jax.core import random_bits
from signllm_jax.models.product import product
from signllm_jax.runs import optimizer

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


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gradients_of_a_product_are_those_of_the_matrices(dtype):
  random = np.random.default_rng(0)
  x, kernel, back = (
    random.normal(size=shape).astype(np.float32)
    for shape in ((3, 8, 16), (16, 24), (3, 8, 24))
  )

  def multiply(x, kernel):
    return product(x, kernel, jnp.dtype(dtype), ("embed", "mlp"))

  both = jax.jit(lambda x, k, g: jax.vjp(multiply, x, k)[1](g))
  to_x, to_kernel = both(x, kernel, back)
  assert to_x.dtype == to_kernel.dtype == jnp.float32
  tolerance = {"float32": 1e-5, "bfloat16": 0.1}[dtype]
  np.testing.assert_allclose(to_x, back @ kernel.T, atol=tolerance)
  flat = x.reshape(-1, 16).T @ back.reshape(-1, 24)
  np.testing.assert_allclose(to_kernel, flat, atol=tolerance)


def _tree(seed: int, scale: float = 1.0):
  random = np.random.default_rng(seed)
  shapes = {"kernel": (6, 4), "bias": (4,)}
  return {
    name: jnp.asarray(random.normal(0, scale, shape), jnp.float32)
    for name, shape in shapes.items()
  }


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_the_optimiser_is_optax_chain(scale):
  settings = config.Optim(clip_norm=1.0, weight_decay=0.1)
  chain = optimizer.make_optimizer(settings)
  ours = theirs = _tree(0)
  state = expected = chain.init(ours)
  apply = jax.jit(
    lambda *given: optimizer.apply(settings, *given, jnp.float32(0.01), True)
  )
  for seed in range(1, 4):
    grads = _tree(seed, scale)
    ours, state = apply(ours, state, grads)
    updates, expected = chain.update(grads, expected, theirs)
    theirs = optax.tree.add_scale(theirs, -0.01, updates)
  assert jax.tree.structure(state) == jax.tree.structure(expected)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7),
    (ours, state),
    (theirs, expected),
  )


def test_a_step_that_is_not_applied_changes_no_bit():
  settings = config.Optim(weight_decay=0.1)
  params = _tree(0)
  params["bias"] = params["bias"].at[0].set(-0.0)
  state = optimizer.make_optimizer(settings).init(params)
  apply = jax.jit(
    lambda *given: optimizer.apply(
      settings, params, state, *given, jnp.float32(0.01), jnp.bool(False)
    )
  )
  for bad in (np.nan, np.inf, 1.0):
    grads = jax.tree.map(lambda x, bad=bad: jnp.full_like(x, bad), params)
    for old, new in zip(
      jax.tree.leaves((params, state)),
      jax.tree.leaves(apply(grads)),
      strict=True,
    ):
      assert np.asarray(old).tobytes() == np.asarray(new).tobytes()
