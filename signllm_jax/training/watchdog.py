"""Ends a training that hangs."""

import faulthandler
import os
import sys
import threading

from signllm_jax.core import errors

_TICKS = 10  # looks at the progress in the time of the limit


class Watchdog:
  """Prints all stacks and ends the process if nothing progresses any more.

  The loader, the compiler or a device may hang in a call that no signal
  interrupts; a launcher restarts the run from its last checkpoint.
  """

  def __init__(self, limit: float):
    """Takes the limit.

    Args:
      limit: seconds between two signs of progress; 0 for no watch.
    """
    self._limit = limit
    self._progress = 0
    self._closed = threading.Event()
    self._thread = threading.Thread(
      target=self._watch, name="watchdog", daemon=True
    )

  def __enter__(self) -> "Watchdog":
    if self._limit:
      self._thread.start()
    return self

  def __exit__(self, *_) -> None:
    self._closed.set()
    if self._limit:
      self._thread.join()

  def note_progress(self) -> None:
    """Begins the time limit anew."""
    self._progress += 1

  def _watch(self) -> None:
    seen, idle = self._progress, 0
    # Counts looks, not seconds: a process that was suspended may go on.
    while not self._closed.wait(self._limit / _TICKS):
      idle = idle + 1 if self._progress == seen else 0
      seen = self._progress
      if idle >= _TICKS:
        self._end()

  def _end(self) -> None:
    sys.stdout.flush()
    print(
      f"error: no step in {self._limit:g} s: the data, the compiler or a "
      "device hangs. All stacks follow; start again with the same command to "
      "go on from the last checkpoint, and see --stall_limit",
      file=sys.stderr,
      flush=True,
    )
    faulthandler.dump_traceback(file=sys.stderr, all_threads=True)
    os._exit(errors.StorageError.exit_code)
