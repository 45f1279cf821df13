"""Profiles a range of training steps, for xprof."""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax

from signllm_jax.core import atomic_files, buckets, errors, paths


class StepRange(NamedTuple):
  """Steps to profile: the first one, and the one after the last."""

  start: int
  stop: int


def parse(text: str, steps: int) -> StepRange:
  """Reads `START:STOP`, such as `100:110` for the ten steps from 100.

  Args:
    text: the range.
    steps: of the run.

  Raises:
    UsageError: it is not a range of steps of the run.
  """
  match = re.fullmatch(r"(\d{1,9}):(\d{1,9})", text, re.ASCII)
  if match is None or not int(match[1]) < int(match[2]) <= steps:
    raise errors.UsageError(
      f"--profile={text}",
      expected="START:STOP, the first step and the one after the last, within "
      f"the {steps} steps of the run",
      hint="Steps of compilation are long; leave the first ones out",
    )
  return StepRange(int(match[1]), int(match[2]))


class Profiler:
  """Writes a trace of the steps of a range, in each process its own."""

  def __init__(
    self,
    folder: str | os.PathLike,
    steps: StepRange | None,
    report: Callable[[str], Any],
  ):
    """Starts nothing yet.

    Args:
      folder: of the traces.
      steps: to profile; None profiles nothing.
      report: shows a line to the user.
    """
    self._folder = self._written = paths.resolve(folder)
    self._range, self._report = steps, report
    self._first: int | None = None  # step of the trace that is being recorded
    self._next = 0  # step after the last one in it

  def __enter__(self) -> "Profiler":
    """Returns itself."""
    return self

  def __exit__(self, *unused) -> None:
    """Writes a trace whose range did not end."""
    self._write()

  @contextlib.contextmanager
  def step(self, number: int) -> Iterator[None]:
    """Records what runs inside, if the step is in the range.

    Raises:
      StorageError: the trace cannot be written.
    """
    steps = self._range
    if steps is None or not steps.start <= number < steps.stop:
      yield
      return
    if self._first is None:
      atomic_files.make_folder(self._folder)
      # Of a bucket, the trace is written here and then uploaded.
      if isinstance(self._folder, buckets.BucketPath):
        self._written = pathlib.Path(tempfile.mkdtemp(dir=paths.scratch()))
      jax.profiler.start_trace(os.fspath(self._written))
      self._first = number
    with jax.profiler.StepTraceAnnotation("train", step_num=number):
      yield
    self._next = number + 1

  def end_step(self, following: int, results: Any) -> None:
    """Writes the trace after its last step, once the devices have done it.

    Args:
      following: the next step.
      results: arrays of the step that was taken.
    """
    if (
      self._first is not None and self._range and following == self._range.stop
    ):
      jax.block_until_ready(results)
      self._write()

  def _write(self) -> None:
    if self._first is None:
      return
    steps = f"{self._first} to {self._next - 1}"
    self._first = None
    jax.profiler.stop_trace()
    if isinstance(self._folder, buckets.BucketPath):
      written = pathlib.Path(self._written)
      try:
        _upload(written, self._folder)
      finally:
        shutil.rmtree(written, ignore_errors=True)
    self._report(f"profile of steps {steps}: {self._folder}")


def _upload(source: pathlib.Path, target: buckets.BucketPath) -> None:
  """Copies the files of a folder; a StorageError if that fails."""
  try:
    for path in sorted(source.rglob("*")):
      if path.is_file():
        (target / path.relative_to(source).as_posix()).upload(path)
  except OSError as error:
    raise errors.StorageError(str(error), path=target) from error
