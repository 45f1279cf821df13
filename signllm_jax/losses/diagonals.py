"""Cost tables of DTW, processed along their anti-diagonals.

A row of the table is a lane and the batch is the minor axis, so that one step
is one vector operation and needs no skewed copy of the costs: in a table of Q
columns the cells (i, d - i) of diagonal d lie Q - 1 numbers apart.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

FAR = 1e30  # finite stand-in for infinity: inf - inf would be NaN
_PAIRS = 32  # the batch is padded to a multiple of this vector length
# Diagonals are processed in runs, each as wide as its longest: four runs save a
# quarter of the work. Each is a loop to compile, so short tables have fewer.
_RUNS, _RUN = 4, 64


class Norms(NamedTuple):
  """Norms and formula that turn products of frames into local costs.

  Attributes:
    own: [B, R] float32, squared norms of the reference's frames.
    other: [B, Q] float32, those of the hypothesis's.
    cost: local cost from the product of two frames and the sum of their squared
      norms, elementwise.
  """

  own: jax.Array
  other: jax.Array
  cost: Callable[[jax.Array, jax.Array], jax.Array]


class Table(NamedTuple):
  """Local costs of a batch, arranged by anti-diagonals.

  Attributes:
    costs: [H, Q - 1, P] float32 view of the table, P pairs: cell (i, d - i) is
      in row i + d // (Q - 1) and column d % (Q - 1). With norms it holds
      products of frames, from which `diagonal` computes costs.
    rows: [P] int32, rows of each pair without padding.
    columns: [P] int32, columns without padding.
    shape: (R, Q) with padding.
    window: Sakoe-Chiba half width or None.
    norms: of the products, as lanes: own [R, P], other [Q + 2 R, P] in reverse
      order between R rows of zeros; None if the table holds costs.
  """

  costs: jax.Array
  rows: jax.Array
  columns: jax.Array
  shape: tuple[int, int]
  window: jax.Array | int | None
  norms: Norms | None

  @property
  def end(self) -> jax.Array:
    """Anti-diagonal [P] on which each pair's path ends."""
    return self.rows + self.columns - 2

  def runs(self) -> list[tuple[int, int, int, int]]:
    """Runs (start, stop, low, high) of diagonals and the lanes they need."""
    r, q = self.shape
    total = r + q - 1
    count = min(_RUNS, 1 + total // _RUN)
    edges = [1, *(total * k // count for k in range(1, count + 1))]
    return [
      # Lane low holds no cell: it is the row above the first.
      (start, stop, max(0, start - q), min(r, stop))
      for start, stop in itertools.pairwise(edges)
    ]

  def diagonal(self, d: jax.Array, low: int, high: int) -> jax.Array:
    """Costs [high - low, P] of the cells (i, d - i); FAR outside the table."""
    r, q = self.shape
    index = (low + d // (q - 1), d % (q - 1), 0)
    lanes, pairs = high - low, self.costs.shape[2]
    cost = jax.lax.dynamic_slice(self.costs, index, (lanes, 1, pairs))[:, 0]
    if self.norms is not None:
      own, other, local_cost = self.norms
      # Lane i pairs with frame d - i, which is in row r + q - 1 - (d - i).
      start = r + q - 1 - d + low
      facing = jax.lax.dynamic_slice(other, (start, 0), (lanes, pairs))
      cost = local_cost(cost, own[low:high] + facing)
    i = jnp.arange(low, high)[:, None]
    inside = (d - i >= 0) & (d - i < q)
    if self.window is not None:
      difference = self.columns - self.rows
      offset = d - 2 * i  # j - i
      inside &= offset >= jnp.minimum(difference, 0) - self.window
      inside &= offset <= jnp.maximum(difference, 0) + self.window
    return jnp.where(inside, cost, FAR)

  def first(self) -> jax.Array:
    """Costs [1, P] of the first anti-diagonal, cell (0, 0)."""
    if self.norms is None:
      return self.costs[0, 0][None]
    return self.diagonal(jnp.zeros((), jnp.int32), 0, 1)


def arrange(
  cost: jax.Array,
  rows: jax.Array,
  columns: jax.Array,
  window: jax.Array | int | None,
  norms: Norms | None = None,
) -> Table:
  """Arranges local costs as a Table.

  Args:
    cost: [B, R, Q] float32, or products of frames if norms are given: costs are
      then computed diagonal by diagonal, which is faster than a second table.
    rows: [B] rows without padding.
    columns: [B] columns without padding.
    window: Sakoe-Chiba half width or None.
    norms: for products.

  Returns:
    The table; P is B rounded up to a multiple of 32.
  """
  b, r, q = cost.shape
  spare, width = -b % _PAIRS, max(q, 2)
  height = r + (r + width - 2) // (width - 1)
  cost = jnp.pad(cost, ((0, spare), (0, 0), (0, width - q)))
  # The computation of costs must not be fused with the transpose: it would jump
  # from pair to pair. Padding may be fused, which saves a table.
  transposed = jax.lax.optimization_barrier(
    cost.reshape(b + spare, r * width).T
  )
  costs = jnp.pad(transposed, ((0, height * (width - 1) - r * width), (0, 0)))
  rows, columns = (
    jnp.pad(n.astype(jnp.int32), (0, spare), constant_values=1)
    for n in (rows, columns)
  )
  if norms is not None:
    own, other = (
      jnp.pad(n, ((0, spare), (0, more))).T
      for n, more in ((norms.own, 0), (norms.other, width - q))
    )
    other = jnp.pad(other[::-1], ((r, r), (0, 0)))
    norms = norms._replace(own=own, other=other)
  costs = costs.reshape(height, width - 1, b + spare)
  return Table(costs, rows, columns, (r, width), window, norms)


def unarrange(costs: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """Converts a Table's array back to [B, R, Q]."""
  b, r, q = shape
  columns = costs.shape[1] + 1
  flat = costs.reshape(-1, costs.shape[2])[: r * columns].T
  return flat.reshape(-1, r, columns)[:b, :, :q]


def resize(
  lanes: jax.Array, old: tuple[int, int], new: tuple[int, int], fill: float
) -> jax.Array:
  """Changes lanes [old[0], old[1]) of a diagonal to [new[0], new[1])."""
  change = (old[0] - new[0], new[1] - old[1], 0)
  return jax.lax.pad(lanes, jnp.asarray(fill, lanes.dtype), (change, (0, 0, 0)))


def shift(lanes: jax.Array, fill: float, by: int = 1) -> jax.Array:
  """Moves lane i - by to lane i."""
  return jax.lax.pad(
    lanes, jnp.asarray(fill, lanes.dtype), ((by, -by, 0), (0, 0, 0))
  )
