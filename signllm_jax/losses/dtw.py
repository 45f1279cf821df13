"""Dynamic time warping of batches of ragged pairs, jitted.

Steps (1,1), (1,0), (0,1) have weight 1 and no slope limit, as in the published
DTW of Progressive Transformers (Saunders et al. 2020).
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.losses import frame_cost
from signllm_jax.losses.diagonals import (
  FAR,
  Norms,
  Table,
  arrange,
  resize,
  shift,
)

_DIAGONAL, _ABOVE, _LEFT = range(3)  # the previous cell of a path


class Alignment(NamedTuple):
  """The cheapest path of each pair.

  Attributes:
    total: [B] float32, sum of local costs along the path.
    cells: [B] int32, number of cells of the path.
  """

  total: jax.Array
  cells: jax.Array


def _fill(
  table: Table, keep_moves: bool = False
) -> tuple[Alignment, list[jax.Array]]:
  """Fills the table; with `keep_moves` returns moves [steps, R, P] per run."""
  pairs = table.rows.shape[0]
  last = table.first()
  older = jnp.full_like(last, FAR)
  cells = jnp.ones((1, pairs), jnp.int32)
  carry = (older, cells, last, cells)
  alignment = Alignment(last[0], cells[0])
  lanes, moves_of_runs = (0, 1), []
  for start, stop, low, high in table.runs():
    carry = tuple(
      resize(x, lanes, (low, high), fill)
      for x, fill in zip(carry, (FAR, 0, FAR, 0), strict=True)
    )
    lanes = (low, high)

    def step(carry, d, low=low, high=high):
      older, older_cells, last, last_cells = carry
      diagonal, above = shift(older, FAR), shift(last, FAR)
      cheapest = jnp.minimum(jnp.minimum(diagonal, above), last)
      total = cheapest + table.diagonal(d, low, high)
      move = jnp.where(
        diagonal == cheapest,
        _DIAGONAL,
        jnp.where(above == cheapest, _ABOVE, _LEFT),
      )
      cells = 1 + jnp.where(
        move == _DIAGONAL,
        shift(older_cells, 0),
        jnp.where(move == _ABOVE, shift(last_cells, 0), last_cells),
      )
      # After its end a pair stays unchanged until the run is over.
      done = d > table.end
      # Without the barrier two unrolled steps would be fused into one that
      # computes the first step three times.
      total = jax.lax.optimization_barrier(jnp.where(done, last, total))
      cells = jax.lax.optimization_barrier(jnp.where(done, last_cells, cells))
      out = move.astype(jnp.int8) if keep_moves else None
      return (last, last_cells, total, cells), out

    carry, moves = jax.lax.scan(step, carry, jnp.arange(start, stop), unroll=2)
    if moves is not None:
      outside = (low, table.shape[0] - high)
      moves_of_runs.append(jnp.pad(moves, ((0, 0), outside, (0, 0))))
    ended = (table.end >= start) & (table.end < stop)
    lane = jnp.clip(table.rows - 1 - low, 0, high - low - 1)[None]
    alignment = Alignment(
      *(
        jnp.where(ended, jnp.take_along_axis(new, lane, 0)[0], old)
        for new, old in zip(carry[2:], alignment, strict=True)
      )
    )
  return alignment, moves_of_runs


def _total(table: Table, pairs: int) -> Alignment:
  alignment, _ = _fill(table)
  return Alignment(*(x[:pairs] for x in alignment))


@jax.jit
def align(
  cost: jax.Array,
  rows: jax.Array,
  columns: jax.Array,
  window: jax.Array | int | None = None,
) -> Alignment:
  """Cheapest paths through cost[b, :rows[b], :columns[b]].

  It has no gradient: it serves as metric and reward. For a loss see soft_dtw.

  Args:
    cost: [B, R, Q] local costs; padding is ignored.
    rows: [B] rows without padding, at least 1.
    columns: [B] columns without padding, at least 1.
    window: Sakoe-Chiba half width w: with n rows and m columns,
      min(m - n, 0) - w <= j - i <= max(m - n, 0) + w, the band around both
      diagonals of a ragged pair; None for no window.

  Returns:
    Total costs and numbers of cells; among equally cheap steps the diagonal is
    preferred, then the one along the reference.
  """
  cost = jax.lax.stop_gradient(cost.astype(jnp.float32))
  return _total(arrange(cost, rows, columns, window), len(cost))


@functools.partial(jax.jit, static_argnames="metric")
def dtw(
  reference: jax.Array,
  reference_length: jax.Array,
  hypothesis: jax.Array,
  hypothesis_length: jax.Array,
  metric: frame_cost.Metric = "l2",
  valid: jax.Array | None = None,
  window: jax.Array | int | None = None,
) -> Alignment:
  """DTW of a batch of ragged pairs, without gradient.

  Published scores divide the total by the reference's length (PT) or by the
  path's cells (DTW-MJE).

  Args:
    reference: [B, R, C] or [B, R, J, 3], any float; computed in float32.
    reference_length: [B] frames, at least 1.
    hypothesis: [B, Q, C] or [B, Q, J, 3].
    hypothesis_length: [B] frames, at least 1.
    metric: local cost, see frame_cost.local_cost.
    valid: [B, R, J] bool, joints of the reference that count ("mean_joint").
    window: Sakoe-Chiba half width in frames, see align.

  Returns:
    Total cost and path length of each pair.

  Raises:
    UsageError: no such metric, or a mask for a metric without joints.
  """
  x, y = jax.lax.stop_gradient(
    frame_cost.flat_pairs(
      reference, reference_length, hypothesis, hypothesis_length
    )
  )
  norms = None
  if metric in frame_cost.PRODUCT_METRICS and valid is None:
    cost, own, other = frame_cost.products_and_norms(x, y)
    size = x.shape[-1]
    norms = Norms(
      own, other, lambda xy, n: frame_cost.cost_of_product(xy, n, metric, size)
    )
  else:
    cost = frame_cost.local_cost(x, y, metric, valid)
  table = arrange(cost, reference_length, hypothesis_length, window, norms)
  return _total(table, len(x))


@jax.jit
def _moves(cost, rows, columns, window):
  table = arrange(cost.astype(jnp.float32), rows, columns, window)
  return jnp.concatenate(_fill(table, keep_moves=True)[1])


class Cells(NamedTuple):
  """Cells of the cheapest path of each pair, from the end to (0, 0).

  Attributes:
    rows: [B, R + Q - 1] int32.
    columns: [B, R + Q - 1] int32.
    real: [B, R + Q - 1] bool, False after the path's last cell.
  """

  rows: jax.Array
  columns: jax.Array
  real: jax.Array


@jax.jit
def cells(
  cost: jax.Array,
  rows: jax.Array,
  columns: jax.Array,
  window: jax.Array | int | None = None,
) -> Cells:
  """Cells of each pair's cheapest path, traced back on the device.

  Args:
    cost: [B, R, Q] local costs, as of align.
    rows: [B] rows without padding, at least 1.
    columns: [B] columns without padding, at least 1.
    window: Sakoe-Chiba half width or None.
  """
  b, r, q = cost.shape
  moves = _moves(jax.lax.stop_gradient(cost), rows, columns, window)
  pairs = jnp.arange(b)

  def step(carry, _):
    i, j, real = carry
    move = moves[jnp.maximum(i + j - 1, 0), i, pairs]
    previous_i = jnp.maximum(i - (move != _LEFT), 0)
    previous_j = jnp.maximum(j - (move != _ABOVE), 0)
    return (previous_i, previous_j, real & (i + j > 0)), (i, j, real)

  last = rows.astype(jnp.int32) - 1, columns.astype(jnp.int32) - 1
  start = *last, jnp.ones(b, bool)
  _, found = jax.lax.scan(step, start, length=r + q - 1)
  return Cells(*(x.T for x in found))


def paths(
  cost: jax.Array,
  rows: jax.Array,
  columns: jax.Array,
  window: jax.Array | int | None = None,
) -> list[np.ndarray]:
  """Cells of each pair's cheapest path, on the host.

  Args:
    cost: [B, R, Q] local costs, see align and frame_cost.local_cost.
    rows: [B] rows without padding.
    columns: [B] columns without padding.
    window: Sakoe-Chiba half width or None.

  Returns:
    For each pair [cells, 2] int32, (row, column) from (0, 0) to the end.
  """
  found = jax.device_get(cells(cost, rows, columns, window))
  return [
    np.stack([i[real], j[real]], -1)[::-1]
    for i, j, real in zip(*found, strict=True)
  ]
