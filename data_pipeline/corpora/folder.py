"""The names in a folder to some depth, and the tables of a corpus."""

import csv
import dataclasses
import functools
import heapq
import io
import os
import pathlib
import re
from collections.abc import Iterator, Sequence
from typing import TypeVar

from data_pipeline.keypoints import find_splits
from signllm_jax.core import errors, foreign_files, limits, text_files

_Value = TypeVar("_Value")
_DEPTH = 5  # levels of folders whose names are looked at
_FEW = 400  # entries of a folder that are looked at, the first by name
_TABLES = (".csv", ".tsv")  # looked at besides


@dataclasses.dataclass(frozen=True)
class Folder:
  """A folder, of which a recogniser sees some names.

  Attributes:
    path: the folder, or a file.
  """

  path: pathlib.Path

  @functools.cached_property
  def names(self) -> list[pathlib.Path]:
    """Paths of files and folders, relative, a few of each folder."""
    return list(_some(self.path, pathlib.Path(), _DEPTH))

  def match(self, pattern: str) -> str:
    """The first name that a pattern matches as a whole; empty if there is none.

    Suffixes of files are not part of the name.
    """
    compiled = re.compile(pattern)
    for path in self.names:
      name = path.name.partition(".")[0]
      if compiled.fullmatch(name):
        return path.name
    return ""

  def split_folders(self) -> dict[str, pathlib.Path]:
    """The folder of each split, at the first level that has train."""
    levels: dict[pathlib.Path, list[str]] = {}
    for path in sorted(self.names, key=lambda path: (len(path.parts), path)):
      if find_splits.split_of(path.name) and (self.path / path).is_dir():
        levels.setdefault(path.parent, []).append(path.name)
    for parent, names in levels.items():
      if "train" in map(find_splits.split_of, names):
        named = find_splits.places(names, self.path)  # each split once
        return {s: self.path / parent / name for s, name in named.items()}
    return {}

  def tables(self, pattern: str) -> dict[str, pathlib.Path]:
    """Files whose names match a pattern, by its group, in order of depth."""
    compiled = re.compile(pattern, re.IGNORECASE)
    found: dict[str, pathlib.Path] = {}
    for path in sorted(self.names, key=lambda path: (len(path.parts), path)):
      if match := compiled.fullmatch(path.name):
        found.setdefault(match[1] if match.lastindex else "", self.path / path)
    return found

  def split_tables(self, pattern: str) -> dict[str, pathlib.Path]:
    """Tables by the split that the group of a pattern means.

    Raises:
      DataError: two of them mean one split.
    """
    found: dict[str, pathlib.Path] = {}
    for name, path in self.tables(pattern).items():
      split = find_splits.split_of(name) or name
      if (first := found.setdefault(split, path)) is not path:
        raise errors.DataError(
          f"{first.name} and {path.name} are both of the split {split}",
          path=self.path,
          expected="one table of each split",
          hint="Move one of them elsewhere",
        )
    return found


def _some(
  root: pathlib.Path, relative: pathlib.Path, depth: int
) -> Iterator[pathlib.Path]:
  """Yields a few names of a folder, sorted, then of the folders in it."""
  folders = []
  try:
    with os.scandir(root / relative) as entries:
      shown = [entry for entry in entries if entry.name[0] != "."]
      few = heapq.nsmallest(_FEW, shown, key=lambda entry: entry.name)
      tables = {e.name for e in shown if e.name.lower().endswith(_TABLES)}
      for name in sorted({*tables, *(entry.name for entry in few)}):
        yield relative / name
      folders = [relative / entry.name for entry in few if entry.is_dir()]
  except NotADirectoryError:
    return
  except OSError as error:
    raise errors.StorageError(
      f"cannot be read: {error}", path=root / relative
    ) from error
  for folder in folders[:50] if depth else ():
    yield from _some(root, folder, depth - 1)


def rows(
  path: pathlib.Path,
  columns: Sequence[str],
  delimiter: str = ",",
  *,
  header: bool = True,
  quoted: bool = True,
) -> Iterator[tuple[int, dict[str, str]]]:
  """Yields the rows of a table, with their line, from 1.

  Args:
    path: a UTF-8 file of at most `limits.MAX_TEXTS_FILE` bytes.
    columns: that it must have; without a header all of them in order.
    delimiter: between the columns.
    header: whether the first line names the columns.
    quoted: whether a quote starts a field that may hold the delimiter.

  Raises:
    DataError: it is not UTF-8, too large, lacks a column, or a row has another
      number of fields; names the line.
    StorageError: it cannot be read.
  """
  text = text_files.read_text(path, limits.MAX_TEXTS_FILE)
  quoting = csv.QUOTE_MINIMAL if quoted else csv.QUOTE_NONE
  lines = io.StringIO(text, newline="")
  reader = csv.reader(lines, delimiter=delimiter, quoting=quoting)
  names = None if header else list(columns)
  while True:
    with foreign_files.parsing(f"{path}:{reader.line_num + 1}", "table"):
      row = next(reader, None)
    if row is None:
      return
    if not any(row):
      continue
    if names is None:
      names = row
      if missing := [name for name in columns if name not in names]:
        raise errors.DataError(
          f"no column {missing[0]!r}",
          path=path,
          line=reader.line_num,
          expected=", ".join(columns),
        )
      continue
    if len(row) != len(names):
      raise errors.DataError(
        f"{len(row)} fields",
        path=path,
        line=reader.line_num,
        expected=f"{len(names)}, as many as columns",
      )
    yield reader.line_num, dict(zip(names, row, strict=True))


def add(
  entries: dict[str, _Value],
  name: str,
  entry: _Value,
  path: pathlib.Path,
  line: int,
) -> None:
  """Adds the entry of a clip, which a table must name once.

  Raises:
    DataError: the table names it again.
  """
  if entries.setdefault(name, entry) is not entry:
    raise errors.DataError(
      f"clip {name[:80]!r} again",
      path=path,
      line=line,
      expected="each clip once",
    )
