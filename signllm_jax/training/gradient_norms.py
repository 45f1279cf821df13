"""Steps whose gradient is far larger than that of the steps before them.

A damaged or mislabelled clip may give a finite loss that is a hundred times too
large. Clipping bounds what such a step moves (`optim.clip_norm`); this history
finds the step, so that its samples are named. It is a function of the norms
alone: a resumed run finds what an undisturbed run finds.
"""

from collections.abc import Iterator
from typing import Any

import jax

from signllm_jax.runs import checkpointer
from signllm_jax.training import train_step

SPIKE = 10.0  # times the mean norm above which a step is reported
_WINDOW = 100  # steps that the running mean remembers
_FIRST = 20  # steps without a report at the beginning


class GradientNorms:
  """Running mean of the global gradient norm.

  Attributes:
    steps: number of steps seen.
    mean: running mean of their norms; beyond the first steps each is bounded by
      `SPIKE` means.
    spikes: number of steps that were reported.
  """

  def __init__(self, steps: int = 0, mean: float = 0.0, spikes: int = 0):
    """Begins with what `record` gave; empty by default."""
    self.steps, self.mean, self.spikes = steps, mean, spikes
    self._unread: list[tuple[int, list[jax.Array]]] = []

  @classmethod
  def restore(
    cls, checkpoints: checkpointer.Checkpoints, step: int
  ) -> "GradientNorms":
    """The history that a step was saved with; empty where none was."""
    saved = step in checkpoints.steps()
    record = checkpoints.manifest(step).get("gradient_norms") if saved else None
    return cls(**(record or {}))

  def record(self) -> dict[str, Any]:
    """The history for a checkpoint's manifest; all steps must be read."""
    return {"steps": self.steps, "mean": self.mean, "spikes": self.spikes}

  def note(self, step: int, metrics: train_step.Metrics) -> None:
    """Notes the metrics of a step without waiting for the device."""
    self._unread.append((step, [metrics["gradient_norm"], metrics["loss"]]))

  def read(self) -> Iterator[tuple[int, str]]:
    """Reads the steps noted since the last call.

    Yields:
      Step and message, of each step whose norm is far above the mean.
    """
    unread, self._unread = jax.device_get(self._unread), []
    for step, (norm, loss) in unread:
      mean = self.mean
      if times := self.add(float(norm)):
        yield (
          step,
          f"step {step}: gradient norm {norm:.4g} is {times:.0f} times the "
          f"mean of the steps before ({mean:.4g}), loss {loss:.4g}",
        )

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
