"""TensorBoard events, without TensorFlow.

In a bucket, which cannot append, a file of events is written whole at every
flush, and another is begun when it is large.
"""

import contextlib
import os
import pathlib
import socket
import sys
import tempfile
import time
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image
from tensorboardX import summary
from tensorboardX.proto import event_pb2

from signllm_jax import config
from signllm_jax.core import buckets, paths
from signllm_jax.core import clips as clips_lib
from signllm_jax.formats import tfrecord
from signllm_jax.visualization import render

_FLUSH_S = 10.0  # seconds after which events are handed to the file
_FLUSH_BUCKET_S = 60.0  # the same in a bucket
_LARGE = 4 << 20  # bytes after which an object is finished
_EVENTS: Any = event_pb2  # its messages are made at run time


class _Objects:
  """A file of events in a bucket; `sync` writes what came since."""

  def __init__(self, folder: buckets.BucketPath):
    self._folder = folder
    self._begin()
    self._current.write_bytes(b"")  # fails here if it cannot be written

  def _begin(self) -> None:
    self._current, self._events = self._folder / _file_name(), bytearray()

  def write(self, data: bytes) -> None:
    self._events += data

  def sync(self) -> None:
    self._current.write_bytes(bytes(self._events))
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


def _file_name() -> str:
  # TensorBoard reads the files of a folder in the order of their names.
  return f"events.out.tfevents.{time.time_ns()}.{socket.gethostname()}"


class Writer:
  """Writes scalars, pictures and text of a run.

  Events after step `start` that an earlier process wrote are purged, so that a
  resumed run shows every step once. They are written in the caller's thread:
  after `flush` they outlive the process. Where they cannot be written, a
  warning says so and the run goes on without them.
  """

  def __init__(self, folder: paths.AnyPath, start: int, *, write: bool = True):
    """Opens the folder; with `write=False` nothing is ever written."""
    self._folder, self._start = folder, start
    self._file: _File | _Objects | None = None
    in_bucket = isinstance(folder, buckets.BucketPath)
    self._flush_s = _FLUSH_BUCKET_S if in_bucket else _FLUSH_S
    self._flushed = time.monotonic()
    if not write:
      return
    try:
      if isinstance(folder, buckets.BucketPath):
        self._file = _Objects(folder)
      else:
        self._file = _File(folder)
    except OSError as error:
      self._give_up(error)
    self._write(0, file_version="brain.Event:2")
    # What was written before any checkpoint is written anew.
    started = _EVENTS.SessionLog(status=_EVENTS.SessionLog.START)
    self._write(start + 1 if start else 0, session_log=started)

  def __enter__(self) -> "Writer":
    return self

  def __exit__(self, *_) -> None:
    self.flush()
    self._close()

  def _close(self) -> None:
    file, self._file = self._file, None
    with contextlib.suppress(OSError):  # reported when it was written
      if file is not None:
        file.close()

  def _give_up(self, error: OSError) -> None:
    self._close()
    print(
      f"warning: {self._folder}: cannot write: {error.strerror}; training goes "
      "on without TensorBoard events",
      file=sys.stderr,
      flush=True,
    )

  def _write(self, step: int, **content: Any) -> None:
    """Writes an event: its `summary`, `session_log` or `file_version`."""
    if self._file is None:
      return
    event = _EVENTS.Event(wall_time=time.time(), step=step, **content)
    try:
      self._file.write(tfrecord.encode(event.SerializeToString()))
    except OSError as error:
      self._give_up(error)
    if time.monotonic() - self._flushed > self._flush_s:
      self.flush()

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Writes name -> value."""
    for name, value in values.items():
      self._write(step, summary=summary.scalar(name, float(value)))

  def text(self, name: str, value: str, step: int = 0) -> None:
    """Writes a text, shown in a fixed-width font."""
    self._write(step, summary=summary.text(name, f"```\n{value}\n```"))

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
    self._write(0, summary=begun)
    lines = [f"| {name} | {value!r} |" for name, value in flat.items()]
    table = "\n".join(["| field | value |", "|---|---|", *lines])
    self._write(0, summary=summary.text("hparams", table))
    self.text("run", description)

  def clips(
    self, step: int, name: str, shown: Mapping[str, clips_lib.Clip]
  ) -> None:
    """Writes a contact sheet of clips, e.g. produced and true."""
    if self._file is None:
      return
    caption = next(iter(shown.values())).text
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / "sheet.png"
      render.save(path, shown, caption, size=200, columns=8)
      with Image.open(path) as picture:
        image = np.asarray(picture.convert("RGB"))
    self._write(step, summary=summary.image(name, image, dataformats="HWC"))

  def flush(self) -> None:
    """Writes everything to disk."""
    self._flushed = time.monotonic()
    if self._file is None:
      return
    try:
      self._file.sync()
    except OSError as error:
      self._give_up(error)
