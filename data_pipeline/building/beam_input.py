"""Clips for workers that do not see the input: their files go with them."""

import dataclasses
import os
import pathlib
import tempfile

from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import clips, errors
from signllm_jax.formats import frame_files, mediapipe_arrays

Read = clips.Keypoints | errors.SignLLMError


@dataclasses.dataclass(frozen=True)
class Cargo:
  """The files of a clip, or its keypoints where a file holds many clips.

  Attributes:
    files: content by path, as the source names them.
    read: the keypoints, or why they cannot be read.
  """

  files: dict[str, bytes] = dataclasses.field(default_factory=dict)
  read: Read | None = None


def pack(source: Source) -> Cargo:
  """Reads what a worker needs of a clip."""
  try:
    if source.member:
      return Cargo(read=source.read())
    place = source.place
    paths = [place] if isinstance(place, pathlib.Path) else place.paths
    return Cargo({os.fspath(path): _content(path) for path in paths})
  except (errors.DataError, errors.StorageError) as error:
    return Cargo(read=error)


def _content(path: str | pathlib.Path) -> bytes:
  try:
    return pathlib.Path(path).read_bytes()
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error


def read(source: Source, cargo: Cargo | None = None) -> Read:
  """Reads a clip where it lies, or from its cargo; returns its fault.

  Faults name the files of the input.
  """
  if cargo is not None and cargo.read is not None:
    return cargo.read
  try:
    if cargo is None:
      return source.read()
    with tempfile.TemporaryDirectory() as scratch:
      return _unpacked(source, cargo, scratch)
  except (errors.DataError, errors.StorageError) as error:
    return error


def _unpacked(source: Source, cargo: Cargo, scratch: str) -> clips.Keypoints:
  # Below the scratch folder files have the paths that they have in the input.
  inside = f"{scratch}/" if _is_relative(source) else scratch
  for name, content in cargo.files.items():
    path = pathlib.Path(inside + name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
  place = source.place
  if isinstance(place, frame_files.FrameFiles | mediapipe_arrays.Recording):
    moved = dataclasses.replace(place, folder=inside + place.folder)
  else:
    moved = pathlib.Path(inside + os.fspath(place))
  try:
    return dataclasses.replace(source, place=moved).read()
  except (errors.DataError, errors.StorageError) as error:
    raise type(error)(str(error).replace(inside, "")) from error


def _is_relative(source: Source) -> bool:
  place = source.place
  path = place if isinstance(place, pathlib.Path) else place.folder
  return not os.path.isabs(path)
