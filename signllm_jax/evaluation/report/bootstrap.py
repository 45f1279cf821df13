"""Percentile bootstrap over sequences: intervals, and paired differences.

Efron and Tibshirani 1993, chapters 13 and 16; for scores of a corpus, Koehn
2004 (Statistical significance tests for machine translation evaluation).
"""

from typing import NamedTuple

import numpy as np

from signllm_jax.evaluation.metrics.metric import Metric

LEVEL = 0.95
RESAMPLES = 1000
_PART = 100  # resamples at a time: keeps the sums of wide metrics small


class Interval(NamedTuple):
  """A score and the middle 95 % of its resamples.

  The ends are NaN where there is one sequence only, or the score is undefined.
  """

  value: float
  low: float
  high: float


class Difference(NamedTuple):
  """Of two scores over the same sequences, a - b."""

  a: float
  b: float
  difference: float
  low: float
  high: float
  p: float  # two-sided, of no difference


def resample(n: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
  """How often each of n sequences is drawn: [resamples, n], rows sum to n."""
  random = np.random.default_rng(seed)
  return random.multinomial(n, np.full(n, 1 / n), resamples).astype(np.float64)


def scores(metric: Metric, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """The score of each resample: [n, k] rows, [b, n] weights -> [b]."""
  return np.concatenate(
    [
      metric.finish(weights[start : start + _PART] @ rows)
      for start in range(0, len(weights), _PART)
    ]
  )


def interval(metric: Metric, rows: np.ndarray, weights: np.ndarray) -> Interval:
  """The score of all sequences with its percentile interval."""
  value = float(metric.finish(rows.sum(0)))
  made = _centred(metric, scores(metric, rows, weights), value)
  low, high = _ends(made, len(rows))
  if metric.biased:  # a distance is not below 0, wherever its resamples went
    low, high = np.maximum([low, high], 0).tolist()
  return Interval(value, low, high)


def compare(
  metric: Metric, a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> Difference:
  """Paired bootstrap: the same resamples of both.

  p is twice the smaller share of resamples whose difference is on the other
  side of 0 or on it, both shares with one added to count and total, at most 1.
  """
  one, other = float(metric.finish(a.sum(0))), float(metric.finish(b.sum(0)))
  made = scores(metric, a, weights) - scores(metric, b, weights)
  made = _centred(metric, made, one - other)
  low, high = _ends(made, len(a))
  known = made[~np.isnan(made)]
  if len(a) < 2 or not len(known):
    p = float("nan")
  else:
    sides = [(known <= 0).sum() + 1, (known >= 0).sum() + 1]
    p = min(1.0, 2 * float(min(sides)) / (len(known) + 1))
  return Difference(one, other, one - other, low, high, p)


def _centred(metric: Metric, made: np.ndarray, value: float) -> np.ndarray:
  """Resamples without their bias, where the metric says they have one."""
  if not metric.biased or np.isnan(made).all():
    return made
  return made - np.nanmean(made) + value


def _ends(made: np.ndarray, n: int) -> tuple[float, float]:
  known = made[~np.isnan(made)]
  if n < 2 or not len(known):
    return float("nan"), float("nan")
  tail = (1 - LEVEL) / 2
  low, high = np.quantile(known, [tail, 1 - tail])
  return float(low), float(high)
