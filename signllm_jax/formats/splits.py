"""Splits in Prompt2Sign's form: `.skels` with parallel text files.

Line by line, <split>.text holds the sentences, <split>.gloss the glosses,
<split>.prompt the sentences as questions and <split>.files the names. The last
three are optional.
"""

import dataclasses
import os
import pathlib
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from absl import logging

from signllm_jax.core import clips, errors, foreign_files, limits, text_files
from signllm_jax.core import paths as paths_lib
from signllm_jax.core.skeleton import DWPOSE128
from signllm_jax.formats import dwpose_skels, skels


class Entry(NamedTuple):
  """A clip of a split that has not been read yet."""

  offset: int  # of its line, in bytes
  number: int  # of its line, from 1
  name: str
  text: str
  gloss: str
  prompt: str


def index_split(
  folder: str | os.PathLike,
  split: str,
  report: Callable[[str], None] | None = None,
) -> list[Entry]:
  """Lists the clips of a split with their texts, without reading poses.

  Args:
    folder: with <split>.skels, .text and optionally .gloss, .prompt and .files.
    split: e.g. `train`.
    report: called with the warning; logged if not given.

  Returns:
    Entries with text, gloss and prompt in NFC, named by .files or
    `split/000001`. Those of dwpose128 with an empty line are left out, and a
    warning names them: they failed in the published tool.

  Raises:
    DataError: a file is missing or has another number of lines than the texts;
      a text or name is empty; a name is repeated.
  """
  base = pathlib.Path(folder) / split
  paths = {
    kind: base.with_name(f"{base.name}.{kind}")
    for kind in ("text", "skels", "gloss", "prompt", "files")
  }
  texts = list(read_texts(paths["text"]))
  offsets, empty = _offsets(paths["skels"])
  counts = {"skels": len(offsets)}
  optional = {kind: [""] * len(texts) for kind in ("gloss", "prompt")}
  for kind in optional:
    if paths[kind].exists():
      optional[kind] = list(read_texts(paths[kind], empty=True))
      counts[kind] = len(optional[kind])
  names = []
  if paths["files"].exists():
    names = list(read_texts(paths["files"]))
    counts["files"] = len(names)
  for kind, count in counts.items():
    check_lines(paths[kind], count, paths["text"], len(texts))
  names = names or [f"{split}/{i:06d}" for i in range(1, len(texts) + 1)]
  first_line: dict[str, int] = {}  # of each name
  for number, name in enumerate(names, 1):
    if first_line.setdefault(name, number) != number:
      raise errors.DataError(
        f"name {name!r} again, first in line {first_line[name]}",
        path=paths["files"],
        line=number,
        expected="each name once",
      )
  numbers = range(1, len(texts) + 1)
  rows = zip(offsets, numbers, names, texts, *optional.values(), strict=True)
  entries = [Entry(*row) for row in rows]
  gaps = [each for each, bare in zip(entries, empty, strict=True) if bare]
  if not gaps or not _is_dwpose(folder, split, entries, empty):
    return entries
  named = [f"{each.name} (line {each.number})" for each in gaps]
  (report or logging.warning)(dwpose_skels.gaps(paths["skels"], named))
  return [each for each, bare in zip(entries, empty, strict=True) if not bare]


def _is_dwpose(
  folder: str | os.PathLike,
  split: str,
  entries: Sequence[Entry],
  empty: Sequence[bool],
) -> bool:
  """Whether the first clip of a split is of dwpose128."""
  for entry, bare in zip(entries, empty, strict=True):
    if not bare:
      return read_entry(folder, split, entry).skeleton == DWPOSE128
  return False


def read_entry(
  folder: str | os.PathLike,
  split: str,
  entry: Entry,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
) -> clips.Clip:
  """Reads a clip of `index_split`; `size` as of `skels.read`.

  Raises:
    DataError: its line is malformed; names line and frame.
  """
  path = pathlib.Path(folder, f"{split}.skels")
  with (
    foreign_files.open_file(path) as file,
    foreign_files.parsing(path, "file"),
  ):
    file.seek(entry.offset)
    line = file.readline(limits.MAX_LINE + 1)
  return dataclasses.replace(
    skels.parse(line, path, entry.number, fps, size),
    name=entry.name,
    text=entry.text,
    gloss=entry.gloss,
    prompt=entry.prompt,
  )


def read_split(
  folder: str | os.PathLike,
  split: str,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  report: Callable[[str], None] | None = None,
) -> Iterator[clips.Clip]:
  """Reads the clips of a split one by one; `size` as of `skels.read`.

  Raises:
    DataError: as `index_split` and `read_entry`.
  """
  for entry in index_split(folder, split, report):
    yield read_entry(folder, split, entry, fps, size)


def _offsets(path: pathlib.Path) -> tuple[list[int], list[bool]]:
  """The byte offset of each line, and whether it is empty."""
  offsets, empty, offset = [], [], 0
  for _, line in text_files.read_lines(path, limits.MAX_LINE):
    offsets.append(offset)
    empty.append(dwpose_skels.is_empty(line))
    offset += len(line)
  return offsets, empty


def check_lines(
  path: paths_lib.AnyPath, count: int, texts: paths_lib.AnyPath, expected: int
) -> None:
  """Refuses a file whose number of lines differs from that of the texts.

  Raises:
    DataError: `count` is not `expected`.
  """
  if count != expected:
    raise errors.DataError(
      f"{count} lines",
      path=path,
      expected=f"{expected} as in {texts.name}",
      hint="The files of a split belong together line by line",
    )


def read_texts(path: paths_lib.AnyPath, empty: bool = False) -> Iterator[str]:
  """Reads the lines of a parallel text file, stripped and in NFC.

  Args:
    path: the file.
    empty: whether empty lines are allowed.

  Raises:
    DataError: the file is missing, not UTF-8 or has an empty line.
  """
  for number, line in text_files.read_lines(path):
    text = text_files.decode_line(line, path, number)
    text = unicodedata.normalize("NFC", text).strip()
    if not text and not empty:
      raise errors.DataError("an empty line", path=path, line=number)
    yield text
