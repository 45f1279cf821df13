"""Soft dynamic time warping as a training loss (Cuturi and Blondel 2017).

The minimum in DTW's recursion becomes -gamma log sum exp(-x / gamma). The
forward pass stores the probability of each transition, so that the backward
pass needs neither exponentials nor costs. Both run when the value is
differentiated; only the gradient of each frame is then stored, which is smaller
than the table by the factor length / C.
"""

import functools

import jax
import jax.numpy as jnp

from signllm_jax.losses import frame_cost
from signllm_jax.losses.diagonals import (
  FAR,
  Table,
  arrange,
  resize,
  shift,
  unarrange,
)


def _forward(
  table: Table, gamma: jax.Array, keep_probabilities: bool
) -> tuple[jax.Array, list[tuple[jax.Array, jax.Array]]]:
  """Values [P]; per run, probabilities [steps, lanes, P] of two transitions.

  The two are those from the diagonal and from above. The third, from the left,
  is their complement to 1.
  """
  last = table.first()
  carry = jnp.full_like(last, FAR), last
  value, lanes, probabilities_of_runs = last[0], (0, 1), []
  for start, stop, low, high in table.runs():
    carry = tuple(resize(x, lanes, (low, high), FAR) for x in carry)
    lanes = (low, high)

    def step(carry, d, low=low, high=high):
      older, last = carry
      diagonal, above = shift(older, FAR), shift(last, FAR)
      least = jnp.minimum(jnp.minimum(diagonal, above), last)
      # The exponential of the least is 1.
      most = jnp.maximum(jnp.maximum(diagonal, above), last)
      middle = jnp.maximum(
        jnp.minimum(diagonal, above),
        jnp.minimum(jnp.maximum(diagonal, above), last),
      )
      by_middle = jnp.exp((least - middle) / gamma)
      by_most = jnp.exp((least - most) / gamma)
      every = 1 + by_middle + by_most
      soft = least - gamma * jnp.log(every)
      total = soft + table.diagonal(d, low, high)
      # After its end a pair stays unchanged until the run is over.
      total = jnp.where(d > table.end, last, total)
      probabilities = None
      if keep_probabilities:
        probabilities = tuple(
          jnp.where(
            before == least,
            1,
            jnp.where(before == middle, by_middle, by_most),
          )
          / every
          for before in (diagonal, above)
        )
      return (last, total), probabilities

    carry, probabilities = jax.lax.scan(step, carry, jnp.arange(start, stop))
    probabilities_of_runs.append(probabilities)
    ended = (table.end >= start) & (table.end < stop)
    lane = jnp.clip(table.rows - 1 - low, 0, high - low - 1)[None]
    last_value = jnp.take_along_axis(carry[1], lane, 0)[0]
    value = jnp.where(ended, last_value, value)
  return value, probabilities_of_runs


def _backward(
  table: Table, probabilities_of_runs: list[tuple[jax.Array, jax.Array]]
) -> jax.Array:
  """Derivative of the value by every cost, arranged as table.costs."""
  q = table.shape[1]
  runs = table.runs()
  slopes = table.costs  # no longer needed: overwritten cell by cell
  pairs = table.rows.shape[0]
  lanes = runs[-1][2:]
  carry = (jnp.zeros((lanes[1] - lanes[0], pairs)),) * 2
  for run, probabilities in zip(
    reversed(runs), reversed(probabilities_of_runs), strict=True
  ):
    start, stop, low, high = run
    carry = tuple(resize(x, lanes, (low, high), 0) for x in carry)
    lanes = (low, high)
    i = jnp.arange(low, high)[:, None]

    def step(carry, step_input, low=low, high=high, i=i):
      # Contributions to diagonal d from d + 1 and d + 2; to d - 1 from d + 1.
      (reached, later), slopes = carry
      d, (by_diagonal, by_above) = step_input
      ends = (d == table.end) & (i == table.rows - 1)
      slope = reached + ends
      from_diagonal, from_above = by_diagonal * slope, by_above * slope
      from_left = (1 - by_diagonal - by_above) * slope
      carry = (
        later + shift(from_above, 0, -1) + from_left,
        shift(from_diagonal, 0, -1),
      )
      index = (low + d // (q - 1), d % (q - 1), 0)
      # Lanes outside the table share memory with other diagonals' cells.
      old = jax.lax.dynamic_slice(slopes, index, (high - low, 1, pairs))[:, 0]
      new = jnp.where((d - i >= 0) & (d - i < q), slope, old)
      slopes = jax.lax.dynamic_update_slice(slopes, new[:, None], index)
      return (carry, slopes), None

    (carry, slopes), _ = jax.lax.scan(
      step,
      (carry, slopes),
      (jnp.arange(start, stop), probabilities),
      reverse=True,
    )
  reached = resize(carry[0], lanes, (0, 1), 0)[0]
  return slopes.at[0, 0].set(reached + (table.end == 0))


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _soft_dtw(metric, x, y, rows, columns, gamma, valid, window):
  cost = frame_cost.local_cost(x, y, metric, valid)
  value, _ = _forward(arrange(cost, rows, columns, window), gamma, False)
  return value[: len(x)]


def _soft_dtw_forward(metric, x, y, rows, columns, gamma, valid, window):
  cost, pull = jax.vjp(
    lambda x, y: frame_cost.local_cost(x, y, metric, valid), x, y
  )
  table = arrange(cost, rows, columns, window)
  value, probabilities = _forward(table, gamma, True)
  return value[: len(x)], pull(
    unarrange(_backward(table, probabilities), cost.shape)
  )


def _soft_dtw_backward(metric, gradients, output_gradient):
  dx, dy = (x * output_gradient[:, None, None] for x in gradients)
  return dx, dy, None, None, None, None, None


_soft_dtw.defvjp(_soft_dtw_forward, _soft_dtw_backward)


@functools.partial(jax.jit, static_argnames="metric")
def soft_dtw(
  reference: jax.Array,
  reference_length: jax.Array,
  hypothesis: jax.Array,
  hypothesis_length: jax.Array,
  gamma: float | jax.Array = 0.1,
  metric: frame_cost.Metric = "squared_l2",
  valid: jax.Array | None = None,
  window: jax.Array | int | None = None,
) -> jax.Array:
  """Soft-DTW of a batch of ragged pairs, differentiable once in both.

  Only the two sequences have gradients, exactly 0 for padding. The value may be
  negative and is not 0 for equal sequences.

  Args:
    reference: [B, R, C] or [B, R, J, 3], any float; computed in float32.
    reference_length: [B] frames, at least 1.
    hypothesis: [B, Q, C] or [B, Q, J, 3].
    hypothesis_length: [B] frames, at least 1.
    gamma: temperature > 0 in units of the local cost; DTW in the limit 0.
    metric: local cost, see frame_cost.local_cost.
    valid: [B, R, J] bool, joints of the reference that count ("mean_joint").
    window: Sakoe-Chiba half width in frames, see dtw.align.

  Returns:
    [B] float32.

  Raises:
    UsageError: no such metric, or a mask for a metric without joints.
  """
  x, y = frame_cost.flat_pairs(
    reference, reference_length, hypothesis, hypothesis_length
  )
  return _soft_dtw(
    metric,
    x,
    y,
    reference_length,
    hypothesis_length,
    gamma,
    valid,
    window,
  )
