"""Reads poses that anybody produced, in every form that the project reads."""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

from signllm_jax.api import reading
from signllm_jax.core import clips, common_skeleton, errors
from signllm_jax.core import skeleton as skeleton_lib

_SINGLE = (".npz", ".pt", ".bvh", ".skels", ".pose")  # read one by one


def read(
  path: str | os.PathLike,
  split: str = "",
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
) -> list[clips.Clip]:
  """Reads all clips of a file, a folder or a split of a data set.

  Keypoints in 2-D stay in 2-D: of 50 joints they are clips of
  `common_skeleton.FRONT50`. Other poses than those of a .npz and of records are
  brought to the canonical unit.

  Args:
    path: a file .npz, .skels, .pt, .pose, .bvh or .h5; a folder of such files
      or of JSON frame files; or a data set, records or a folder of .skels.
    split: of a data set with several.
    fps: frames a second, where the form does not say.
    size: width and height of the picture, where the form does not say.

  Raises:
    UsageError: the split is missing, or a form needs an extra or a size.
    DataError: nothing there, or damaged, or two clips of one name.
    StorageError: it cannot be read.
  """
  place = pathlib.Path(path)
  if not place.exists():
    raise errors.DataError("no such file or folder", path=path)
  splits = reading.splits_of(place)
  if splits:
    chosen = splits[0] if len(splits) == 1 else split
    if chosen not in splits:
      raise errors.UsageError(
        f"no split {split!r}", path=path, expected="one of " + ", ".join(splits)
      )
    found: list[clips.Clip] = [*reading.read(place, chosen, fps=fps)]
  else:
    found = _read_files(place, fps, size)
  if not found:
    raise errors.DataError("no clips", path=path)
  for clip in found:
    if not len(clip):
      raise errors.DataError(f"clip {clip.name!r} has no frames", path=path)
  _check_names(found, place)
  return found


def _read_files(
  place: pathlib.Path, fps: float, size: tuple[int, int] | None
) -> list[clips.Clip]:
  if place.is_dir():
    files = sorted(
      file for file in place.iterdir() if file.suffix.lower() in _SINGLE
    )
    if files:
      return [
        clip for f in files for clip in _named(f, _read_one(f, fps, size))
      ]
  return _read_one(place, fps, size)


def _named(file: pathlib.Path, found: list[clips.Clip]) -> list[clips.Clip]:
  """A file with one clip gives it its name, if it has none of its own."""
  if len(found) == 1 and not found[0].name:
    return [dataclasses.replace(found[0], name=file.stem)]
  return found


def _read_one(
  place: pathlib.Path, fps: float, size: tuple[int, int] | None
) -> list[clips.Clip]:
  # Here: the pipeline is a package of its own, and most callers need none.
  from data_pipeline import convert

  if place.suffix.lower() == ".pose" or place.is_dir():
    found = _holistic(place, fps, size) or convert.read(place, fps, size)
  else:
    found = convert.read(place, fps, size)
  poses = [
    each if isinstance(each, clips.Clip) else common_skeleton.of_keypoints(each)
    for each in found
  ]
  if place.suffix.lower() == ".npz":
    return poses
  return [clips.canonical(clip) for clip in poses]


def _holistic(
  place: pathlib.Path, fps: float, size: tuple[int, int] | None
) -> list[clips.Keypoints]:
  """The keypoints of holistic178, where all clips are .pose with its points."""
  from data_pipeline.keypoints import find_clips

  sources = find_clips.find(
    place, fps=fps, size=size, skeleton=skeleton_lib.HOLISTIC178.name
  )
  if any(source.kind != "pose" for source in sources):
    return []
  try:
    return [source.read() for source in sources]
  except errors.DataError:  # of other points; `convert` says what is wrong
    return []


def _check_names(found: Sequence[clips.Clip], place: pathlib.Path) -> None:
  seen: set[str] = set()
  for clip in found:
    if clip.name in seen:
      raise errors.DataError(
        f"two clips named {clip.name!r}", path=place, expected="each name once"
      )
    seen.add(clip.name)
