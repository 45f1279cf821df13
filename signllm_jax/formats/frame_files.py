"""Folders with one JSON file per frame: file names and the clips they form.

OpenPose and DWPose write such files. `frame_io` reads and writes them;
`openpose` and `dwpose` define their content.
"""

import collections
import dataclasses
import os
import pathlib
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import errors, limits

# Prefixes that name every frame of every clip; the folder names the clip.
_COMMON_PREFIX = re.compile(
  r"(images?|img|frames?|pics?|pictures?|photos?|rgb|color(frame)?|out(put)?|"
  r"results?)?[_\-.]?",
  re.IGNORECASE,
)


class Naming(NamedTuple):
  """Naming scheme of frame files: `<clip>_<number><tail>`.

  Files of other tools have numbers of other lengths, and a prefix without the
  underscore, such as images0001. `group` takes them too.
  """

  digits: int  # of the number, which is padded to this length
  first: int  # number of a clip's first frame
  tail: str
  wrappers: tuple[str, ...] = ()  # folders of the tool within the clip's

  def file_name(self, prefix: str, number: int) -> str:
    """Name of a frame's file; `prefix` precedes the number."""
    return f"{prefix}{number:0{self.digits}d}{self.tail}"


@dataclasses.dataclass(frozen=True)
class FrameFiles:
  """The files of one clip; 8 bytes each, as data sets have millions.

  Attributes:
    folder: with the files.
    prefix: of their names: `<clip>_`, or empty.
    numbers: [N >= 1] int64, ascending: the frames that have a file.
    naming: of the files.
  """

  folder: str
  prefix: str
  numbers: np.ndarray
  naming: Naming

  @property
  def name(self) -> str:
    """The clip's name: the prefix, or that of the folder.

    A prefix such as `images` or `frame_` names no clip.
    """
    if self.prefix and not _COMMON_PREFIX.fullmatch(self.prefix):
      return self.prefix.removesuffix("_") or self.prefix
    folder = pathlib.Path(self.folder).resolve()
    while folder.name in self.naming.wrappers:
      folder = folder.parent
    return folder.name

  @property
  def paths(self) -> list[str]:
    """Paths [N] of the files, in the order of their numbers."""
    start = os.path.join(self.folder, self.prefix)
    return [
      self.naming.file_name(start, number) for number in self.numbers.tolist()
    ]

  def rows(self) -> tuple[np.ndarray, int]:
    """The frame [N] of each file and the number of frames of the clip.

    A number without a file inside the clip counts as a frame; otherwise time
    would be compressed.

    Raises:
      DataError: the numbers span more than `limits.MAX_FRAMES`.
    """
    rows = self.numbers - self.numbers[0]
    t = int(rows[-1]) + 1
    if t > limits.MAX_FRAMES:
      raise errors.DataError(
        f"clip {self.name!r} has frames from {self.numbers[0]} to "
        f"{self.numbers[-1]}",
        path=self.folder,
        expected=f"at most {limits.MAX_FRAMES} frames a clip",
      )
    return rows, t


def group(
  folder: str | os.PathLike, names: Iterable[str], naming: Naming
) -> list[FrameFiles]:
  """Groups the file names of a folder into clips, by prefix.

  Numbers may have any length, with or without leading zeros. If a clip has
  numbers of several lengths, those of the naming's length are its frames.

  Args:
    folder: of the files.
    names: in any order; those of another form are left out.
    naming: of frame files.

  Raises:
    DataError: the numbers of a clip are padded to different lengths.
  """
  pattern = re.compile(
    rf"((?:.*[^0-9])?)([0-9]{{1,15}}){re.escape(naming.tail)}", re.DOTALL
  )
  numbers = collections.defaultdict(list)
  for name in names:
    if match := pattern.fullmatch(name):
      numbers[match[1]].append(match[2])
  found = []
  for prefix, of_prefix in sorted(numbers.items()):
    width = _padding(of_prefix)
    usual = [number for number in of_prefix if len(number) == naming.digits]
    if width is None and usual:
      of_prefix, width = usual, naming.digits
    if width is None:
      raise errors.DataError(
        "frame numbers padded to different lengths, "
        f"{min(of_prefix, key=len)} and {max(of_prefix, key=len)}",
        path=os.path.join(folder, f"{prefix}*{naming.tail}"),
        expected="one length in a clip",
      )
    found.append(
      FrameFiles(
        os.fspath(folder),
        prefix,
        np.sort(np.array(of_prefix, np.int64)),
        naming._replace(digits=width),
      )
    )
  return found


def _padding(numbers: Sequence[str]) -> int | None:
  """The length that numbers are padded to; None if there are several."""
  widths = {len(number) for number in numbers if number[0] == "0"}
  least = min(map(len, numbers))
  if len(widths) > 1 or any(width > least for width in widths):
    return None
  return least


def walk(root: str | os.PathLike) -> Iterator[tuple[str, list[str]]]:
  """Yields each folder of a tree with its file names, sorted, none hidden.

  Links to folders are followed, except links to an enclosing folder.

  Raises:
    StorageError: a folder cannot be read.
  """

  def fail(error: OSError) -> None:
    raise errors.StorageError(
      f"cannot be read: {error}", path=error.filename
    ) from error

  root = os.fspath(root)
  enclosing = {root: {os.path.realpath(root)}}  # of each folder, with itself
  for folder, folders, names in os.walk(root, onerror=fail, followlinks=True):
    around, inside = enclosing.pop(folder), []
    for name in sorted(folders):
      path = os.path.join(folder, name)
      real = os.path.realpath(path)
      if not name.startswith(".") and real not in around:
        enclosing[path] = around | {real}
        inside.append(name)
    folders[:] = inside
    yield folder, sorted(name for name in names if not name.startswith("."))


def find(root: str | os.PathLike, naming: Naming) -> list[FrameFiles]:
  """Finds the clips in a folder and its subfolders, by folder and prefix."""
  return [
    clip
    for folder, names in walk(root)
    for clip in group(folder, names, naming)
  ]


def one_clip(
  source: FrameFiles | str | os.PathLike | Sequence[str | os.PathLike],
  naming: Naming,
) -> FrameFiles:
  """The single clip of a folder or a list of files.

  Raises:
    DataError: there is no such folder, or not exactly one clip.
  """
  if isinstance(source, FrameFiles):
    return source
  example = naming.file_name("<clip>_", 0)
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
  clips = group(folder, names, naming)
  if len(clips) != 1:
    listed = ", ".join(clip.name for clip in clips[:5])
    raise errors.DataError(
      f"frame files of {len(clips)} clips ({listed})" if clips else "no frames",
      path=folder,
      expected=f"files of one clip, named {example}",
    )
  return clips[0]
