"""Writes and checks `SHA256SUMS` of a build, in the format of GNU coreutils.

`sha256sum -c SHA256SUMS` in the folder checks the same.
"""

import hashlib
import os
import pathlib
import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from data_pipeline.building import record_reader
from signllm_jax.core import (
  atomic_files,
  errors,
  foreign_files,
  limits,
  paths,
  text_files,
)
from signllm_jax.formats import tfrecord

SUMS = "SHA256SUMS"
_DESCRIPTION = ("dataset_info.json", "features.json")
_LINE = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\0]+)")


def write_sums(
  folder: str | os.PathLike, known: Mapping[str, str] = MappingProxyType({})
) -> pathlib.Path:
  """Writes the SHA-256 of every file of a complete build; returns the path.

  Args:
    folder: of the build.
    known: SHA-256 of files by name, which need not be in the folder.

  Raises:
    StorageError: a file cannot be read, or the sums cannot be written.
  """
  folder = pathlib.Path(folder)
  try:
    sums = dict(known)
    for path in folder.iterdir():
      if path.is_file() and path.name not in {SUMS, *sums}:
        sums[path.name] = sha256(path)
  except OSError as error:
    raise errors.StorageError(
      f"cannot be read: {error}", path=folder
    ) from error
  lines = [f"{digest}  {name}\n" for name, digest in sorted(sums.items())]
  atomic_files.write_text(folder / SUMS, "".join(lines))
  return folder / SUMS


def problems(
  folder: str | os.PathLike, shards: Iterable[str]
) -> list[errors.DataError]:
  """Finds faults of the checksums and of the files they list.

  Args:
    folder: folder of the build.
    shards: names of the shards it should have. A missing shard is reported by
      the reader of the records, not here.

  Raises:
    StorageError: a file cannot be read.
  """
  folder, shards = paths.resolve(folder), set(shards)
  path = folder / SUMS
  if not foreign_files.exists(path):
    return [
      errors.DataError(
        "no checksums; changed bytes cannot be detected",
        path=path,
        expected="a line a file, written at the end of the build",
        hint=record_reader.REBUILD,
      )
    ]
  try:
    text = text_files.read_text(path, limits.MAX_TEXTS_FILE)
    lines = text.replace("\r\n", "\n").split("\n")
  except errors.DataError as error:
    return [error]
  faults, named = [], set()
  for number, line in enumerate(lines[:-1] if not lines[-1] else lines, 1):
    match = _LINE.fullmatch(line)
    if not match:
      faults.append(
        errors.DataError(
          "not a checksum",
          path=path,
          line=number,
          expected="64 hexadecimal digits, two spaces and a file name",
        )
      )
      continue
    stored, name = match.groups()
    named.add(name)
    fault = _compare(folder / name, stored, name in shards)
    if fault is not None:
      faults.append(fault)
  for name in sorted({*_DESCRIPTION, *shards} - named):
    faults.append(
      errors.DataError(
        f"no checksum of {name}", path=path, hint=record_reader.REBUILD
      )
    )
  return faults


def _compare(
  path: paths.AnyPath, stored: str, is_shard: bool
) -> errors.DataError | None:
  try:
    if not path.is_file():
      if is_shard:
        return None  # see `problems`
      return errors.DataError("the file is missing", path=path)
    actual = sha256(path)
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  if actual == stored:
    return None
  return errors.DataError(
    f"its SHA-256 is {actual}",
    path=path,
    expected=f"{stored}, as {SUMS} says",
    hint=tfrecord.RESTORE,
  )


def sha256(path: paths.AnyPath) -> str:
  """SHA-256 of a file or object.

  Raises:
    DataError, StorageError: as `foreign_files.open_file`.
    OSError: it cannot be read.
  """
  with foreign_files.open_file(path) as file:
    opened: Any = file
    return hashlib.file_digest(opened, "sha256").hexdigest()
