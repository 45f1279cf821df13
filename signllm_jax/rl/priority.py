"""Priority Learning Channel: which candidates a step learns from (section 6).

P(i) = r_i^eta / sum_j r_j^eta, and examples whose reward is below 50 % are
skipped. A reward is minus an error, so this cannot be taken literally. Our
reading: the priority exp(r_i / tau) is in (0, 1], tau a multiple of the running
mean of the errors; the chance is that of the priority to the power eta among a
pool of candidates; those below the pool's quantile are skipped; an example
never seen comes first.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax.config import Priority
from signllm_jax.data.batch import Batch

_KEPT = 0.99  # of the running mean of the errors, a step


class Table(NamedTuple):
  """What is known of the training examples; part of every checkpoint."""

  reward: jax.Array  # [n] float32, when it was last drawn
  drawn: jax.Array  # [n] int32, how often
  error: jax.Array  # [] float32, running mean of minus the rewards


class Drawn(NamedTuple):
  """What a step learns from."""

  batch: Batch  # of fewer rows; with `weight` [B] float32, of mean 1
  told: dict[str, jax.Array]  # name -> [], for the log


def empty(examples: int) -> Table:
  """The table of so many examples, none of them seen."""
  return Table(
    jnp.zeros(examples), jnp.zeros(examples, jnp.int32), jnp.float32(0)
  )


def draw(table: Table, pool: Batch, config: Priority, key: jax.Array) -> Drawn:
  """Draws a batch from a pool of candidates, on the device.

  The pool's parts draw for themselves: where each device holds one, nothing
  but the choice of rows is computed, and no frame leaves its device.

  Args:
    table: of the examples.
    pool: a batch of K rows with `example` [K], their ids.
    config: how.
    key: of the choice.
  """
  split = jax.tree.map(
    lambda x: x.reshape(config.parts, -1, *x.shape[1:]), pool
  )
  keys = jax.random.split(key, config.parts)

  def choose(part: Batch, key: jax.Array) -> tuple[Batch, dict]:
    real = part["length"] > 0
    known = table.drawn[part["example"]] > 0
    counts, skipped = expected(
      table.reward[part["example"]],
      real & known,
      real & ~known,
      table.error,
      config,
    )
    rows, taken = systematic(counts, real, len(real) // config.pool, key)
    chosen = jax.tree.map(lambda x: x[rows], part)
    fair = jnp.sum(counts) / jnp.maximum(jnp.sum(real), 1)
    weight = jnp.where(
      taken, (fair / jnp.maximum(counts[rows], 1e-9)) ** config.importance, 0
    )
    mean = jnp.sum(weight) / jnp.maximum(jnp.sum(taken), 1)
    chosen["weight"] = weight / jnp.maximum(mean, 1e-9)
    size = jnp.sum(counts) ** 2 / jnp.maximum(jnp.sum(counts**2), 1e-9)
    real_count = jnp.maximum(jnp.sum(real), 1)
    return chosen, {
      "effective_sample_size": size / real_count,
      "skipped": jnp.sum(skipped) / real_count,
      "unseen": jnp.sum(real & ~known) / real_count,
    }

  chosen, told = jax.vmap(choose)(split, keys)
  batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), chosen)
  # A step on these rows is compiled like one on rows that were read.
  return Drawn(
    jax.lax.optimization_barrier(batch), jax.tree.map(jnp.mean, told)
  )


def expected(
  reward: jax.Array,
  known: jax.Array,
  unseen: jax.Array,
  error: jax.Array,
  config: Priority,
) -> tuple[jax.Array, jax.Array]:
  """How often each candidate is expected among the rows that are drawn.

  Args:
    reward: [K] of the table.
    known: [K] bool, candidates with a reward.
    unseen: [K] bool, candidates without.
    error: [] running mean of minus the rewards.
    config: eta, tau, floor, which end.

  Returns:
    [K] float32, summing to the rows, and [K] bool, skipped by the floor.
  """
  wanted = jnp.ceil((jnp.sum(known) + jnp.sum(unseen)) / config.pool)
  score = reward / jnp.maximum(config.tau * error, 1e-12)
  if config.hard:
    score = -score
  floor = jnp.nanquantile(jnp.where(known, score, jnp.nan), float(config.floor))
  skipped = known & (score < floor)
  open_to = known & ~skipped
  best = jnp.max(jnp.where(open_to, score, -jnp.inf))
  weight = jnp.where(open_to, jnp.exp(config.eta * (score - best)), 0)
  first = jnp.minimum(wanted, jnp.sum(unseen))
  counts = jnp.where(unseen, first / jnp.maximum(jnp.sum(unseen), 1), 0)
  rest = (wanted - first) / jnp.maximum(jnp.sum(weight), 1e-30)
  # All known candidates may be asked for although none is left.
  return counts + weight * rest, skipped


def systematic(
  counts: jax.Array, real: jax.Array, rows: int, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Stratified draws: candidate i comes counts[i] times on average.

  Args:
    counts: [K], summing to a whole number, at most `rows`.
    real: [K] bool, False in empty rows.
    rows: how many to draw.
    key: of the draws.

  Returns:
    [rows] rising indices of candidates, then of an empty one; [rows] bool, the
    former. Rows whose count is 1 and that come first are drawn exactly once.
  """
  k = len(counts)
  # Whole counts first, so that no stratum's border cuts them.
  order = jnp.argsort(counts != 1, stable=True)
  ends = jnp.cumsum(counts[order])
  place = jnp.arange(rows, dtype=jnp.float32)
  at = place + jax.random.uniform(key, (rows,))
  at = jnp.minimum(at, jnp.nextafter(place + 1, jnp.zeros_like(place)))
  at = jnp.minimum(at, jnp.nextafter(ends[-1], 0.0))
  taken = place < jnp.round(ends[-1])
  found = order[jnp.searchsorted(ends, at, side="right")]
  found = jnp.sort(jnp.where(taken, found, k))
  return jnp.where(taken, found, jnp.argmin(real)), taken


def learn(
  table: Table, example: jax.Array, real: jax.Array, reward: jax.Array
) -> Table:
  """The table after a step.

  Args:
    table: before.
    example: [B] ids.
    real: [B] bool, False in empty rows.
    reward: [B]; the mean is kept of an example that was drawn more than once.
  """
  n = len(table.reward)
  at = jnp.where(real, example, n)
  times = jnp.zeros(n, jnp.int32).at[at].add(1, mode="drop")
  total = jnp.zeros(n).at[at].add(reward, mode="drop")
  mean = -jnp.sum(jnp.where(real, reward, 0)) / jnp.maximum(jnp.sum(real), 1)
  first = ~jnp.any(table.drawn > 0)
  return Table(
    jnp.where(times > 0, total / jnp.maximum(times, 1), table.reward),
    table.drawn + times,
    jnp.where(first, mean, _KEPT * table.error + (1 - _KEPT) * mean),
  )
