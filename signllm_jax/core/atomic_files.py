"""Files and folders that appear whole or not at all."""

import contextlib
import os
import pathlib
import re
import shutil
import uuid
from collections.abc import Iterator

from signllm_jax.core import errors

_LEFT = re.compile(r"\..*\.[0-9a-f]{32}(\.[^.]*)?")  # as `replacing` names it


def make_folder(path: str | os.PathLike) -> None:
  """Makes a folder and those it lies in, as far as they are not there.

  Raises:
    StorageError: it cannot be made, or is there and no folder.
  """
  try:
    pathlib.Path(path).mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.StorageError(f"cannot be made: {error}", path=path) from error


def write_text(path: str | os.PathLike, text: str) -> None:
  """Writes a file whole or not at all, and puts it on disk.

  Raises:
    StorageError: the disk is full, read-only or gone.
  """
  with replacing(path) as part:
    part.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a path to write; it takes the place of `path` when all went well.

  It is on disk before it has its name, or the name could outlive the content
  where the machine loses its power.

  The temporary file lies in the same folder (a rename is atomic only within a
  file system) and has the same suffix (writers choose their format by it).

  Raises:
    StorageError: the folder is missing or the file cannot be written.
  """
  path = pathlib.Path(path)
  if not path.parent.is_dir():
    raise errors.StorageError(
      "its folder does not exist", path=path, hint="Make the folder first"
    )
  part = path.with_name(f".{path.stem}.{uuid.uuid4().hex}{path.suffix}")
  try:
    yield part
    with part.open("rb") as file:
      os.fsync(file.fileno())
    os.replace(part, path)
  except OSError as error:
    raise errors.StorageError(f"cannot write: {error}", path=path) from error
  finally:
    if part.exists():  # a read-only file system refuses even an attempt
      part.unlink()


@contextlib.contextmanager
def all_or_none(*paths: str | os.PathLike) -> Iterator[None]:
  """Removes these new files, as far as they are there, if the block fails."""
  try:
    yield
  except BaseException:
    for path in paths:
      with contextlib.suppress(OSError):  # the first error says more
        os.unlink(path)
    raise


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[pathlib.Path]:
  """Yields a folder to fill; it takes the name `path` when all went well.

  Raises:
    StorageError: it cannot be made, filled or renamed.
  """
  path = pathlib.Path(path)
  part = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
  try:
    part.mkdir(parents=True)
    yield part
    part.rename(path)
  except OSError as error:
    raise errors.StorageError(f"cannot write: {error}", path=path) from error
  finally:
    shutil.rmtree(part, ignore_errors=True)


def left_in(folder: str | os.PathLike) -> list[pathlib.Path]:
  """What killed processes left half-written in a folder; it may be removed.

  Where another process writes, this is also what it is about to finish.
  """
  return [
    path
    for path in sorted(pathlib.Path(folder).iterdir())
    if _LEFT.fullmatch(path.name) and path.is_file()
  ]
