"""The lock of a work directory in a bucket: one process trains at a time.

Every start writes an object of its own, `lock/000001.json` and so on, on
condition that there is none: of several processes the bucket lets one through.
The last number owns the directory, and its process writes it anew every BEAT_S.
The next number may be taken when the owner has released its own, is gone from
this machine, or was silent for DEAD_S by the bucket's clock. Whoever finds a
number after its own has lost the directory and commits nothing more.
"""

import datetime
import json
import os
import pathlib
import re
import socket
import threading
import time
import uuid
from typing import Any

import psutil
from absl import logging

from signllm_jax.core import buckets, errors, foreign_files

BEAT_S = 10.0  # seconds between two signs of life
DEAD_S = 60.0  # seconds of silence after which an owner is taken for dead
_LOOK_S = 0.5  # seconds between two looks at another's lock
_NUMBER = re.compile(r"(\d{6})\.json", re.ASCII)
_MOST = 10_000  # bytes of a lock


def _object(folder: buckets.BucketPath, number: int) -> buckets.BucketPath:
  return folder / "lock" / f"{number:06d}.json"


def _read(path: buckets.BucketPath) -> dict[str, Any] | None:
  """What an owner wrote; empty if that is no JSON, None without an object."""
  try:
    data = path.read_range(0, _MOST)
  except FileNotFoundError:
    return None
  try:
    owner = foreign_files.parse_json(data)
  except errors.DataError:
    return {}
  return owner if isinstance(owner, dict) else {}


def _newest(folder: buckets.BucketPath) -> int:
  """The last number; 0 without any. A list may lag behind the objects."""
  names = [entry.name for entry in (folder / "lock").files()]
  found = map(_NUMBER.fullmatch, names)
  number = max((int(match[1]) for match in found if match), default=0)
  while _read(_object(folder, number + 1)) is not None:
    number += 1
  return number


def _machine() -> str:
  """Names this start of this machine, and its space of process numbers."""
  try:
    boot = pathlib.Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return f"{boot} {os.stat('/proc/self/ns/pid').st_ino}"
  except OSError:
    return ""


def _is_gone(owner: dict[str, Any]) -> bool:
  """Whether the owner was a process of this machine and has ended."""
  pid, here = owner.get("pid"), _machine()
  if not here or owner.get("machine") != here or type(pid) is not int:
    return False
  try:
    return psutil.Process(pid).create_time() != owner.get("started")
  except psutil.NoSuchProcess:
    return True


def _wait_until_free(folder: buckets.BucketPath, number: int) -> None:
  """Returns when the owner of a number is gone.

  Raises:
    UsageError: it gives a sign of life; names it.
  """
  path = _object(folder, number)
  first = _read(path)
  ahead = folder.probe() - time.monotonic()  # of the bucket's clock
  while (owner := _read(path)) is not None:
    if owner.get("state") == "released" or _is_gone(owner):
      return
    if time.monotonic() + ahead - path.modified() > DEAD_S:
      return
    if owner != first or (first or {}).get("machine") == _machine() != "":
      raise errors.UsageError(
        f"process {owner.get('pid')} on {owner.get('host')} since "
        f"{owner.get('since')} trains in this work directory",
        path=folder,
        hint="Stop it first, or use another --workdir",
      )
    time.sleep(_LOOK_S)


def check_free(folder: buckets.BucketPath) -> None:
  """Refuses a work directory that a living process has locked.

  Where its last sign of life is younger than DEAD_S, this waits for the next.

  Raises:
    UsageError: names the process.
    StorageError: the lock cannot be read.
  """
  try:
    if number := _newest(folder):
      _wait_until_free(folder, number)
  except OSError as error:
    raise _not_locked(folder, error) from error


def _not_locked(
  folder: buckets.BucketPath, error: OSError
) -> errors.StorageError:
  return errors.StorageError(f"cannot be locked: {error}", path=folder)


class BucketLock:
  """A lock that is held until `release`, or until another takes it over."""

  def __init__(self, folder: buckets.BucketPath):
    """Takes the lock and begins to give signs of life.

    Raises:
      UsageError: another process holds it; names it.
      StorageError: it cannot be read or written.
    """
    self._folder = folder
    self._owner: dict[str, Any] = {
      "pid": os.getpid(),
      "host": socket.gethostname(),
      "since": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC",
      "machine": _machine(),
      "started": psutil.Process().create_time(),
      "token": uuid.uuid4().hex,
      "state": "held",
      "beat": 0,
    }
    try:
      self._number = self._take()
    except OSError as error:
      raise _not_locked(folder, error) from error
    self._ended = threading.Event()
    self._thread = threading.Thread(target=self._beat, name="lock", daemon=True)
    self._thread.start()

  def _take(self) -> int:
    while True:
      number = _newest(self._folder)
      if number:
        _wait_until_free(self._folder, number)
        owner = _read(_object(self._folder, number)) or {}
        if owner.get("state") != "released":
          logging.warning(
            "%s: taken over from a dead process: %s",
            _object(self._folder, number),
            owner,
          )
      try:
        _object(self._folder, number + 1).create(self._text())
      except FileExistsError:
        continue  # another was faster, and is asked for next
      return number + 1

  def _text(self) -> bytes:
    return json.dumps(self._owner).encode()

  def _write(self) -> None:
    _object(self._folder, self._number).write_bytes(self._text())

  def _beat(self) -> None:
    while not self._ended.wait(BEAT_S):
      self._owner["beat"] += 1
      try:
        self._write()
      except OSError as error:  # the next may succeed; `check` decides
        logging.warning("%s: no sign of life: %s", self._folder, error)

  def check(self) -> None:
    """Refuses to go on where another process has taken the lock over.

    Raises:
      StorageError: it has, or the bucket does not answer.
    """
    try:
      after = _read(_object(self._folder, self._number + 1))
    except OSError as error:
      raise _not_locked(self._folder, error) from error
    if after is not None:
      raise errors.StorageError(
        f"process {after.get('pid')} on {after.get('host')} has taken this "
        f"work directory over, after {DEAD_S:g} s without a sign of life",
        path=self._folder,
        hint="Nothing more is saved by this process",
      )

  def release(self) -> None:
    """Lets the next process in at once."""
    self._ended.set()
    self._thread.join()
    self._owner["state"] = "released"
    try:
      self._write()
    except OSError as error:  # it counts as dead after DEAD_S
      logging.warning("%s: cannot be released: %s", self._folder, error)
