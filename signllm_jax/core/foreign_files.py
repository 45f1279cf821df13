"""Opens and parses files of unknown origin.

Only regular files are opened, or objects of buckets: a named pipe or a device
would block or never end. What a library raises while it parses foreign bytes
becomes a DataError that names the file.
"""

import contextlib
import errno
import json
import os
import stat
from collections.abc import Iterator
from typing import Any, BinaryIO

from signllm_jax.core import buckets, errors, limits, paths

# Faults of the disk or of permissions; others are faults of the content.
_STORAGE = (
  *(errno.EIO, errno.EACCES, errno.EPERM, errno.ESTALE, errno.ENXIO),
  *(errno.EMFILE, errno.ENFILE, errno.ETIMEDOUT, errno.ENODEV),
)


@contextlib.contextmanager
def open_file(
  path: str | os.PathLike, most: int | None = None, buffering: int = -1
) -> Iterator[BinaryIO]:
  """Opens a regular file for reading.

  Args:
    path: the file.
    most: its largest size in bytes.
    buffering: as of `open`.

  Raises:
    DataError: there is no such file, it is not a regular one, or too large.
    StorageError: it cannot be opened.
  """
  if paths.is_remote(path):
    with _open_object(path, most) as file:
      yield file
    return
  handle = _open(path)
  try:
    _check(path, os.fstat(handle), most)
  except errors.DataError:
    os.close(handle)
    raise
  with open(handle, "rb", buffering=buffering) as file:
    yield file


def check_file(path: str | os.PathLike, most: int | None = None) -> int:
  """Checks a file that a library opens itself; returns its size in bytes.

  Raises:
    DataError, StorageError: as `open_file`.
  """
  if paths.is_remote(path):
    return _check_object(buckets.BucketPath(path), most)
  return _check(path, _status(path), most)


def stamp(path: str | os.PathLike, most: int | None = None) -> tuple[int, int]:
  """Time of the last change and size of a local file, for a key of a cache.

  Raises:
    DataError, StorageError: as `open_file`.
  """
  status = _status(path)
  return status.st_mtime_ns, _check(path, status, most)


def _status(path: str | os.PathLike) -> os.stat_result:
  try:
    return os.stat(path)
  except (OSError, ValueError) as error:
    raise _not_opened(path, error) from error


def exists(path: str | os.PathLike) -> bool:
  """Whether there is a file or folder, or an object of a bucket.

  Raises:
    StorageError: a bucket does not answer.
  """
  try:
    return paths.resolve(path).exists()
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error


def read(path: str | os.PathLike, most: int) -> bytes:
  """Reads a regular file of at most so many bytes.

  Raises:
    DataError: as `open_file`.
    StorageError: it cannot be read.
  """
  if paths.is_remote(path):
    return _read_object(buckets.BucketPath(path), most)
  handle = _open(path)
  try:
    size = _check(path, os.fstat(handle), most)
    parts = []
    while part := os.read(handle, size + 1 - sum(map(len, parts))):
      parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  finally:
    os.close(handle)


@contextlib.contextmanager
def parsing(
  path: str | os.PathLike | None, form: str, hint: str | None = None
) -> Iterator[None]:
  """Turns what a library raises while it reads foreign bytes into DataError.

  Only calls of a library belong into the block: an error of ours must stay
  one. Typed errors pass.

  Args:
    path: the file, or a place in it; None if the caller adds it.
    form: what the bytes should be, for the message.
    hint: how to mend it.

  Raises:
    DataError: the library raised anything.
    StorageError: the disk failed.
  """
  try:
    yield
  except errors.SignLLMError:
    raise
  except Exception as error:
    if isinstance(error, OSError) and error.errno in _STORAGE:
      raise errors.StorageError(f"cannot be read: {error}", path=path) from (
        error
      )
    said = " ".join(str(error).split())[:300] or type(error).__name__
    raise errors.DataError(
      f"not a whole {form} ({said})", path=path, hint=hint
    ) from error


def parse_json(
  text: bytes | str,
  path: str | os.PathLike | None = None,
  *,
  finite: bool = True,
) -> Any:
  """Parses JSON: UTF-8, every key once in its object, finite numbers.

  Args:
    text: of the file.
    path: the file, for the message; None if the caller adds it.
    finite: whether NaN and Infinity, which JSON lacks, are refused.

  Raises:
    DataError: it is something else, or nested too deeply.
  """
  with parsing(path, "JSON file"):
    if isinstance(text, bytes):
      text = text.decode()
    return json.loads(
      text,
      object_pairs_hook=distinct,
      parse_constant=_no_number if finite else None,
    )


def read_json(
  path: str | os.PathLike, *, finite: bool = True
) -> dict[str, Any]:
  """Reads a JSON object of at most `limits.MAX_JSON` bytes.

  Args:
    path: the file.
    finite: as of `parse_json`.

  Raises:
    DataError: as `read` and `parse_json`, or it is no object.
    StorageError: it cannot be read.
  """
  value = parse_json(read(path, limits.MAX_JSON), path, finite=finite)
  if not isinstance(value, dict):
    raise errors.DataError("no JSON object", path=path, expected="{...}")
  return value


def distinct(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
  """A JSON object, of which decoders would keep the last of equal keys.

  Raises:
    ValueError: a key is repeated.
  """
  found = dict(pairs)
  if len(found) < len(pairs):
    seen = set()
    for key, _ in pairs:
      if key in seen:
        raise ValueError(f"key {key[:40]!r} twice in one object")
      seen.add(key)
  return found


def _no_number(name: str) -> float:
  raise ValueError(f"{name} is no number of JSON")


def _open(path: str | os.PathLike) -> int:
  try:
    # Opening a named pipe would block until its other end is opened.
    return os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
  except (OSError, ValueError) as error:  # ValueError: a name with a null
    raise _not_opened(path, error) from error


@contextlib.contextmanager
def _open_object(
  path: str | os.PathLike, most: int | None
) -> Iterator[BinaryIO]:
  """An object of a bucket, opened as `open_file` opens a file."""
  found = buckets.BucketPath(path)
  _check_object(found, most)
  with found.reader() as file:
    yield file


def _check_object(path: buckets.BucketPath, most: int | None) -> int:
  try:
    size = path.stat().st_size
  except OSError as error:
    raise _not_opened(path, error) from error
  if most is not None and size > most:
    raise _too_large(path, size, most)
  return size


def _read_object(path: buckets.BucketPath, most: int) -> bytes:
  _check_object(path, most)
  try:
    return path.read_range(0, most)
  except OSError as error:
    raise _not_opened(path, error) from error


def _too_large(
  path: str | os.PathLike, size: int, most: int
) -> errors.DataError:
  return errors.DataError(
    f"{size} bytes", path=path, expected=f"at most {most}"
  )


def _check(
  path: str | os.PathLike, status: os.stat_result, most: int | None
) -> int:
  if not stat.S_ISREG(status.st_mode):
    raise errors.DataError("not a file", path=path)
  if most is not None and status.st_size > most:
    raise _too_large(path, status.st_size, most)
  return status.st_size


def _not_opened(
  path: str | os.PathLike, error: OSError | ValueError
) -> errors.SignLLMError:
  if isinstance(error, FileNotFoundError | NotADirectoryError | ValueError):
    return errors.DataError("no such file", path=path)
  return errors.StorageError(f"cannot be read: {error}", path=path)
