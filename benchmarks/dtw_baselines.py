"""Other implementations of DTW and soft-DTW, imported on demand.

All but python_l1 take two float32 batches [B, T, C] and return a function that
computes the values [B]. They raise ImportError if their package is not
installed.
"""

import concurrent.futures
import importlib
import os
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from benchmarks import timing


def python_l1(x: np.ndarray, y: np.ndarray) -> float:
  """DTW of one pair, cell by cell, as the published evaluation computes it."""
  r, q = len(x), len(y)
  table = np.full((r + 1, q + 1), np.inf)
  table[0, 0] = 0
  for i in range(r):
    for j in range(q):
      cost = np.abs(x[i] - y[j]).sum()
      before = min(table[i, j], table[i, j + 1], table[i + 1, j])
      table[i + 1, j + 1] = cost + before
  return float(table[r, q])


def by_hand(x: np.ndarray, y: np.ndarray) -> Callable[[], np.ndarray]:
  """Numpy's matrix product and a compiled loop over cells, pairs in parallel.

  Raises:
    ImportError: numba is not installed.
  """
  numba = importlib.import_module("numba")

  @numba.njit(parallel=True, fastmath=True)
  def fill(products, x_norms, y_norms):
    pairs, r, q = products.shape
    totals = np.empty(pairs, np.float32)
    far = np.float32(1e30)
    for pair in numba.prange(pairs):
      row = np.full(q + 1, far, np.float32)
      costs = np.empty(q, np.float32)
      row[0] = 0
      for i in range(r):
        for j in range(q):  # apart from the recursion, to be vectorised
          squared = x_norms[pair, i] + y_norms[pair, j]
          squared -= np.float32(2) * products[pair, i, j]
          costs[j] = np.sqrt(max(squared, np.float32(0)))
        diagonal, left = row[0], far
        row[0] = far
        for j in range(q):
          above = row[j + 1]
          left = costs[j] + min(left, min(diagonal, above))
          row[j + 1] = left
          diagonal = above
      totals[pair] = row[q]
    return totals

  def run():
    products = np.matmul(x, y.transpose(0, 2, 1))
    norms = (np.einsum("btc,btc->bt", v, v) for v in (x, y))
    return fill(products, *norms)

  return run


def _pairwise(
  one: Callable[[np.ndarray, np.ndarray], float], x: np.ndarray, y: np.ndarray
) -> Callable[[], list[float]]:
  """Applies `one` to the pairs in turn, or on threads if that is faster."""
  pool = concurrent.futures.ThreadPoolExecutor(os.cpu_count())
  ways = {
    "in turn": lambda: list(map(one, x, y)),
    "threads": lambda: list(pool.map(one, x, y)),
  }
  one(x[0], y[0])  # compiles
  took = {
    name: min(timing.seconds(way) for _ in range(2))
    for name, way in ways.items()
  }
  return ways[min(took, key=lambda name: took[name])]


def dtaidistance(x: np.ndarray, y: np.ndarray) -> Callable[[], list[float]]:
  """The C library dtaidistance, in its float64."""
  module = importlib.import_module("dtaidistance.dtw_ndim")

  def one(a, b):
    return module.distance_fast(a, b, inner_dist="euclidean")

  return _pairwise(one, x.astype(np.float64), y.astype(np.float64))


def tslearn(x: np.ndarray, y: np.ndarray) -> Callable[[], list[float]]:
  """The compiled loop of tslearn: the root of the sum of squared distances."""
  metrics = importlib.import_module("tslearn.metrics")
  return _pairwise(metrics.dtw, x, y)


def ott(x: jax.Array, y: jax.Array, gamma: float) -> Callable[[], Any]:
  """ott-jax's soft-DTW and its gradient in y, as one compiled function."""
  costs = importlib.import_module("ott.geometry.costs")
  soft = costs.SoftDTW(gamma=gamma)

  scale = x.shape[-1] ** 0.5  # its cost is the sum of squares, ours their mean

  def total(y, x):
    values = jax.vmap(soft)(x / scale, y / scale)
    return values.sum(), values

  both = jax.jit(jax.value_and_grad(total, has_aux=True))
  return lambda: jax.block_until_ready(both(y, x))[0][1]
