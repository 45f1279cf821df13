"""Random bits for dropout and noise, at a fraction of threefry's cost.

A number is a hash of its index and the key. So it depends neither on the mesh
nor on the backend, and XLA fuses its computation into its use. Its quality
suffices for dropout and noise, but not for cryptography. Initial parameters and
samples are drawn by jax.random.
"""

import jax
import jax.numpy as jnp
from jax import lax


def bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Draws uniform uint32.

  Three rounds of shift and multiply let every input bit change half of the
  output bits (constants of Wellons' "triple32", public domain). Half of the key
  enters before the first round and half after it; otherwise the numbers of two
  keys would be permutations of each other or differ by a constant.

  Args:
    key: a key of jax.random; each use needs its own.
    shape: of the result; beyond 2**32 numbers they repeat.
  """
  before, between = jax.random.key_data(key)
  x = jnp.broadcast_to(before, shape)
  stride = 1
  for axis in reversed(range(len(shape))):
    index = lax.broadcasted_iota(jnp.uint32, shape, axis)
    x = x + index * jnp.uint32(stride % 2**32)
    stride *= shape[axis]
  x = (x ^ (x >> 17)) * jnp.uint32(0xED5AD4BB) + between
  x = (x ^ (x >> 11)) * jnp.uint32(0xAC4C1B51)
  x = (x ^ (x >> 15)) * jnp.uint32(0x31848BAB)
  return x ^ (x >> 14)


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Draws standard normal float32; arguments as in `bits`."""
  # 23 bits and half a step, so that neither -1 nor 1 is drawn.
  steps = (bits(key, shape) >> 9).astype(jnp.float32) + 0.5
  return lax.erf_inv(steps * 2.0**-22 - 1) * 2.0**0.5
