"""Batches whose gradient is far larger than those before them.

A damaged or mislabelled clip may give a finite loss that is a thousand times
too large. Clipping bounds what such a step moves (`optim.clip_norm`); this
history finds the step and names it. It is a function of the norms alone, so a
resumed run finds what an undisturbed run finds.
"""

import dataclasses
from typing import Any

SPIKE = 10.0  # times the mean norm from which a step is reported
_WINDOW = 100  # steps that the running mean remembers
_FIRST = 20  # steps without a report at the beginning


@dataclasses.dataclass
class GradientNorms:
  """Running mean of the global gradient norm.

  Attributes:
    steps: number of steps seen.
    mean: running mean of their norms, each bounded by `SPIKE` means.
    spikes: number of steps that were reported.
  """

  steps: int = 0
  mean: float = 0.0
  spikes: int = 0

  @classmethod
  def from_record(cls, record: dict[str, Any] | None) -> "GradientNorms":
    """Restores what `record` gave; a new history for None."""
    return cls(**record) if record else cls()

  def record(self) -> dict[str, Any]:
    """The history for a checkpoint's manifest."""
    return dataclasses.asdict(self)

  def add(self, norm: float) -> float:
    """Adds the norm of a step; a norm that is not finite is ignored.

    Args:
      norm: global gradient norm, before clipping.

    Returns:
      How many times the mean of the steps before it was; 0 if it is no spike.
    """
    if not 0 <= norm < float("inf"):
      return 0.0
    known = self.steps >= _FIRST and self.mean > 0
    ratio = norm / self.mean if known else 0.0
    if known:
      norm = min(norm, SPIKE * self.mean)
    self.steps += 1
    self.mean += (norm - self.mean) / min(self.steps, _WINDOW)
    if ratio <= SPIKE:
      return 0.0
    self.spikes += 1
    return ratio
