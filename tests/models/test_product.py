"""Products of matrices and their gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax.models.product import product


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
