"""Training rates between two log lines."""

import contextlib
import time
from collections.abc import Iterator

import numpy as np


class Throughput:
  """Counts frames, sequences and waiting time since the last `restart`.

  Attributes:
    compile_seconds: time of all compilations.
    train_seconds: time of all steps up to the last `stop`.
  """

  def __init__(self, share: float, train_seconds: float = 0.0):
    """Starts to count.

    Args:
      share: rows that this process reads, divided by rows that are trained.
      train_seconds: of a resumed run, before it was interrupted.
    """
    self._share = share
    self.compile_seconds, self.train_seconds = 0.0, train_seconds
    self.restart()

  def stop(self) -> None:
    """Adds the seconds since the last restart; call `restart` to go on."""
    self.train_seconds += self.seconds()

  def restart(self) -> None:
    """Sets the rates back to zero."""
    self._started = time.perf_counter()
    self._waited, self._length, self._sequences = 0.0, 0, 0

  def count(self, batch: dict[str, np.ndarray]) -> None:
    """Counts a batch that was trained."""
    self._length += int(batch["length"].sum())
    self._sequences += int((batch["length"] > 0).sum())

  @contextlib.contextmanager
  def waiting(self) -> Iterator[None]:
    """Measures the time that the step waits for data."""
    started = time.perf_counter()
    yield
    self._waited += time.perf_counter() - started

  @contextlib.contextmanager
  def compiling(self) -> Iterator[None]:
    """Measures a compilation and leaves it out of the rates."""
    started = time.perf_counter()
    yield
    seconds = time.perf_counter() - started
    self.compile_seconds += seconds
    self._started += seconds

  def seconds(self) -> float:
    """Seconds since the last restart, without compilations."""
    return time.perf_counter() - self._started

  def rates(self, unit: str) -> dict[str, float]:
    """Rates by metric name; `unit` is that of the batches' lengths."""
    seconds = self.seconds()
    return {
      f"{unit}_per_second": self._length / seconds / self._share,
      "sequences_per_second": self._sequences / seconds / self._share,
      "wait_share": self._waited / seconds,
    }
