"""Histograms of weights and gradients, computed where the arrays are."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

BINS = 30


class Histogram(NamedTuple):
  """Histogram of the finite numbers of an array.

  Attributes:
    counts: [BINS] numbers in each of equal intervals from low to high.
    low: [] the smallest number.
    high: [] the largest number.
    total: [] sum of the numbers.
    squares: [] sum of their squares.
  """

  counts: Any
  low: Any
  high: Any
  total: Any
  squares: Any


def measure(array: jax.Array) -> Histogram:
  """Computes the histogram of an array of any shape, in float32."""
  numbers = array.astype(jnp.float32).ravel()
  finite = jnp.isfinite(numbers)
  low = jnp.min(numbers, where=finite, initial=jnp.inf)
  high = jnp.max(numbers, where=finite, initial=-jnp.inf)
  low, high = jnp.where(jnp.any(finite), jnp.stack([low, high]), 0.0)
  numbers = jnp.where(finite, numbers, low)
  width = jnp.where(high > low, high - low, 1.0)
  places = jnp.floor((numbers - low) / width * BINS).astype(jnp.int32)
  counts = jnp.zeros(BINS).at[jnp.clip(places, 0, BINS - 1)].add(finite)
  shown = jnp.where(finite, numbers, 0)
  return Histogram(counts, low, high, jnp.sum(shown), jnp.sum(shown**2))
