"""The lock of a work directory: one process trains in it at a time."""

import contextlib
import datetime
import errno
import fcntl
import json
import os
import pathlib
import socket
import stat
from typing import IO

from absl import logging

from signllm_jax.core import errors, foreign_files

_NAME = "lock"
_MOST = 1000  # characters that are read of it


def _try_lock(path: pathlib.Path, mode: str, kind: int) -> tuple[IO[str], str]:
  """Opens and locks a file; returns it and what the owner before wrote.

  Raises:
    UsageError: another process holds the lock; names it.
    StorageError: it cannot be opened or locked.
  """
  left = ""
  try:
    with contextlib.ExitStack() as on_error:
      file = on_error.enter_context(
        open(path, mode, encoding="utf-8", opener=_open_regular)
      )
      file.seek(0)
      left = file.read(_MOST)
      fcntl.flock(file, kind | fcntl.LOCK_NB)
      on_error.pop_all()
  except BlockingIOError:
    try:
      owner = foreign_files.parse_json(left)
      who = f"process {owner['pid']} on {owner['host']} since {owner['since']}"
    except (errors.DataError, KeyError, TypeError):
      who = "a process that has not yet said which"
    raise errors.UsageError(
      f"{who} trains in this work directory",
      path=path.parent,
      hint="Stop it first, or use another --workdir",
    ) from None
  except (OSError, UnicodeDecodeError) as error:
    raise errors.StorageError(
      f"cannot be locked: {error}",
      path=path,
      hint="It must be a regular file that may be written, and no link",
    ) from error
  return file, left


def _open_regular(path: str, flags: int) -> int:
  """Opens no pipe, which would block, and no link: its target is written."""
  handle = os.open(path, flags | os.O_NONBLOCK | os.O_NOFOLLOW, 0o666)
  if not stat.S_ISREG(os.fstat(handle).st_mode):
    os.close(handle)
    raise OSError(errno.EINVAL, "not a regular file")
  return handle


def check_free(folder: pathlib.Path) -> None:
  """Refuses a folder that another process has locked; changes nothing.

  Raises:
    UsageError: names the process.
    StorageError: the lock cannot be read.
  """
  if os.path.lexists(folder / _NAME):
    _try_lock(folder / _NAME, "r", fcntl.LOCK_SH)[0].close()


class FileLock:
  """A lock that is held until `release`, or until the process ends."""

  def __init__(self, folder: pathlib.Path):
    """Locks a folder.

    Raises:
      UsageError: another process holds the lock; names it.
      StorageError: the folder cannot be locked.
    """
    self._file = _take(folder)

  def check(self) -> None:
    """Does nothing: nobody can take it over."""

  def release(self) -> None:
    """Lets the next process in."""
    self._file.truncate(0)  # not unlinked: another may have it open already
    self._file.close()


def _take(folder: pathlib.Path) -> IO[str]:
  path = folder / _NAME
  file, left = _try_lock(path, "a+", fcntl.LOCK_EX)
  if left:
    logging.warning("%s: taken over from a dead process: %s", path, left)
  owner = {
    "pid": os.getpid(),
    "host": socket.gethostname(),
    "since": f"{datetime.datetime.now(datetime.UTC):%Y-%m-%d %H:%M:%S} UTC",
  }
  file.truncate(0)
  file.write(json.dumps(owner))
  file.flush()
  return file
