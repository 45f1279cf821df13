"""The product of activations and parameters, forward and backward.

Left to itself, JAX multiplies bfloat16 operands in float32 on the way back: the
gradient that comes in is float32, whatever they were.
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
    dtype: of the operands; sums and result are float32.
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


def _backward(dtype, axes, kept, gradient):
  x, kernel = kept
  gradient = gradient.reshape(-1, kernel.shape[1]).astype(dtype)
  dot = functools.partial(
    jax.lax.dot_general, preferred_element_type=jnp.float32
  )
  whole = sharding.gathered(kernel.astype(dtype), axes)
  to_x = dot(gradient, whole, (((1,), (1,)), ((), ())))

  def to_kernel(x, gradient):
    flat = x.reshape(-1, x.shape[-1])
    return dot(flat, gradient, (((0,), (0,)), ((), ())))

  def to_kernel_on_cpu(x, gradient):
    # XLA's CPU backend has bfloat16 kernels only for products over the last
    # axis of the left side, else it casts to float32 at a third of the rate. A
    # transposed matrix it would fold into the product; three axes it does not.
    across = x.transpose(x.ndim - 1, *range(x.ndim - 1))
    across = across.reshape(x.shape[-1], -1)
    return dot(across, gradient, (((1,), (0,)), ((), ())))

  if dtype == jnp.bfloat16:
    kernels = jax.lax.platform_dependent(
      x, gradient, cpu=to_kernel_on_cpu, default=to_kernel
    )
  else:
    kernels = to_kernel(x, gradient)
  return to_x.reshape(x.shape), kernels


_product.defvjp(_forward, _backward)
