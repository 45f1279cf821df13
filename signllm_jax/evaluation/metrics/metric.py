"""The type of a metric: sums over sequences, and a score of these sums.

Every score of the report is a function of sums over sequences: a mean needs a
sum and a count, a share two sums, BLEU nine. A resample of the sequences is
thus a weighting of rows, and a bootstrap of any metric one matrix product.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

UNIT = "canonical units (shoulders 1/3 apart)"


@dataclasses.dataclass(frozen=True)
class Metric:
  """A score of produced sequences against true ones.

  Attributes:
    key: its name in JSON.
    head: its name in tables.
    better: "lower", "higher", or "one" where the truth itself has 1.
    definition: of the score, with unit and source; part of the signature.
    sums: (produced, true) -> [n, k] float64, one row a sequence.
    finish: [..., k] sums of such rows -> [...] scores; NaN where undefined.
    style: format of the number in tables.
    biased: resamples score worse than the sample, as with distances of
      distributions; their mean is then moved to the score.
    version: raised when the definition changes.
  """

  key: str
  head: str
  better: str
  definition: str
  sums: Callable[[Sequence[Any], Sequence[Any]], np.ndarray]
  finish: Callable[[np.ndarray], np.ndarray]
  style: str = "{:.4f}"
  biased: bool = False
  version: int = 1

  def signature(self, protocol: str, sequences: int) -> str:
    """Identifies the computation; equal signatures give comparable scores."""
    return (
      f"{self.key}|v{self.version}|protocol:{protocol}|n:{sequences}|"
      + self.definition
    )

  def score(self, produced: Sequence[Any], true: Sequence[Any]) -> float:
    """Scores all sequences together."""
    return float(self.finish(self.sums(produced, true).sum(0)))


def divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
  """Divides; NaN where the denominator is 0."""
  known = np.asarray(denominator) > 0
  return np.where(known, numerator / np.where(known, denominator, 1), np.nan)


def ratio(sums: np.ndarray) -> np.ndarray:
  """[..., 2] -> [...]: the first sum over the second."""
  return divide(sums[..., 0], sums[..., 1])


def counted(values: np.ndarray) -> np.ndarray:
  """[n] values -> [n, 2] rows of a mean; NaN does not count."""
  values = np.asarray(values, np.float64)
  known = ~np.isnan(values)
  return np.stack([np.where(known, values, 0), known], -1)


def mean_of_pairs(
  key: str,
  head: str,
  distance: Callable[[Sequence[Any], Sequence[Any]], np.ndarray],
  definition: str,
  style: str = "{:.4f}",
) -> Metric:
  """Mean over sequences of a distance a pair, [n]; lower is better."""
  return Metric(
    key,
    head,
    "lower",
    definition + ", mean over sequences",
    lambda produced, true: counted(distance(produced, true)),
    ratio,
    style,
  )
