"""Dynamic time warping on the device: batched, ragged, jitted.

Steps (1,1), (1,0), (0,1) of weight 1 (the published DTW). The cost matrix is
skewed so that an anti-diagonal is a row; one scan over two diagonals then
fills the table, and every pair is read at its own end.
"""

import functools

import jax
import jax.numpy as jnp

FAR = 1e30  # finite stand-in for infinity


def mean_joint_cost(
  reference: jax.Array, valid: jax.Array, hypothesis: jax.Array
) -> jax.Array:
  """Mean 3-D joint distance between all pairs of frames.

  Args:
    reference: [R, J, 3].
    valid: [R, J] bool; joints missing in the reference do not count.
    hypothesis: [Q, J, 3].

  Returns:
    [R, Q] float32.
  """
  gap = reference[:, None] - hypothesis[None]  # [R, Q, J, 3]
  distance = jnp.sqrt(jnp.sum(gap**2, -1))
  counted = valid[:, None].astype(jnp.float32)
  total = jnp.sum(distance * counted, -1)
  return total / jnp.maximum(jnp.sum(counted, -1), 1)


def align(
  cost: jax.Array, rows: jax.Array, columns: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """The cheapest path through cost[:rows, :columns].

  Args:
    cost: [R, Q] local costs, padded.
    rows: [] real rows, at least 1.
    columns: [] real columns, at least 1.

  Returns:
    The path's total cost [] and its number of cells []; of equally cheap
    steps the diagonal is taken, then the one along the reference.
  """
  r, q = cost.shape
  # skewed[d, i] = cost[i, d - i]: pad each row by r, then shift row i by i.
  padded = jnp.pad(cost, ((0, 0), (0, r)), constant_values=FAR)
  flat = padded.reshape(-1)[: r * (q + r - 1)]
  skewed = flat.reshape(r, q + r - 1).T  # [R + Q - 1, R]
  first = jnp.arange(r) == 0

  def shift(x, fill):
    return jnp.concatenate([jnp.full((1,), fill, x.dtype), x[:-1]])

  def diagonal(carry, local):
    (older, older_cells), (last, last_cells), index = carry
    # Cell (i, d - i) follows (i-1, .) and (i, .) of the last diagonal and
    # (i-1, .) of the one before it.
    options = jnp.stack([shift(older, FAR), shift(last, FAR), last])
    cells = jnp.stack([shift(older_cells, 0), shift(last_cells, 0), last_cells])
    choice = jnp.argmin(options, 0)[None]
    best = jnp.take_along_axis(options, choice, 0)[0]
    count = jnp.take_along_axis(cells, choice, 0)[0]
    start = first & (index == 0)
    total = jnp.where(start, local, jnp.minimum(best + local, FAR))
    count = jnp.where(start, 1, count + 1)
    end = rows - 1
    return (
      ((last, last_cells), (total, count), index + 1),
      (total[end], count[end]),
    )

  nothing = (jnp.full(r, FAR), jnp.zeros(r, jnp.int32))
  _, (totals, counts) = jax.lax.scan(
    diagonal, (nothing, nothing, jnp.int32(0)), skewed
  )
  at = rows + columns - 2
  return totals[at], counts[at]


@functools.partial(jax.jit)
def mean_joint_dtw(
  reference: jax.Array,
  valid: jax.Array,
  reference_length: jax.Array,
  hypothesis: jax.Array,
  hypothesis_length: jax.Array,
) -> tuple[jax.Array, jax.Array]:
  """DTW under the mean joint distance, for a batch of ragged pairs.

  Args:
    reference: [B, R, J, 3].
    valid: [B, R, J] bool.
    reference_length: [B], at least 1.
    hypothesis: [B, Q, J, 3].
    hypothesis_length: [B], at least 1.

  Returns:
    Total cost [B] and path length [B].
  """

  def one(pair):
    a, seen, rows, b, columns = pair
    return align(mean_joint_cost(a, seen, b), rows, columns)

  # One pair after another: a pair's table fits the cache, a batch's does not.
  return jax.lax.map(
    one, (reference, valid, reference_length, hypothesis, hypothesis_length)
  )
