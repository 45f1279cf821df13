"""SIGTERM and SIGINT ask a run to stop; it does so between two steps."""

import signal
import types


class StopRequest:
  """While open, the first signal is remembered and further ones change nothing.

  A compiled step cannot be interrupted halfway, so the training loop looks at
  `requested` after each step.
  """

  def __init__(self):
    self.requested: signal.Signals | None = None
    self._before: dict[signal.Signals, object] = {}

  def __enter__(self) -> "StopRequest":
    for number in (signal.SIGTERM, signal.SIGINT):
      self._before[number] = signal.signal(number, self._remember)
    return self

  def __exit__(self, *_) -> None:
    for number, handler in self._before.items():
      signal.signal(number, handler)  # type: ignore[arg-type]

  def _remember(self, number: int, frame: types.FrameType | None) -> None:
    del frame
    self.requested = self.requested or signal.Signals(number)
