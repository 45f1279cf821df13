"""Tables of local costs, walked along their anti-diagonals.

A row of the table is a lane and the batch is the minor axis, so that a step of
a walk is one vector operation and needs no skewed copy of the costs: in a table
of Q columns the cells (i, d - i) of diagonal d lie Q - 1 numbers apart.
"""

import itertools
from typing import NamedTuple

import jax
import jax.numpy as jnp

FAR = 1e30  # finite stand-in for infinity: inf - inf would be NaN
_PAIRS = 32  # a vector loop takes so many at once; smaller batches are padded
# Diagonals are walked in runs, each as wide as its longest: four save a quarter
# of the work. Each is a loop to compile, so short tables have fewer.
_RUNS, _RUN = 4, 64


class Table(NamedTuple):
  """Local costs of a batch, arranged for walking along anti-diagonals.

  Attributes:
    costs: [H, Q - 1, P] float32 view of the table, P pairs: cell (i, d - i) is
      in row i + d // (Q - 1) and column d % (Q - 1).
    rows: [P] int32, real rows of each pair.
    columns: [P] int32, real columns.
    shape: (R, Q), the padded table's.
    window: Sakoe-Chiba half width or None.
  """

  costs: jax.Array
  rows: jax.Array
  columns: jax.Array
  shape: tuple[int, int]
  window: jax.Array | int | None

  @property
  def end(self) -> jax.Array:
    """[P] the anti-diagonal on which each pair's path ends."""
    return self.rows + self.columns - 2

  def runs(self) -> list[tuple[int, int, int, int]]:
    """(start, stop, low, high): of diagonals, of the lanes that they need."""
    r, q = self.shape
    total = r + q - 1
    count = min(_RUNS, 1 + total // _RUN)
    edges = [1, *(total * k // count for k in range(1, count + 1))]
    return [
      # Lane low holds no cell: it stands for the row above the first.
      (start, stop, max(0, start - q), min(r, stop))
      for start, stop in itertools.pairwise(edges)
    ]

  def diagonal(self, d: jax.Array, low: int, high: int) -> jax.Array:
    """Costs [high - low, P] of the cells (i, d - i), FAR outside the table."""
    q = self.shape[1]
    at = (low + d // (q - 1), d % (q - 1), 0)
    size = (high - low, 1, self.costs.shape[2])
    cost = jax.lax.dynamic_slice(self.costs, at, size)[:, 0]
    i = jnp.arange(low, high)[:, None]
    inside = (d - i >= 0) & (d - i < q)
    if self.window is not None:
      spare = self.columns - self.rows
      ahead = d - 2 * i  # j - i
      inside &= ahead >= jnp.minimum(spare, 0) - self.window
      inside &= ahead <= jnp.maximum(spare, 0) + self.window
    return jnp.where(inside, cost, FAR)

  def first(self) -> jax.Array:
    """[1, P] the table after its first anti-diagonal, cell (0, 0)."""
    return self.costs[0, 0][None]


def arrange(
  cost: jax.Array,
  rows: jax.Array,
  columns: jax.Array,
  window: jax.Array | int | None,
) -> Table:
  """Puts local costs into a Table.

  Args:
    cost: [B, R, Q] float32.
    rows: [B] real rows.
    columns: [B] real columns.
    window: Sakoe-Chiba half width or None.

  Returns:
    The table; P is B rounded up.
  """
  b, r, q = cost.shape
  spare, width = -b % _PAIRS, max(q, 2)
  height = r + (r + width - 2) // (width - 1)
  cost = jnp.pad(cost, ((0, spare), (0, 0), (0, width - q)))
  flat = cost.reshape(b + spare, r * width)
  flat = jnp.pad(flat, ((0, 0), (0, height * (width - 1) - r * width)))
  # A transpose alone goes tile by tile; fused with what makes or pads the
  # costs it would jump from pair to pair, three times as slow.
  costs = jax.lax.optimization_barrier(flat).T
  rows, columns = (
    jnp.pad(n.astype(jnp.int32), (0, spare), constant_values=1)
    for n in (rows, columns)
  )
  costs = costs.reshape(height, width - 1, b + spare)
  return Table(costs, rows, columns, (r, width), window)


def unarrange(costs: jax.Array, shape: tuple[int, ...]) -> jax.Array:
  """A Table's array back as [B, R, Q]."""
  b, r, q = shape
  columns = costs.shape[1] + 1
  flat = costs.reshape(-1, costs.shape[2])[: r * columns].T
  return flat.reshape(-1, r, columns)[:b, :, :q]


def resize(
  lanes: jax.Array, old: tuple[int, int], new: tuple[int, int], fill: float
) -> jax.Array:
  """Lanes [old[0], old[1]) of a diagonal as lanes [new[0], new[1])."""
  change = (old[0] - new[0], new[1] - old[1], 0)
  return jax.lax.pad(lanes, jnp.asarray(fill, lanes.dtype), (change, (0, 0, 0)))


def shift(lanes: jax.Array, fill: float, by: int = 1) -> jax.Array:
  """Lane i gets what lane i - by held."""
  return jax.lax.pad(
    lanes, jnp.asarray(fill, lanes.dtype), ((by, -by, 0), (0, 0, 0))
  )
