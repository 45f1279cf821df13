"""Reads and writes a folder of lifted clips, as `lifting_run.py` leaves it.

A clip is <name>.npz (`formats/npz.py`, in the normalised unit of the published
stages) and, written after it, its record <name>.json: its quality, whether it
was kept, and a digest of its sources. The name of a landmark recording is
SIGN/RECORDING, so that its files are in a folder. A clip that the policy
dropped has only the record. `lift.json` holds the options of the folder.
"""

import contextlib
import dataclasses
import fcntl
import hashlib
import json
import os
import pathlib
import unicodedata
from collections.abc import Iterator

import numpy as np

from data_pipeline.keypoints import find_clips
from data_pipeline.keypoints.cleaning import Mode
from data_pipeline.lifting import quality, stage_files
from signllm_jax.core import atomic_files, clips, errors, foreign_files
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import npz

OPTIONS = "lift.json"
_MAX_NAME = 200  # bytes; suffixes and a temporary name's digits come on top


@dataclasses.dataclass(frozen=True)
class Options:
  """Options of lifting, which with the keypoints determine the clips.

  Raises:
    UsageError: `condense` has a wrong form.
  """

  mode: Mode = "fast"
  policy: quality.Policy = "keep"
  condense: str = ""  # as `quality.condense` takes it; empty for all frames
  skeleton: str = PROMPT2SIGN50.name  # others are taken as they are, not lifted

  def __post_init__(self):
    if self.condense:
      empty = np.zeros((1, PROMPT2SIGN50.num_joints, 3), np.float32)
      quality.condense(clips.Keypoints(empty), self.condense)


DEFAULT = Options()


def check_name(name: str, *, sign: bool = False) -> None:
  """Checks that a name can be a file name and a line of a .files.

  Args:
    name: of a clip.
    sign: whether it is SIGN/RECORDING, a file in a folder.

  Raises:
    DataError: the name is empty, hidden, too long, holds a slash or a control
      character, or would give a record the name `lift.json`.
  """
  if sign and name.count("/") == 1:
    for part in name.split("/"):
      check_name(part)
    return
  kinds = set(map(unicodedata.category, name))
  if (
    name.startswith(".")
    or name != name.strip()
    or "/" in name
    or kinds & {"Cc", "Cs", "Zl", "Zp"}
    or not 0 < len(name.encode()) <= _MAX_NAME
    or f"{name}.json" == OPTIONS
  ):
    raise errors.DataError(
      f"{name[:60]!r} cannot name a file", hint="Rename the clip"
    )


@contextlib.contextmanager
def locked(folder: str | os.PathLike) -> Iterator[None]:
  """Locks a folder for this process; the lock ends with the process.

  It is the kernel's lock on the folder itself, so that no lock file is left.

  Raises:
    UsageError: another process has locked it.
    StorageError: it cannot be locked.
  """
  try:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
  except OSError as error:
    raise errors.StorageError(
      f"cannot be opened: {error}", path=folder
    ) from error
  try:
    try:
      fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
      raise errors.UsageError(
        "another process writes into it",
        path=folder,
        hint="Wait for it, or name another output",
      ) from error
    except OSError as error:
      raise errors.StorageError(
        f"cannot be locked: {error}", path=folder
      ) from error
    yield
  finally:
    os.close(handle)


def claim(folder: str | os.PathLike, options: Options) -> None:
  """Prepares a new folder, or checks that an old one has the same options.

  Removes files that a killed process left half-written.

  Raises:
    UsageError: it was lifted with other options, or holds other files.
    DataError: its `lift.json` is damaged.
    StorageError: it cannot be written.
  """
  folder = pathlib.Path(folder)
  requested = dataclasses.asdict(options)
  inside = sorted(filter(pathlib.Path.is_dir, folder.iterdir()))
  unfinished = [
    path
    for place in (folder, *inside)
    for path in atomic_files.unfinished_files(place)
  ]
  if is_lifted(folder):
    # Folders from before there were several skeletons do not name theirs.
    stored = {"skeleton": PROMPT2SIGN50.name, **_load(folder / OPTIONS)}
    for name in sorted(requested | stored):
      if stored.get(name) != requested.get(name):
        raise errors.UsageError(
          f"was lifted with {name}={stored.get(name)!r}, not "
          f"{requested.get(name)!r}",
          path=folder,
          hint="Use another output folder, or remove this one",
        )
  elif set(folder.iterdir()) - set(unfinished):
    raise errors.UsageError(
      f"holds files but no {OPTIONS}",
      path=folder,
      expected="a new folder, or one from an earlier lift",
    )
  else:
    atomic_files.write_text(
      folder / OPTIONS, json.dumps(requested, indent=2) + "\n"
    )
  for path in unfinished:
    path.unlink()


def is_lifted(folder: str | os.PathLike) -> bool:
  """Whether a folder holds lifted clips."""
  return pathlib.Path(folder, OPTIONS).is_file()


def folders(path: pathlib.Path) -> list[str]:
  """Names of the folders of lifted clips in a folder, sorted."""
  return sorted(child.name for child in path.iterdir() if is_lifted(child))


def digest(source: find_clips.Source) -> str:
  """Digest of a clip's sources; a changed digest means lifting it again.

  Files are compared by size and modification time, so that a newer copy of a
  file is lifted again.

  Raises:
    StorageError: a file is gone or cannot be examined.
  """
  place = source.place
  paths = [place] if isinstance(place, pathlib.Path) else place.paths
  fields = (source.text, source.gloss, source.fps, source.size, source.member)
  digest = hashlib.sha256(repr(fields).encode("utf-8", "surrogatepass"))
  for path in paths:
    try:
      status = os.stat(path)
    except OSError as error:
      raise errors.StorageError(
        f"cannot be read: {error}", path=path
      ) from error
    digest.update(f"\n{status.st_size} {status.st_mtime_ns}".encode())
  return digest.hexdigest()


def write(
  folder: pathlib.Path,
  name: str,
  clip: clips.Clip | None,
  measured: quality.Quality,
  made_from: str,
) -> None:
  """Writes a clip and its record; of a dropped clip (None) only the record.

  Raises:
    StorageError: it cannot be written.
  """
  if "/" in name:
    atomic_files.make_folder((folder / name).parent)
  if clip is not None:
    npz.write(folder / f"{name}.npz", [clip])
  record = {
    **dataclasses.asdict(measured),
    "kept": clip is not None,
    "made_from": made_from,
  }
  path = folder / f"{name}.json"  # last: a clip with a record is complete
  atomic_files.write_text(path, json.dumps(record, indent=2) + "\n")


def remove(folder: pathlib.Path, name: str) -> None:
  """Removes the files of a clip, its record first."""
  (folder / f"{name}.json").unlink(missing_ok=True)
  (folder / f"{name}.npz").unlink(missing_ok=True)
  for text in stage_files.NAMES:
    (folder / name / text).unlink(missing_ok=True)


def records(folder: str | os.PathLike) -> Iterator[tuple[str, dict]]:
  """Yields the name and the record of each clip of a folder, by name.

  Raises:
    DataError: the folder does not hold lifted clips, or a record is damaged.
  """
  if not is_lifted(folder):
    raise errors.DataError(
      f"no {OPTIONS}",
      path=folder,
      expected="a folder made by `python -m data_pipeline lift`",
    )
  folder = pathlib.Path(folder)
  found = {
    path.relative_to(folder).as_posix().removesuffix(".json"): path
    for pattern in ("[!.]*.json", "[!.]*/[!.]*.json")
    for path in folder.glob(pattern)
  }
  for name, path in sorted(found.items()):
    if path.name != OPTIONS:
      yield name, _load(path)


def names(folder: str | os.PathLike) -> list[str]:
  """The clips of a folder that were kept, sorted; raises as `records`."""
  return [name for name, record in records(folder) if record["kept"]]


def read(folder: str | os.PathLike, name: str) -> clips.Clip:
  """Reads a lifted clip, in the normalised unit.

  Raises:
    DataError: its file is missing or damaged.
  """
  path = pathlib.Path(folder, f"{name}.npz")
  stored = npz.read(path)
  if len(stored) != 1 or stored[0].name != name:
    raise errors.DataError(
      f"clips {', '.join(clip.name for clip in stored[:5])}",
      path=path,
      expected=f"one clip, {name}",
    )
  return stored[0]


def to_convention(clip: clips.Clip, convention: str) -> clips.Clip:
  """Converts a lifted clip to the unit of a convention of .skels.

  Prompt2Sign divides the normalised unit by 9; PT has shoulders 1/3 apart.

  Raises:
    DataError: the clip has no neck or shoulders, which PT's unit needs.
  """
  if convention == "pt":
    return clips.canonical(clip)
  return dataclasses.replace(clip, frames=clip.frames / 9)


def _load(path: pathlib.Path) -> dict:
  """Loads `lift.json` or the record of a clip."""
  content = foreign_files.read_json(path)
  types = {} if path.name == OPTIONS else {"kept": bool, "made_from": str}
  if any(type(content.get(key)) is not kind for key, kind in types.items()):
    raise errors.DataError(
      "not a file that lifting writes",
      path=path,
      hint="Remove it and lift again",
    )
  return content
