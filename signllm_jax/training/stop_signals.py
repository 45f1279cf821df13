"""Stops a run between two steps at SIGTERM or SIGINT."""

import signal
import types
from typing import Any


class StopRequest:
  """Remembers the first signal while open; later signals change nothing.

  A compiled step cannot be interrupted, so the training loop reads `requested`
  after each step.
  """

  def __init__(self):
    self.requested: signal.Signals | None = None
    self._before: dict[signal.Signals, Any] = {}

  def __enter__(self) -> "StopRequest":
    for number in (signal.SIGTERM, signal.SIGINT):
      self._before[number] = signal.signal(number, self._remember)
    return self

  def __exit__(self, *_) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)

  def _remember(self, number: int, frame: types.FrameType | None) -> None:
    del frame
    self.requested = self.requested or signal.Signals(number)
