"""Splits in Prompt2Sign's form: `.skels` with parallel text files.

Line by line, <split>.text holds the sentences, <split>.gloss the glosses,
<split>.prompt the sentences as questions and <split>.files the names. The last
three are optional.
"""

import dataclasses
import os
import pathlib
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from signllm_jax.core import clips, errors, foreign_files, limits, text_files
from signllm_jax.formats import skels


class Entry(NamedTuple):
  """A clip of a split that has not been read yet."""

  offset: int  # of its line, in bytes
  number: int  # of its line, from 1
  name: str
  text: str
  gloss: str
  prompt: str


def index_split(folder: str | os.PathLike, split: str) -> list[Entry]:
  """Lists the clips of a split with their texts, without reading poses.

  Args:
    folder: with <split>.skels, .text and optionally .gloss, .prompt and .files.
    split: e.g. `train`.

  Returns:
    Entries with text, gloss and prompt in NFC, named by .files or
    `split/000001`.

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
  offsets = list(_offsets(paths["skels"]))
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
  return [Entry(*row) for row in rows]


def read_entry(
  folder: str | os.PathLike, split: str, entry: Entry, fps: float = 25.0
) -> clips.Clip:
  """Reads a clip of `index_split`.

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
    skels.parse(line, path, entry.number, fps),
    name=entry.name,
    text=entry.text,
    gloss=entry.gloss,
    prompt=entry.prompt,
  )


def read_split(
  folder: str | os.PathLike, split: str, fps: float = 25.0
) -> Iterator[clips.Clip]:
  """Reads the clips of a split one by one.

  Raises:
    DataError: as `index_split` and `read_entry`.
  """
  for entry in index_split(folder, split):
    yield read_entry(folder, split, entry, fps)


def _offsets(path: pathlib.Path) -> Iterator[int]:
  """Yields the byte offset of each line."""
  offset = 0
  for _, line in text_files.read_lines(path, limits.MAX_LINE):
    yield offset
    offset += len(line)


def check_lines(
  path: pathlib.Path, count: int, texts: pathlib.Path, expected: int
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


def read_texts(path: pathlib.Path, empty: bool = False) -> Iterator[str]:
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
