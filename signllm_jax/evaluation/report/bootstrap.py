"""Percentile bootstrap over sequences: intervals, and paired differences.

Where a row was drawn at random several times, its score is the mean of the
draws' scores, and a resample takes the same sequences of every draw.

Efron and Tibshirani 1993, chapters 13 and 16; for scores of a corpus, Koehn
2004 (Statistical significance tests for machine translation evaluation).
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats

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


def facts(resamples: int) -> dict[str, float]:
  """Settings of the bootstrap with the seed of `resample`, for a report."""
  return {"resamples": resamples, "seed": 0, "level": LEVEL}


def score(metric: Metric, rows: np.ndarray) -> float:
  """Scores all sequences: rows [n, k], or [draws, n, k]."""
  return float(np.mean(metric.finish(rows.sum(-2))))


def scores(metric: Metric, rows: np.ndarray, weights: np.ndarray) -> np.ndarray:
  """Scores each resample: rows as of `score`, weights [b, n] -> [b]."""
  resampled = np.concatenate(
    [
      metric.finish(weights[start : start + _CHUNK] @ rows)
      for start in range(0, len(weights), _CHUNK)
    ],
    -1,
  )
  return resampled if rows.ndim == 2 else resampled.mean(0)


def interval(metric: Metric, rows: np.ndarray, weights: np.ndarray) -> Interval:
  """Scores all sequences, with a percentile interval; rows as of `score`."""
  value = score(metric, rows)
  resampled = _centred(metric, scores(metric, rows, weights), value)
  low, high = _ends(resampled, rows.shape[-2])
  if metric.biased:  # a distance is not negative, whatever its resamples are
    low, high = np.maximum([low, high], 0).tolist()
  return Interval(value, low, high)


def over_seeds(values: Sequence[float]) -> Interval:
  """Mean with Student's 95 % interval; its ends are NaN for a single value."""
  mean, n = float(np.mean(values)), len(values)
  if n < 2:
    return Interval(mean, math.nan, math.nan)
  away = stats.t.ppf((1 + LEVEL) / 2, n - 1) * np.std(values, ddof=1)
  half = float(away) / math.sqrt(n)
  return Interval(mean, mean - half, mean + half)


def compare(
  metric: Metric, a: np.ndarray, b: np.ndarray, weights: np.ndarray
) -> Difference:
  """Compares two systems by a paired bootstrap, the same resamples of both.

  p is twice the smaller share of resamples whose difference is on the other
  side of 0 or on it, both shares with one added to count and total, at most 1.
  """
  score_a, score_b = score(metric, a), score(metric, b)
  difference = score_a - score_b
  resampled = scores(metric, a, weights) - scores(metric, b, weights)
  resampled = _centred(metric, resampled, difference)
  low, high = _ends(resampled, a.shape[-2])
  known = resampled[~np.isnan(resampled)]
  if a.shape[-2] < 2 or not len(known):
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
