"""Priority Learning Channel: prioritised sampling of the batch (section 6).

The paper samples with P(i) = r_i^eta / sum_j r_j^eta and skips samples whose
reward is below 50 %. As a reward is minus an error, the formula cannot be taken
literally. Here the priority is exp(r_i / tau), in (0, 1], with tau a multiple
of the running mean of the errors. Among a pool of candidates the probability is
proportional to the priority to the power eta; candidates below a quantile of
the pool are skipped; samples that were never drawn come first.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax.config import Priority
from signllm_jax.data.batch import Batch

_DECAY = 0.99  # of the running mean of the errors, a step


class Table(NamedTuple):
  """Rewards and counts of the training samples; part of every checkpoint."""

  reward: jax.Array  # [n] float32, when it was last drawn
  drawn: jax.Array  # [n] int32, number of times
  error: jax.Array  # [] float32, running mean of minus the rewards


class Draw(NamedTuple):
  """A batch drawn from a pool."""

  batch: Batch  # fewer rows; with `weight` [B] float32, of mean 1
  metrics: dict[str, jax.Array]  # name -> []


def empty(samples: int) -> Table:
  """Returns the table of so many samples, none of them drawn yet."""
  return Table(
    jnp.zeros(samples), jnp.zeros(samples, jnp.int32), jnp.float32(0)
  )


def draw(table: Table, pool: Batch, config: Priority, key: jax.Array) -> Draw:
  """Draws a batch from a pool of candidates, on the device.

  The pool's parts draw independently: where each device holds one part, only
  the row indices are computed and no frame leaves its device.

  Args:
    table: of the samples.
    pool: a batch of K rows with `example` [K], their ids.
    config: of the sampling.
    key: PRNG key.
  """
  split = jax.tree.map(
    lambda x: x.reshape(config.parts, -1, *x.shape[1:]), pool
  )
  keys = jax.random.split(key, config.parts)

  def draw_part(part: Batch, key: jax.Array) -> tuple[Batch, dict]:
    real = part["length"] > 0
    known = table.drawn[part["example"]] > 0
    counts, skipped = expected_counts(
      table.reward[part["example"]],
      real & known,
      real & ~known,
      table.error,
      config,
    )
    rows, filled = systematic_sample(
      counts, real, len(real) // config.pool, key
    )
    batch = jax.tree.map(lambda x: x[rows], part)
    batch["weight"] = _importance_weights(counts, real, rows, filled, config)
    size = jnp.sum(counts) ** 2 / jnp.maximum(jnp.sum(counts**2), 1e-9)
    real_count = jnp.maximum(jnp.sum(real), 1)
    return batch, {
      "effective_sample_size": size / real_count,
      "skipped": jnp.sum(skipped) / real_count,
      "unseen": jnp.sum(real & ~known) / real_count,
    }

  parts, metrics = jax.vmap(draw_part)(split, keys)
  batch = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), parts)
  # The barrier makes XLA compile a step on drawn rows as one on read rows.
  return Draw(
    jax.lax.optimization_barrier(batch), jax.tree.map(jnp.mean, metrics)
  )


def _importance_weights(
  counts: jax.Array,
  real: jax.Array,
  rows: jax.Array,
  filled: jax.Array,
  config: Priority,
) -> jax.Array:
  """Weights [B] of the drawn rows, of mean 1; 0 in empty rows.

  Args:
    counts: [K] expected counts of the candidates.
    real: [K] bool, candidates that are no empty rows.
    rows: [B] indices of the drawn candidates.
    filled: [B] bool, drawn rows that are not empty.
    config: with the power of the weights.
  """
  uniform = jnp.sum(counts) / jnp.maximum(jnp.sum(real), 1)
  weight = jnp.where(
    filled,
    (uniform / jnp.maximum(counts[rows], 1e-9)) ** config.importance,
    0,
  )
  mean = jnp.sum(weight) / jnp.maximum(jnp.sum(filled), 1)
  return weight / jnp.maximum(mean, 1e-9)


def expected_counts(
  reward: jax.Array,
  known: jax.Array,
  unseen: jax.Array,
  error: jax.Array,
  config: Priority,
) -> tuple[jax.Array, jax.Array]:
  """Computes how often each candidate is expected in the drawn batch.

  Args:
    reward: [K] of the table.
    known: [K] bool, candidates with a reward.
    unseen: [K] bool, candidates without.
    error: [] running mean of minus the rewards.
    config: with eta, tau, floor and hard.

  Returns:
    [K] float32, summing to the number of rows, and [K] bool, candidates that
    the floor skips.
  """
  wanted = jnp.ceil((jnp.sum(known) + jnp.sum(unseen)) / config.pool)
  score = reward / jnp.maximum(config.tau * error, 1e-12)
  if config.hard:
    score = -score
  floor = jnp.nanquantile(jnp.where(known, score, jnp.nan), float(config.floor))
  skipped = known & (score < floor)
  eligible = known & ~skipped
  best = jnp.max(jnp.where(eligible, score, -jnp.inf))
  weight = jnp.where(eligible, jnp.exp(config.eta * (score - best)), 0)
  first = jnp.minimum(wanted, jnp.sum(unseen))
  counts = jnp.where(unseen, first / jnp.maximum(jnp.sum(unseen), 1), 0)
  # Rows may remain although no known candidate does.
  rest = (wanted - first) / jnp.maximum(jnp.sum(weight), 1e-30)
  return counts + weight * rest, skipped


def systematic_sample(
  counts: jax.Array, real: jax.Array, rows: int, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Stratified sampling: candidate i is drawn counts[i] times on average.

  Args:
    counts: [K], summing to a whole number, at most `rows`.
    real: [K] bool, False in empty rows.
    rows: how many to draw.
    key: PRNG key.

  Returns:
    [rows] ascending indices of candidates, then of an empty row; [rows] bool,
    True for the former. Candidates whose count is 1 and that come first are
    drawn exactly once.
  """
  k = len(counts)
  # Whole counts first, so that no stratum's border cuts them.
  order = jnp.argsort(counts != 1, stable=True)
  ends = jnp.cumsum(counts[order])
  stratum = jnp.arange(rows, dtype=jnp.float32)
  position = stratum + jax.random.uniform(key, (rows,))
  position = jnp.minimum(
    position, jnp.nextafter(stratum + 1, jnp.zeros_like(stratum))
  )
  position = jnp.minimum(position, jnp.nextafter(ends[-1], 0.0))
  filled = stratum < jnp.round(ends[-1])
  indices = order[jnp.searchsorted(ends, position, side="right")]
  indices = jnp.sort(jnp.where(filled, indices, k))
  return jnp.where(filled, indices, jnp.argmin(real)), filled


def update(
  table: Table, example: jax.Array, real: jax.Array, reward: jax.Array
) -> Table:
  """Returns the table after a step.

  Args:
    table: before the step.
    example: [B] ids.
    real: [B] bool, False in empty rows.
    reward: [B]; a sample that was drawn more than once gets the mean.
  """
  n = len(table.reward)
  index = jnp.where(real, example, n)
  times = jnp.zeros(n, jnp.int32).at[index].add(1, mode="drop")
  total = jnp.zeros(n).at[index].add(reward, mode="drop")
  mean = -jnp.sum(jnp.where(real, reward, 0)) / jnp.maximum(jnp.sum(real), 1)
  first = ~jnp.any(table.drawn > 0)
  return Table(
    jnp.where(times > 0, total / jnp.maximum(times, 1), table.reward),
    table.drawn + times,
    jnp.where(first, mean, _DECAY * table.error + (1 - _DECAY) * mean),
  )
