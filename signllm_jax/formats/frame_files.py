"""Clips kept as one small JSON file a frame, in a folder.

Two detectors write such files: OpenPose and DWPose. This module knows their
names and numbers, reads them and writes a clip's folder as a
whole; `openpose.py` and `dwpose.py` know what is inside.
"""

import collections
import dataclasses
import json
import os
import pathlib
import re
import shutil
import stat
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import errors

MAX_FILE = 4 << 20  # bytes of a frame; a person takes 4,000
MAX_FRAMES = 100_000  # of a clip, an hour; missing ones count


class Form(NamedTuple):
  """How the files of a clip are named: `<clip>_<number><tail>`."""

  digits: int  # of the number
  first: int  # number of a clip's first frame
  tail: str
  wrappers: tuple[str, ...] = ()  # folders that the tool makes in the clip's

  def file_name(self, prefix: str, number: int) -> str:
    """A frame's file; `prefix` is what stands before the number."""
    return f"{prefix}{number:0{self.digits}d}{self.tail}"


@dataclasses.dataclass(frozen=True)
class FrameFiles:
  """The files of one clip, 8 bytes each: data sets have millions.

  Attributes:
    folder: where they lie.
    prefix: what stands before the number: `<clip>_`, or nothing.
    numbers: [N >= 1] int64, rising: the frames for which there is a file.
    form: how they are named.
  """

  folder: str
  prefix: str
  numbers: np.ndarray
  form: Form

  @property
  def name(self) -> str:
    """The clip's name: the prefix, or else the folder's name."""
    folder = pathlib.Path(self.folder).resolve()
    while folder.name in self.form.wrappers:
      folder = folder.parent
    return self.prefix[:-1] or folder.name

  @property
  def paths(self) -> list[str]:
    """[N] the files, in the order of the numbers."""
    start = os.path.join(self.folder, self.prefix)
    return [
      self.form.file_name(start, number) for number in self.numbers.tolist()
    ]

  def rows(self) -> tuple[np.ndarray, int]:
    """The frame [N] of each file and how many frames the clip has.

    A number without a file inside the clip is a frame too, or time would be
    compressed.

    Raises:
      DataError: the numbers span more than MAX_FRAMES.
    """
    rows = self.numbers - self.numbers[0]
    t = int(rows[-1]) + 1
    if t > MAX_FRAMES:
      raise errors.DataError(
        f"clip {self.name!r} has frames from {self.numbers[0]} to "
        f"{self.numbers[-1]}",
        path=self.folder,
        expected=f"at most {MAX_FRAMES} frames a clip",
      )
    return rows, t


def group(
  folder: str | os.PathLike, names: Iterable[str], form: Form
) -> list[FrameFiles]:
  """The clips among the file names of one folder, by prefix; others are left.

  Args:
    folder: where the files lie.
    names: file names, in any order.
    form: how frame files are named.
  """
  pattern = re.compile(
    rf"((?:.*_)?)([0-9]{{{form.digits}}}){re.escape(form.tail)}", re.DOTALL
  )
  numbers = collections.defaultdict(list)
  for name in names:
    if match := pattern.fullmatch(name):
      numbers[match[1]].append(int(match[2]))
  return [
    FrameFiles(os.fspath(folder), prefix, np.sort(found), form)
    for prefix, found in sorted(numbers.items())
  ]


def walk(root: str | os.PathLike) -> Iterator[tuple[str, list[str]]]:
  """Each folder in a tree and its files' names, both sorted; none hidden.

  Links to folders are followed, save those back to where they come from.

  Raises:
    StorageError: a folder cannot be read.
  """

  def fail(error: OSError) -> None:
    raise errors.StorageError(
      f"cannot be read: {error}", path=error.filename
    ) from error

  root = os.fspath(root)
  above = {root: {os.path.realpath(root)}}  # folder -> it and those around it
  for folder, folders, names in os.walk(root, onerror=fail, followlinks=True):
    around, inside = above.pop(folder), []
    for name in sorted(folders):
      path = os.path.join(folder, name)
      real = os.path.realpath(path)
      if not name.startswith(".") and real not in around:
        above[path] = around | {real}
        inside.append(name)
    folders[:] = inside
    yield folder, sorted(name for name in names if not name.startswith("."))


def find(root: str | os.PathLike, form: Form) -> list[FrameFiles]:
  """The clips of a form in a folder and the folders in it."""
  return [
    clip for folder, names in walk(root) for clip in group(folder, names, form)
  ]


def one_clip(
  source: FrameFiles | str | os.PathLike | Sequence[str | os.PathLike],
  form: Form,
) -> FrameFiles:
  """The only clip in a folder or a list of files.

  Raises:
    DataError: there is no such folder, or not exactly one clip.
  """
  if isinstance(source, FrameFiles):
    return source
  example = form.file_name("<clip>_", 0)
  if isinstance(source, str | os.PathLike):
    folder = os.fspath(source)
    try:
      names = os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError) as error:
      raise errors.DataError("no such folder", path=folder) from error
    except OSError as error:
      raise errors.StorageError(f"cannot be read: {error}", path=folder) from (
        error
      )
  else:
    paths = [pathlib.Path(path) for path in source]
    folder = str(paths[0].parent) if paths else "."
    names = [path.name for path in paths]
    if any(str(path.parent) != folder for path in paths):
      raise errors.DataError(
        "frame files of several folders", path=folder, expected="one clip"
      )
  clips = group(folder, names, form)
  if len(clips) != 1:
    found = ", ".join(clip.name for clip in clips[:5])
    raise errors.DataError(
      f"frame files of {len(clips)} clips ({found})" if clips else "no frames",
      path=folder,
      expected=f"files of one clip, named {example}",
    )
  return clips[0]


def read(path: str) -> bytes:
  """What is in a frame's file.

  Threads do not pay: parsing holds Python's lock, and a reader waits 5 ms for
  it, a hundred times what a file takes. Clips are read in several processes.

  Raises:
    DataError: there is no such file, or it is larger than MAX_FILE.
    StorageError: it cannot be read.
  """
  try:
    # A pipe of this name would keep us waiting for its other end.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
      status = os.fstat(handle)
      if not stat.S_ISREG(status.st_mode):
        raise errors.DataError("not a file", path=path)
      if status.st_size > MAX_FILE:
        raise errors.DataError(
          f"{status.st_size} bytes",
          path=path,
          expected=f"at most {MAX_FILE} for one frame",
        )
      return os.read(handle, status.st_size)
    finally:
      os.close(handle)
  except FileNotFoundError as error:
    raise errors.DataError("no such file", path=path) from error
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error


def check_keys(data: bytes, keys: int) -> None:
  """Refuses an object that names a key twice, of which decoders keep the last.

  Args:
    data: a JSON text that a decoder has accepted.
    keys: how many keys the decoder found and knows. If the text has no more
      quotes than these need, there is no other key or string in it, and so no
      second one: the usual case costs one count.

  Raises:
    ValueError: a key is there twice, or the text is not UTF-8.
    RecursionError: the text is nested too deeply.
  """
  if data.count(b'"') != 2 * keys:
    json.loads(data.decode(), object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, object]]) -> None:
  seen = set()
  for key, _ in pairs:
    if key in seen:
      raise ValueError(f"key {key[:40]!r} twice in one object")
    seen.add(key)


def write(
  folder: str | os.PathLike, prefix: str, frames: Iterable[bytes], form: Form
) -> None:
  """Writes a clip's frames, numbered without a gap.

  The folder appears whole. It takes the place of one that is empty or holds
  nothing but frames of this clip; others are never touched.

  Args:
    folder: the folder to make.
    prefix: `<clip>_`, or nothing.
    frames: the content of each file.
    form: how the files are named.

  Raises:
    DataError: the clip's name cannot stand in a file name.
    StorageError: the folder holds other files, or cannot be written.
  """
  folder = pathlib.Path(folder)
  if "/" in prefix or "\0" in prefix or len(os.fsencode(prefix)) > 200:
    raise errors.DataError(
      f"clip name {prefix[:-1][:60]!r}",
      path=folder,
      expected="one that can stand in a file name",
    )
  part = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
  try:
    old = os.listdir(folder) if folder.exists() else []
    ours = group(folder, old, form)
    if len(old) != sum(len(x.numbers) for x in ours if x.prefix == prefix):
      raise errors.StorageError(
        "the folder holds other files",
        path=folder,
        hint="Name a new or an empty one",
      )
    part.mkdir()
    for number, data in enumerate(frames, form.first):
      (part / form.file_name(prefix, number)).write_bytes(data)
    if old:
      aside = part.with_name(f"{part.name}.old")
      folder.rename(aside)
      part.rename(folder)
      shutil.rmtree(aside)
    else:
      part.rename(folder)
  except OSError as error:
    raise errors.StorageError(f"cannot write: {error}", path=folder) from error
  finally:
    shutil.rmtree(part, ignore_errors=True)
