"""A folder of lifted clips, as `lifting.py` leaves it.

A clip is <name>.npz (`formats/npz.py`, in the normalised unit of the published
stages) and, written after it, its record <name>.json: its quality, whether it
was kept, and a digest of what it was made from. A clip that the policy dropped
has only the record. `lift.json` says how the folder was made.
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
from signllm_jax.core import atomic_files, clips, errors, skeleton
from signllm_jax.formats import npz

OPTIONS = "lift.json"
_MAX_NAME = 200  # bytes; suffixes and a temporary name's digits come on top


@dataclasses.dataclass(frozen=True)
class Options:
  """What decides the content of a folder, besides the keypoints.

  Raises:
    UsageError: clips cannot be condensed so.
  """

  mode: Mode = "fast"
  policy: quality.Policy = "keep"
  condense: str = ""  # of `quality.condense`; empty for all frames

  def __post_init__(self):
    if self.condense:
      empty = np.zeros((1, skeleton.J, 3), np.float32)
      quality.condense(clips.Keypoints(empty), self.condense)


DEFAULT = Options()


def check_name(name: str) -> None:
  """Refuses what cannot name files, or a line of a .files.

  Raises:
    DataError: the name is empty, hidden, too long, holds a slash or a control
      character, or is that of `lift.json`.
  """
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
def alone(folder: str | os.PathLike) -> Iterator[None]:
  """Holds a folder for this process; it ends with the process, however.

  The kernel's lock on the folder itself, so that no file of it is left.

  Raises:
    UsageError: another process holds it.
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
  """Marks a new folder as one of these, or checks that it is one.

  Files that a killed process left half-written are removed.

  Raises:
    UsageError: it was made with other options, or holds other files.
    DataError: its `lift.json` is damaged.
    StorageError: it cannot be written.
  """
  folder = pathlib.Path(folder)
  wanted = dataclasses.asdict(options)
  left = atomic_files.unfinished_files(folder)
  if is_one(folder):
    found = _load(folder / OPTIONS)
    for name in sorted(wanted | found):
      if found.get(name) != wanted.get(name):
        raise errors.UsageError(
          f"was lifted with {name}={found.get(name)!r}, not "
          f"{wanted.get(name)!r}",
          path=folder,
          hint="Use another output folder, or remove this one",
        )
  elif set(folder.iterdir()) - set(left):
    raise errors.UsageError(
      f"holds files but no {OPTIONS}",
      path=folder,
      expected="a new folder, or one that an earlier lift left",
    )
  else:
    atomic_files.write_text(
      folder / OPTIONS, json.dumps(wanted, indent=2) + "\n"
    )
  for path in left:
    path.unlink()


def is_one(folder: str | os.PathLike) -> bool:
  """Whether a folder is one of lifted clips."""
  return pathlib.Path(folder, OPTIONS).is_file()


def digest(source: find_clips.Source) -> str:
  """Changes where a clip would be lifted to something else.

  As files go by size and time, a copy of newer date is lifted anew.

  Raises:
    StorageError: a file is gone or cannot be looked at.
  """
  place = source.place
  paths = [place] if isinstance(place, pathlib.Path) else place.paths
  said = (source.text, source.gloss, source.fps, source.size, source.member)
  found = hashlib.sha256(repr(said).encode("utf-8", "surrogatepass"))
  for path in paths:
    try:
      status = os.stat(path)
    except OSError as error:
      raise errors.StorageError(
        f"cannot be read: {error}", path=path
      ) from error
    found.update(f"\n{status.st_size} {status.st_mtime_ns}".encode())
  return found.hexdigest()


def write(
  folder: pathlib.Path,
  name: str,
  clip: clips.Clip | None,
  measured: quality.Quality,
  made_from: str,
) -> None:
  """Writes a clip, or of one that was dropped (None) only its record.

  Raises:
    StorageError: it cannot be written.
  """
  if clip is not None:
    npz.write(folder / f"{name}.npz", [clip])
  record = {
    **dataclasses.asdict(measured),
    "kept": clip is not None,
    "made_from": made_from,
  }
  path = folder / f"{name}.json"  # last: a clip with its record is done
  atomic_files.write_text(path, json.dumps(record, indent=2) + "\n")


def remove(folder: pathlib.Path, name: str) -> None:
  """Removes what there is of a clip, its record first."""
  (folder / f"{name}.json").unlink(missing_ok=True)
  (folder / f"{name}.npz").unlink(missing_ok=True)
  for text in stage_files.NAMES:
    (folder / name / text).unlink(missing_ok=True)


def records(folder: str | os.PathLike) -> Iterator[tuple[str, dict]]:
  """The name and the record of each clip of a folder, by name.

  Raises:
    DataError: the folder is not one of lifted clips, or a record is damaged.
  """
  if not is_one(folder):
    raise errors.DataError(
      f"no {OPTIONS}",
      path=folder,
      expected="a folder made by `python -m data_pipeline lift`",
    )
  found = {path.stem: path for path in pathlib.Path(folder).glob("[!.]*.json")}
  for name, path in sorted(found.items()):
    if path.name != OPTIONS:
      yield name, _load(path)


def names(folder: str | os.PathLike) -> list[str]:
  """The clips of a folder that were kept, sorted; raises as `records`."""
  return [name for name, record in records(folder) if record["kept"]]


def read(folder: str | os.PathLike, name: str) -> clips.Clip:
  """One lifted clip, in the normalised unit.

  Raises:
    DataError: its file is missing or damaged.
  """
  path = pathlib.Path(folder, f"{name}.npz")
  found = npz.read(path)
  if len(found) != 1 or found[0].name != name:
    raise errors.DataError(
      f"clips {', '.join(clip.name for clip in found[:5])}",
      path=path,
      expected=f"the one clip {name}",
    )
  return found[0]


def exported(clip: clips.Clip, convention: str) -> clips.Clip:
  """A lifted clip in the unit of a convention of .skels.

  Prompt2Sign's is the normalised unit by 9; PT's has shoulders 1/3 apart.

  Raises:
    DataError: PT's needs a neck and shoulders.
  """
  if convention == "pt":
    return clips.canonical(clip)
  return dataclasses.replace(clip, frames=clip.frames / 9)


def _load(path: pathlib.Path) -> dict:
  """The object in a small JSON file of ours."""
  try:
    found = json.loads(path.read_bytes())
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  except (ValueError, RecursionError) as error:
    raise errors.DataError(
      f"damaged: {error}", path=path, hint="Remove the file and lift again"
    ) from error
  form = {} if path.name == OPTIONS else {"kept": bool, "made_from": str}
  if not isinstance(found, dict) or any(
    type(found.get(key)) is not kind for key, kind in form.items()
  ):
    raise errors.DataError(
      "not what lifting writes", path=path, hint="Remove it and lift again"
    )
  return found
