"""Random bits for dropout and noise, at a fraction of threefry's cost.

A number is a hash of its index and the key, so it depends neither on the mesh
nor on the backend, and XLA computes it where it is used instead of writing it
to memory. Good enough to decide what to drop; not for cryptography, and not for
draws that are few and matter (initial parameters, samples): those stay with
jax.random.
"""

import jax
import jax.numpy as jnp
from jax import lax


def bits(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Uniform uint32 of a shape.

  Shift and multiply three times, so that every bit that goes in changes half of
  those that come out (constants of Wellons' "triple32", public domain). Half of
  the key goes in before the first round and half after it: numbers of two keys
  are then neither the same ones in another order nor a constant apart.

  Args:
    key: a key of jax.random; each use needs its own.
    shape: fewer than 2**32 numbers, or they repeat.
  """
  before, between = jax.random.key_data(key)
  x = jnp.broadcast_to(before, shape)
  stride = 1
  for axis in reversed(range(len(shape))):
    along = lax.broadcasted_iota(jnp.uint32, shape, axis)
    x = x + along * jnp.uint32(stride % 2**32)
    stride *= shape[axis]
  x = (x ^ (x >> 17)) * jnp.uint32(0xED5AD4BB) + between
  x = (x ^ (x >> 11)) * jnp.uint32(0xAC4C1B51)
  x = (x ^ (x >> 15)) * jnp.uint32(0x31848BAB)
  return x ^ (x >> 14)


def normal(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Standard normal float32 of a shape; arguments as of `bits`."""
  # 23 bits and a half step, so that neither -1 nor 1 comes out.
  steps = (bits(key, shape) >> 9).astype(jnp.float32) + 0.5
  return lax.erf_inv(steps * 2.0**-22 - 1) * 2.0**0.5
