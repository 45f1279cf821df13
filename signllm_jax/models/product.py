"""Product of activations and parameters with gradients in the same dtype.

By default JAX multiplies bfloat16 operands in float32 in the backward pass,
because the incoming gradient is float32.
"""

import functools
from typing import Any

import jax
import jax.numpy as jnp

from signllm_jax.parallel import sharding


def product(
  x: jax.Array, kernel: jax.Array, dtype: jnp.dtype, axes: tuple[str, str]
) -> jax.Array:
  """Multiplies by a matrix; its gradients are products in `dtype` too.

  Args:
    x: [..., K] float32.
    kernel: [K, N] float32.
    dtype: of the operands; accumulation and result are float32.
    axes: logical axes of the matrix, of `sharding.RULES`.

  Returns:
    [..., N] float32.
  """
  y: Any = _product(x, kernel, dtype, axes)
  return y


@functools.partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def _product(x, kernel, dtype, axes):
  return _forward(x, kernel, dtype, axes)[0]


def _forward(x, kernel, dtype, axes):
  x = x.astype(dtype)
  y = jnp.dot(
    x.reshape(-1, x.shape[-1]),
    sharding.gathered(kernel.astype(dtype), axes),
    preferred_element_type=jnp.float32,
  )
  return y.reshape(*x.shape[:-1], kernel.shape[1]), (x, kernel)


def _backward(dtype, axes, residuals, gradient):
  x, kernel = residuals
  gradient = gradient.reshape(-1, kernel.shape[1]).astype(dtype)
  dot = functools.partial(
    jax.lax.dot_general, preferred_element_type=jnp.float32
  )
  full_kernel = sharding.gathered(kernel.astype(dtype), axes)
  to_x = dot(gradient, full_kernel, (((1,), (1,)), ((), ())))

  def to_kernel(x, gradient):
    flat = x.reshape(-1, x.shape[-1])
    return dot(flat, gradient, (((0,), (0,)), ((), ())))

  def to_kernel_on_cpu(x, gradient):
    # XLA's CPU backend has bfloat16 kernels only for products over the last
    # axis of the left side; otherwise it casts to float32, at a third of the
    # speed. It folds a transposed matrix into the product, but not a transpose
    # of three axes.
    transposed = x.transpose(x.ndim - 1, *range(x.ndim - 1))
    transposed = transposed.reshape(x.shape[-1], -1)
    return dot(transposed, gradient, (((1,), (0,)), ((), ())))

  if dtype == jnp.bfloat16:
    kernel_gradient = jax.lax.platform_dependent(
      x, gradient, cpu=to_kernel_on_cpu, default=to_kernel
    )
  else:
    kernel_gradient = to_kernel(x, gradient)
  return to_x.reshape(x.shape), sharding.summed(kernel_gradient, axes)


_product.defvjp(_forward, _backward)
