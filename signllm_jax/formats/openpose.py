"""OpenPose's JSON, one file per frame: `<clip>_%012d_keypoints.json`.

A file is {"version": 1.3, "people": [...]}. A person has pose_keypoints_2d (25
points of BODY_25 or 18 of COCO-18; the first 8 are the same), a face that is
not used, hand_left_keypoints_2d and hand_right_keypoints_2d (21 points each).
Points are x, y in pixels and a confidence, (0, 0, 0) if not seen; a list is
empty if its detector was off. Keys of version 1.0 lack `_2d`. "people" is
empty if nobody was seen; its order is arbitrary. Confidences above 1 occur.

Source: github.com/CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md.
"""

import array
import os
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, limits, skeleton
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import detections, frame_files, frame_io
from signllm_jax.formats.frame_files import FrameFiles

NAMING = frame_files.Naming(12, 0, "_keypoints.json")
VERSIONS = (1.0, 1.1, 1.2, 1.3)
_BODY_LENGTHS = (75, 54)  # BODY_25, COCO-18
_BODY = 24  # numbers of their first 8 points, those of the skeleton
_HAND = 3 * skeleton.HAND_JOINTS
_PARTS = (  # key, valid lengths of its list, numbers used
  ("pose_keypoints", _BODY_LENGTHS, _BODY),
  ("hand_left_keypoints", (_HAND,), _HAND),
  ("hand_right_keypoints", (_HAND,), _HAND),
)

# Typed decoding skips unused keys: twice as fast as decoding all.
_Points = list[float] | msgspec.UnsetType
_Unused = msgspec.Raw | msgspec.UnsetType


class _Person(msgspec.Struct, gc=False):
  """A person with the keys of any version; unused ones are only counted."""

  pose_keypoints_2d: _Points = msgspec.UNSET
  hand_left_keypoints_2d: _Points = msgspec.UNSET
  hand_right_keypoints_2d: _Points = msgspec.UNSET
  pose_keypoints: _Points = msgspec.UNSET
  hand_left_keypoints: _Points = msgspec.UNSET
  hand_right_keypoints: _Points = msgspec.UNSET
  person_id: _Unused = msgspec.UNSET
  face_keypoints_2d: _Unused = msgspec.UNSET
  face_keypoints: _Unused = msgspec.UNSET
  pose_keypoints_3d: _Unused = msgspec.UNSET
  face_keypoints_3d: _Unused = msgspec.UNSET
  hand_left_keypoints_3d: _Unused = msgspec.UNSET
  hand_right_keypoints_3d: _Unused = msgspec.UNSET


class _Frame(msgspec.Struct, gc=False):
  version: float
  people: list[_Person]


class _UsualPerson(msgspec.Struct, gc=False):
  """A person as OpenPose 1.7 writes it; nearly all files hold one."""

  pose_keypoints_2d: Annotated[list[float], frame_io.fixed_length(75)]
  hand_left_keypoints_2d: Annotated[list[float], frame_io.fixed_length(_HAND)]
  hand_right_keypoints_2d: Annotated[list[float], frame_io.fixed_length(_HAND)]
  person_id: msgspec.Raw
  face_keypoints_2d: msgspec.Raw
  pose_keypoints_3d: msgspec.Raw
  face_keypoints_3d: msgspec.Raw
  hand_left_keypoints_3d: msgspec.Raw
  hand_right_keypoints_3d: msgspec.Raw


class _UsualFrame(msgspec.Struct, gc=False):
  version: float
  people: Annotated[list[_UsualPerson], frame_io.fixed_length(1)]


_USUAL_KEYS = 11
_usual_decoder = msgspec.json.Decoder(_UsualFrame)
_decoder = msgspec.json.Decoder(_Frame)
_NONE = (msgspec.UNSET,) * len(_PARTS)


def find(root: str | os.PathLike) -> list[FrameFiles]:
  """Finds the clips in a folder and its subfolders, by folder and prefix.

  A folder may hold the files of one clip or of many.
  """
  return frame_files.find(root, NAMING)


def read(
  source: FrameFiles | str | os.PathLike | Sequence[str | os.PathLike],
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  name: str = "",
) -> clips.Keypoints:
  """Reads a clip; of several people the signer (`detections.select_signer`).

  A frame number without a file, between the first and the last, is a frame
  without detections. A joint with confidence 0 is all 0.

  Args:
    source: a clip of `find`, a folder with the files of one clip, or the files.
    fps: frames per second, which the files lack.
    size: width and height of the image, which they lack too.
    name: the clip's name; that of its files if not given.

  Raises:
    DataError: no files, or those of several clips; a file is too large, not
      UTF-8, not JSON, of another version or skeleton, repeats a key, or has
      invalid numbers. The content of unused keys is not checked.
    StorageError: a file cannot be read.
  """
  files = frame_files.one_clip(source, NAMING)
  numbers = array.array("d")  # 8 bytes each; a list takes 32
  counts = [
    _append(data, path, numbers) for path, data in frame_io.read_all(files)
  ]
  return frame_io.to_keypoints(
    files,
    np.frombuffer(numbers).reshape(-1, PROMPT2SIGN50.num_joints, 3),
    counts,
    expected="pixels and a confidence",
    fps=fps,
    size=size,
    name=name,
  )


def _append(data: bytes, path: str, numbers: array.array) -> int:
  """Appends 150 numbers for each person of a frame; returns how many."""
  if _append_usual(data, numbers):
    return 1
  frame = _decode(data, path)
  for number, person in enumerate(frame.people):
    _append_person(person, number, path, numbers)
  return len(frame.people)


def _append_usual(data: bytes, numbers: array.array) -> bool:
  """Appends the person of a usual frame; False if it has another form."""
  try:
    frame = _usual_decoder.decode(data)
  except (msgspec.DecodeError, RecursionError):
    return False
  if frame.version not in VERSIONS or data.count(b'"') != 2 * _USUAL_KEYS:
    return False
  (person,) = frame.people
  numbers.fromlist(person.pose_keypoints_2d[:_BODY])
  numbers.fromlist(person.hand_left_keypoints_2d)
  numbers.fromlist(person.hand_right_keypoints_2d)
  return True


def _decode(data: bytes, path: str) -> _Frame:
  try:
    frame = _decoder.decode(data)
    frame_io.check_keys(data, 2 + frame_io.count_keys(frame.people))
  except (ValueError, RecursionError) as error:
    raise errors.DataError(
      f"not a frame of OpenPose: {error}",
      path=path,
      expected='{"version": 1.3, "people": [...]}',
    ) from error
  if frame.version not in VERSIONS:
    raise errors.DataError(
      f"version {frame.version:g}",
      path=path,
      expected=", ".join(map(str, VERSIONS)),
    )
  if len(frame.people) > limits.MAX_PEOPLE:
    raise errors.DataError(
      f"{len(frame.people)} people",
      path=path,
      expected=f"at most {limits.MAX_PEOPLE}",
    )
  return frame


def _append_person(
  person: _Person, number: int, path: str, numbers: array.array
) -> None:
  new = (
    person.pose_keypoints_2d,
    person.hand_left_keypoints_2d,
    person.hand_right_keypoints_2d,
  )
  old = (
    person.pose_keypoints,
    person.hand_left_keypoints,
    person.hand_right_keypoints,
  )
  for points, part in zip(old if old != _NONE else new, _PARTS, strict=True):
    key, lengths, used = part
    if points is not msgspec.UNSET and len(points) in lengths:
      numbers.fromlist(points[:used])
    elif points == []:  # the detector did not look for it
      numbers.fromlist([0.0] * used)
    else:
      found = "no" if points is msgspec.UNSET else f"{len(points)} numbers in"
      raise errors.DataError(
        f"person {number} has {found} {key}",
        path=path,
        expected=" or ".join(map(str, lengths)) + ": x, y, confidence each",
      )
  if old != _NONE and new != _NONE:
    raise errors.DataError(
      f"person {number} has keys of two versions",
      path=path,
      expected="all with _2d, or in version 1.0 without",
    )


def write(folder: str | os.PathLike, keypoints: clips.Keypoints) -> None:
  """Writes one file per frame, in version 1.3.

  A frame without a visible joint has no people. `read` returns the same bits;
  fps, size, text and gloss are not stored.

  Args:
    folder: the folder to create, or to replace if it holds only this clip.
    keypoints: the clip; its name becomes that of the files.

  Raises:
    DataError: the keypoints have invalid values, or the name cannot be part of
      a file name.
    StorageError: the folder holds other files, or cannot be written.
  """
  skeleton.check_same(keypoints.skeleton, PROMPT2SIGN50, keypoints.name)
  frame_io.check_frames(folder, keypoints.frames)
  prefix = f"{keypoints.name}_" if keypoints.name else ""
  frame_io.write(folder, prefix, map(_format, keypoints.frames), NAMING)


def _format(frame: np.ndarray) -> bytes:
  """Content of the file of a frame [J, 3]."""
  if not frame[:, 2].any():
    return b'{"version":1.3,"people":[]}'
  # NumPy's text form: the shortest digits that give the same float32.
  numbers = detections.clean(frame).ravel().astype(str).tolist()
  body = numbers[:_BODY] + ["0"] * (_BODY_LENGTHS[0] - _BODY)
  lists = {
    "person_id": ["-1"],
    "pose_keypoints_2d": body,
    "face_keypoints_2d": [],
    "hand_left_keypoints_2d": numbers[_BODY : _BODY + _HAND],
    "hand_right_keypoints_2d": numbers[_BODY + _HAND :],
    "pose_keypoints_3d": [],
    "face_keypoints_3d": [],
    "hand_left_keypoints_3d": [],
    "hand_right_keypoints_3d": [],
  }
  person = ",".join(f'"{key}":[{",".join(v)}]' for key, v in lists.items())
  return f'{{"version":1.3,"people":[{{{person}}}]}}'.encode()
