"""Percentile bootstrap over sequences: intervals, and paired differences.

Efron and Tibshirani 1993, chapters 13 and 16; for scores of a corpus, Koehn
2004 (Statistical significance tests for machine translation evaluation).
"""

from typing import NamedTuple

import numpy as np

from signllm_jax.evaluation.metrics.metric import Metric

LEVEL = 0.95
RESAMPLES = 1000
_CHUNK = 100  # resamples at a time: keeps the sums of wide metrics small


class Interval(NamedTuple):
  """A score and the middle 95 % of its resamples.

  The ends are NaN for a single sequence, or where the score is undefined.
  """

  value: float
  low: float
  high: float


class Difference(NamedTuple):
  """Two scores over the same sequences, and their difference a - b."""

  a: float
  b: float
  difference: float
  low: float
  high: float
  p: float  # two-sided, of no difference


def resample(n: int, resamples: int = RESAMPLES, seed: int = 0) -> np.ndarray:
  """Draws resamples of n sequences: counts [resamples, n], rows sum to n."""
  random = np.random.default_rng(seed)
  return random.multinomial(n, np.full(n, 1 / n), resamples).astype(np.float64)


def scores(metric: Metric, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """Scores each resample: [n, k] rows, [b, n] weights -> [b]."""
  return np.concatenate(
    [
      metric.finish(weights[start : start + _CHUNK] @ rows)
      for start in range(0, len(weights), _CHUNK)
    ]
  )


def interval(metric: Metric, rows: np.ndarray, weights: np.ndarray) -> Interval:
  """Scores all sequences, with a percentile interval."""
  value = float(metric.finish(rows.sum(0)))
  resampled = _centred(metric, scores(metric, rows, weights), value)
  low, high = _ends(resampled, len(rows))
  if metric.biased:  # a distance is not negative, whatever its resamples are
    low, high = np.maximum([low, high], 0).tolist()
  return Interval(value, low, high)


def compare(
  metric: Metric, a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> Difference:
  """Compares two systems by a paired bootstrap, the same resamples of both.

  p is twice the smaller share of resamples whose difference is on the other
  side of 0 or on it, both shares with one added to count and total, at most 1.
  """
  score_a, score_b = (float(metric.finish(x.sum(0))) for x in (a, b))
  difference = score_a - score_b
  resampled = scores(metric, a, weights) - scores(metric, b, weights)
  resampled = _centred(metric, resampled, difference)
  low, high = _ends(resampled, len(a))
  known = resampled[~np.isnan(resampled)]
  if len(a) < 2 or not len(known):
    p = float("nan")
  else:
    sides = [(known <= 0).sum() + 1, (known >= 0).sum() + 1]
    p = min(1.0, 2 * float(min(sides)) / (len(known) + 1))
  return Difference(score_a, score_b, difference, low, high, p)


def _centred(metric: Metric, resampled: np.ndarray, value: float) -> np.ndarray:
  """Moves the mean of the resamples to the score, for a biased metric."""
  if not metric.biased or np.isnan(resampled).all():
    return resampled
  return resampled - np.nanmean(resampled) + value


def _ends(resampled: np.ndarray, n: int) -> tuple[float, float]:
  known = resampled[~np.isnan(resampled)]
  if n < 2 or not len(known):
    return float("nan"), float("nan")
  tail = (1 - LEVEL) / 2
  low, high = np.quantile(known, [tail, 1 - tail])
  return float(low), float(high)
