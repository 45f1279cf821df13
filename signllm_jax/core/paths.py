"""Paths of users: local ones and objects of buckets, told apart in one place.

`resolve` makes a `pathlib.Path` of a local path and a `BucketPath` of gs:// and
s3://. Both have the same names for what is done with both.
"""

import atexit
import functools
import os
import pathlib
import shutil
import tempfile

from signllm_jax.core import buckets, errors

AnyPath = pathlib.Path | buckets.BucketPath


def is_remote(path: str | os.PathLike) -> bool:
  """Whether it is a URL, not a path of the file system."""
  return isinstance(path, buckets.BucketPath) or "://" in os.fspath(path)


def resolve(path: str | os.PathLike, *parts: str) -> AnyPath:
  """A path, with parts joined to it.

  Raises:
    UsageError: a URL that is none of a bucket.
  """
  base = buckets.BucketPath(path) if is_remote(path) else pathlib.Path(path)
  for part in parts:
    base = base / part
  return base


def absolute(path: str | os.PathLike, *parts: str) -> AnyPath:
  """As `resolve`; a local path does not depend on the working directory."""
  if not is_remote(path):
    path = os.path.abspath(path)
  return resolve(path, *parts)


def local(path: str | os.PathLike, purpose: str) -> pathlib.Path:
  """A path that must be of the file system.

  Raises:
    UsageError: a URL; says for which purpose a local path is needed.
  """
  if is_remote(path):
    raise errors.UsageError(
      f"{purpose} must be on a local file system", path=path
    )
  return pathlib.Path(path)


@functools.cache
def scratch() -> pathlib.Path:
  """A folder for copies of objects; it is removed when the process ends."""
  folder = pathlib.Path(tempfile.mkdtemp(prefix="signllm-"))
  atexit.register(shutil.rmtree, folder, ignore_errors=True)
  return folder


@functools.cache
def _copy(path: buckets.BucketPath) -> pathlib.Path:
  target = pathlib.Path(tempfile.mkdtemp(dir=scratch()), path.name)
  try:
    path.download(target)
  except FileNotFoundError as error:
    raise errors.DataError("no such file", path=path) from error
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  return target


def local_copy(path: str | os.PathLike) -> pathlib.Path:
  """A local path itself; of an object a copy, which this process keeps.

  For libraries that read only files. The copy is made once.

  Raises:
    DataError: there is no such object.
    StorageError: it cannot be read.
  """
  found = resolve(path)
  return found if isinstance(found, pathlib.Path) else _copy(found)
