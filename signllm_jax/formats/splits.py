"""A split in Prompt2Sign's form: `.skels` and, line by line, what is beside it.

<split>.text holds the sentences, <split>.gloss the glosses, <split>.prompt the
sentences as questions and <split>.files the names; the last three may be
absent.
"""

import dataclasses
import os
import pathlib
import unicodedata
from collections.abc import Iterator
from typing import NamedTuple

from signllm_jax.core import clips, errors, text_files
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
  """Finds the clips of a split and what lies beside them, line by line.

  Args:
    folder: holds <split>.skels, .text and, where they exist, .gloss, .prompt
      and .files.
    split: e.g. `train`.

  Returns:
    Entries with text, gloss and prompt in NFC, named by .files or
    `split/000001`.

  Raises:
    DataError: a file is missing or has another number of lines than the text; a
      text or name is empty; a name is repeated.
  """
  base = pathlib.Path(folder) / split
  paths = {
    kind: base.with_name(f"{base.name}.{kind}")
    for kind in ("text", "skels", "gloss", "prompt", "files")
  }
  texts = list(read_texts(paths["text"]))
  offsets = list(_offsets(paths["skels"]))
  found = {"skels": len(offsets)}
  beside = {kind: [""] * len(texts) for kind in ("gloss", "prompt")}
  for kind in beside:
    if paths[kind].exists():
      beside[kind] = list(read_texts(paths[kind], empty=True))
      found[kind] = len(beside[kind])
  names = []
  if paths["files"].exists():
    names = list(read_texts(paths["files"]))
    found["files"] = len(names)
  for kind, count in found.items():
    check_lines(paths[kind], count, paths["text"], len(texts))
  names = names or [f"{split}/{i:06d}" for i in range(1, len(texts) + 1)]
  first = {}  # line of each name
  for number, name in enumerate(names, 1):
    if first.setdefault(name, number) != number:
      raise errors.DataError(
        f"name {name!r} again, first in line {first[name]}",
        path=paths["files"],
        line=number,
        expected="each name once",
      )
  numbers = range(1, len(texts) + 1)
  rows = zip(offsets, numbers, names, texts, *beside.values(), strict=True)
  return [Entry(*row) for row in rows]


def read_entry(
  folder: str | os.PathLike, split: str, entry: Entry, fps: float = 25.0
) -> clips.Clip:
  """Reads one clip of `index_split`.

  Raises:
    DataError: its line is not what the format says; names line and frame.
  """
  path = pathlib.Path(folder, f"{split}.skels")
  with path.open("rb") as file:
    file.seek(entry.offset)
    line = file.readline(skels.MAX_LINE + 1)
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
  """Reads all clips of a split, one after another.

  Raises:
    DataError: as `index_split` and `read_entry`.
  """
  for entry in index_split(folder, split):
    yield read_entry(folder, split, entry, fps)


def _offsets(path: pathlib.Path) -> Iterator[int]:
  """Where each line begins, in bytes."""
  offset = 0
  for _, line in skels.lines(path):
    yield offset
    offset += len(line)


def check_lines(
  path: pathlib.Path, count: int, texts: pathlib.Path, expected: int
) -> None:
  """Refuses a file that has not a line for every line of the texts.

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
  """The lines of a file beside .skels, stripped and in NFC.

  Args:
    path: the file.
    empty: whether there may be empty lines.

  Raises:
    DataError: the file is missing, not UTF-8 or has an empty line.
  """
  for number, line in skels.lines(path):
    said = text_files.decode_line(line, path, number)
    said = unicodedata.normalize("NFC", said).strip()
    if not said and not empty:
      raise errors.DataError("an empty line", path=path, line=number)
    yield said
