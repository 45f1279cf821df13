"""What a metric is: sums over sequences, and a score made of them.

Every score of the report is a function of sums over sequences: a mean is a sum
and a count, a share is two sums, BLEU is nine. So a resample of the sequences
is a weighting of rows, and a bootstrap of any metric is one matrix product.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class Metric:
  """A score of produced sequences against true ones.

  Attributes:
    key: its name in JSON.
    head: its name in tables.
    better: "lower", "higher", or "one" where the truth itself has 1.
    definition: what is computed, with unit and source; part of the signature.
    sums: (produced, true) -> [n, k] float64, one row a sequence.
    finish: [..., k] sums of such rows -> [...] scores; NaN where undefined.
    style: of the number in tables.
    biased: resamples score worse than the sample by themselves, as distances
      of distributions do; their mean is then moved to the score.
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
    """What must be equal before two numbers may be compared."""
    return (
      f"{self.key}|v{self.version}|protocol:{protocol}|n:{sequences}|"
      + self.definition
    )

  def score(self, produced: Sequence[Any], true: Sequence[Any]) -> float:
    """The score over all sequences."""
    return float(self.finish(self.sums(produced, true).sum(0)))


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
  """The quotient; NaN where nothing was counted."""
  known = np.asarray(below) > 0
  return np.where(known, above / np.where(known, below, 1), np.nan)


def ratio(sums: np.ndarray) -> np.ndarray:
  """[..., 2] -> [...]: the first sum over the second."""
  return divide(sums[..., 0], sums[..., 1])


def counted(values: np.ndarray) -> np.ndarray:
  """[n] values -> [n, 2] rows of a mean; NaN does not count."""
  values = np.asarray(values, np.float64)
  known = ~np.isnan(values)
  return np.stack([np.where(known, values, 0), known], -1)
