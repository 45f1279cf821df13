"""TensorBoard events, without TensorFlow.

TensorBoard names a run by its folder below --logdir and draws the values of one
tag in one chart, a line a folder. So the run's own events lie in its work
directory, and those of every other line in a folder of that name below.

In a bucket, which cannot append, a file of events is written whole at every
flush, and another is begun when it is large.
"""

import contextlib
import io
import os
import pathlib
import socket
import sys
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import summary
from tensorboardX.proto import event_pb2, summary_pb2

from signllm_jax import config
from signllm_jax.core import buckets, paths
from signllm_jax.formats import tfrecord
from signllm_jax.runs.histogram import Histogram

_FLUSH_S = 10.0  # seconds after which events are handed to the file
_FLUSH_BUCKET_S = 60.0  # the same in a bucket
_LARGE = 4 << 20  # bytes after which an object is finished
_EVENTS: Any = event_pb2  # their messages are made at run time
_SUMMARY: Any = summary_pb2


class _Objects:
  """A file of events in a bucket; `sync` writes what came since."""

  def __init__(self, folder: buckets.BucketPath):
    self._folder = folder
    self._begin()
    self._current.write_bytes(b"")  # fails here if it cannot be written

  def _begin(self) -> None:
    self._current, self._events = self._folder / _file_name(), bytearray()
    self._new = False  # events since the last `sync`

  def write(self, data: bytes) -> None:
    self._events += data
    self._new = True

  def sync(self) -> None:
    if not self._new:
      return
    self._current.write_bytes(bytes(self._events))
    self._new = False
    if len(self._events) > _LARGE:
      self._begin()

  def close(self) -> None:
    """Nothing is open."""


class _File:
  """A file of events on a disk."""

  def __init__(self, folder: pathlib.Path):
    folder.mkdir(parents=True, exist_ok=True)
    self._file = (folder / _file_name()).open("xb")
    self.write, self.close = self._file.write, self._file.close

  def sync(self) -> None:
    self._file.flush()
    os.fsync(self._file.fileno())


def _begin(folder: paths.AnyPath, start: int) -> "_File | _Objects":
  """Begins a file of events that takes the place of those after a step."""
  if isinstance(folder, buckets.BucketPath):
    file = _Objects(folder)
  else:
    file = _File(folder)
  file.write(_encoded(0, file_version="brain.Event:2"))
  # What was written before any checkpoint is written anew.
  started = _EVENTS.SessionLog(status=_EVENTS.SessionLog.START)
  file.write(_encoded(start + 1 if start else 0, session_log=started))
  return file


def _encoded(step: int, **content: Any) -> bytes:
  """An event: its `summary`, `session_log` or `file_version`."""
  event = _EVENTS.Event(wall_time=time.time(), step=step, **content)
  return tfrecord.encode(event.SerializeToString())


def _file_name() -> str:
  # TensorBoard reads the files of a folder in the order of their names.
  return f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}"


class Writer:
  """Writes scalars, films, histograms and text of a run (`writers.Writer`).

  Events after step `start` that an earlier process wrote are purged, so that a
  resumed run shows every step once. They are written in the caller's thread:
  after `flush` they outlive the process. Where they cannot be written, a
  warning says so and the run goes on without them.
  """

  def __init__(self, folder: paths.AnyPath, start: int):
    """Begins the events of the run itself in `folder`, its work directory."""
    self._folder, self._start = folder, start
    self._files: dict[str, _File | _Objects] | None = {}  # of each line
    in_bucket = isinstance(folder, buckets.BucketPath)
    self._flush_s = _FLUSH_BUCKET_S if in_bucket else _FLUSH_S
    self._flushed = time.monotonic()
    self._file_of("")

  def __enter__(self) -> "Writer":
    return self

  def __exit__(self, *_) -> None:
    self.close()

  def close(self) -> None:
    """Flushes and closes the files."""
    self.flush()
    self._close()

  def _close(self) -> None:
    files, self._files = self._files, None
    for file in (files or {}).values():
      with contextlib.suppress(OSError):  # reported when it was written
        file.close()

  def _give_up(self, error: OSError) -> None:
    self._close()
    print(
      f"warning: {self._folder}: cannot write: {error.strerror}; training goes "
      "on without TensorBoard events",
      file=sys.stderr,
      flush=True,
    )

  def _file_of(self, line: str) -> _File | _Objects | None:
    """The file of a line, begun at its first event; None after a failure."""
    if self._files is None:
      return None
    try:
      if line not in self._files:
        folder = self._folder / line if line else self._folder
        self._files[line] = _begin(folder, self._start)
      return self._files[line]
    except OSError as error:
      self._give_up(error)
    return None

  def _write(self, step: int, content: Any, line: str = "") -> None:
    """Writes a summary."""
    file = self._file_of(line)
    if file is None:
      return
    try:
      file.write(_encoded(step, summary=content))
    except OSError as error:
      self._give_up(error)
    if time.monotonic() - self._flushed > self._flush_s:
      self.flush()

  def scalars(
    self, step: int, values: Mapping[str, float], line: str = ""
  ) -> None:
    """Writes tag -> value of a line."""
    for name, value in values.items():
      self._write(step, summary.scalar(name, float(value)), line)

  def text(self, name: str, value: str, step: int = 0) -> None:
    """Writes a text, shown in a fixed-width font."""
    self._write(step, summary.text(name, f"```\n{value}\n```"))

  def describe_run(self, settings: config.Experiment, description: str) -> None:
    """Writes the configuration as hyper-parameters, and the run's description.

    A run that goes on has them already. The tab HPARAMS compares runs by them;
    it takes the metrics from the scalars, so none are named here.
    """
    if self._start:
      return
    flat = config.flatten(settings)
    plain = {
      name: value if isinstance(value, bool | int | float | str) else str(value)
      for name, value in flat.items()
    }
    _, begun, _ = summary.hparams(plain, {})
    self._write(0, begun)
    lines = [f"| {name} | {value!r} |" for name, value in flat.items()]
    table = "\n".join(["| field | value |", "|---|---|", *lines])
    self._write(0, summary.text("hparams", table))
    self.text("run", description)

  def film(self, step: int, name: str, gif: bytes) -> None:
    """Writes a GIF as an image, which browsers play."""
    with Image.open(io.BytesIO(gif)) as picture:
      width, height = picture.size
    image = _SUMMARY.Summary.Image(
      height=height, width=width, colorspace=3, encoded_image_string=gif
    )
    value = _SUMMARY.Summary.Value(tag=name, image=image)
    self._write(step, _SUMMARY.Summary(value=[value]))

  def histograms(self, step: int, values: Mapping[str, Histogram]) -> None:
    """Writes tag -> histogram."""
    for name, value in values.items():
      low, high = float(value.low), float(value.high)
      limits = np.linspace(low, high, len(value.counts) + 1)[1:]
      content = summary.histogram_raw(
        name,
        low,
        high,
        float(np.sum(value.counts)),
        float(value.total),
        float(value.squares),
        limits.tolist(),
        value.counts.tolist(),
      )
      self._write(step, content)

  def flush(self) -> None:
    """Writes everything to disk."""
    self._flushed = time.monotonic()
    try:
      for file in (self._files or {}).values():
        file.sync()
    except OSError as error:
      self._give_up(error)
