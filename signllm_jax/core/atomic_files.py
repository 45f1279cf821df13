"""Atomic writes: a file or folder appears complete or not at all."""

import contextlib
import os
import pathlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Iterator

from signllm_jax.core import buckets, errors, paths

_UNFINISHED = re.compile(r"\..*\.[0-9a-f]{32}(\.[^.]*)?")  # of `atomic_write`


def check_writable(path: str | os.PathLike, option: str) -> None:
  """Writes a nameless file into a folder, or where it would be made.

  Args:
    path: the folder; it is not made. In a bucket an object is written and
      deleted.
    option: that named it, for the message.

  Raises:
    StorageError: it cannot be written.
    UsageError: a URL that is none of a bucket.
  """
  try:
    if paths.is_remote(path):
      buckets.BucketPath(path).probe()
      return
    existing = pathlib.Path(os.path.abspath(path))
    while not existing.exists():
      existing = existing.parent
    with tempfile.TemporaryFile(dir=existing) as file:
      file.write(b"x")
      file.flush()
      os.fsync(file.fileno())
  except OSError as error:
    raise errors.StorageError(
      f"cannot be written: {error.strerror}",
      path=path,
      hint=f"{option} must be a folder that may be written and has room",
    ) from error


def make_folder(path: str | os.PathLike) -> None:
  """Creates a folder and its parents where they are missing.

  A bucket needs none.

  Raises:
    StorageError: it cannot be created, or a file has its name.
  """
  if paths.is_remote(path):
    return
  try:
    pathlib.Path(path).mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.StorageError(f"cannot be made: {error}", path=path) from error


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a UTF-8 file atomically and flushes it to disk.

  Raises:
    StorageError: the disk is full, read-only or gone.
  """
  with atomic_write(path) as temporary:
    temporary.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a temporary path to write; it replaces `path` on success.

  The content is flushed to disk before the rename; otherwise the name could
  outlive the content when power is lost.

  The temporary file lies in the same folder (a rename is atomic only within a
  file system) and has the same suffix (writers choose their format by it). An
  object of a bucket is written whole from a temporary file of this machine.

  Raises:
    StorageError: the folder is missing or the file cannot be written.
  """
  path = paths.resolve(path)
  if isinstance(path, buckets.BucketPath):
    with _object_write(path) as temporary:
      yield temporary
    return
  if not path.parent.is_dir():
    raise errors.StorageError(
      "its folder does not exist", path=path, hint="Make the folder first"
    )
  temporary = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
  try:
    yield temporary
    with temporary.open("rb") as file:
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except OSError as error:
    raise errors.StorageError(f"cannot write: {error}", path=path) from error
  finally:
    if temporary.exists():  # a read-only file system refuses even an attempt
      temporary.unlink()


@contextlib.contextmanager
def _object_write(path: buckets.BucketPath) -> Iterator[pathlib.Path]:
  with tempfile.TemporaryDirectory(dir=paths.scratch()) as folder:
    temporary = pathlib.Path(folder, path.name)
    try:
      yield temporary
      path.upload(temporary)
    except OSError as error:
      raise errors.StorageError(f"cannot write: {error}", path=path) from error


@contextlib.contextmanager
def remove_on_error(*paths: str | os.PathLike) -> Iterator[None]:
  """Removes these new files, as far as they exist, if the block fails."""
  try:
    yield
  except BaseException:
    for path in paths:
      with contextlib.suppress(OSError):  # the first error says more
        os.unlink(path)
    raise


@contextlib.contextmanager
def atomic_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a temporary folder to fill; it is renamed to `path` on success.

  Raises:
    StorageError: it cannot be created, filled or renamed.
  """
  path = pathlib.Path(path)
  temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
  try:
    temporary.mkdir(parents=True)
    yield temporary
    temporary.rename(path)
  except OSError as error:
    raise errors.StorageError(f"cannot write: {error}", path=path) from error
  finally:
    shutil.rmtree(temporary, ignore_errors=True)


def unfinished_files(folder: str | os.PathLike) -> list[pathlib.Path]:
  """Lists temporary files of `atomic_write` in a folder.

  Killed processes leave them, and they may be removed; but a process that is
  still writing has them too.
  """
  return [
    path
    for path in sorted(pathlib.Path(folder).iterdir())
    if _UNFINISHED.fullmatch(path.name) and path.is_file()
  ]
