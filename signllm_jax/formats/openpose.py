"""OpenPose's JSON, one file per frame: `<clip>_%012d_keypoints.json`.

A file is {"version": 1.3, "people": [...]}. A person has pose_keypoints_2d (25
points of BODY_25 or 18 of COCO-18; the first 8 are the same),
face_keypoints_2d (iBUG's 68 points and two pupils), hand_left_keypoints_2d and
hand_right_keypoints_2d (21 points each). Points are x, y in pixels and a
confidence, (0, 0, 0) if not seen; a list is empty if its detector was off. Keys
of version 1.0 lack `_2d`. "people" is empty if nobody was seen; its order is
arbitrary. Confidences above 1 occur.

prompt2sign50 takes the first 8 points of the body and the hands. dwpose128
takes COCO-18's points and the face too, without the pupils.

Source: github.com/CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md.
"""

import array
import functools
import os
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, limits
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import DWPOSE128, PROMPT2SIGN50, Skeleton
from signllm_jax.formats import frame_files, frame_io, openpose_frame
from signllm_jax.formats.frame_files import FrameFiles

NAMING = frame_files.Naming(12, 0, "_keypoints.json")
VERSIONS = (1.0, 1.1, 1.2, 1.3)
_BODY_LENGTHS = (75, 54)  # BODY_25, COCO-18
_BODY = 24  # numbers of their first 8 points, those of prompt2sign50
_MIDDLE = 24  # the first number of BODY_25's middle of the hips
_COCO = 54  # numbers of the body in dwpose128
_HAND = 3 * skeleton_lib.HAND_JOINTS
_FACE = 3 * 68  # and the pupils
_PARTS = (  # key, valid lengths of its list, numbers used
  ("pose_keypoints", _BODY_LENGTHS, _BODY),
  ("hand_left_keypoints", (_HAND,), _HAND),
  ("hand_right_keypoints", (_HAND,), _HAND),
)
_FACE_PART = ("face_keypoints", (_FACE + 6,), _FACE)

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


class _PersonWithFace(_Person, gc=False):
  face_keypoints_2d: _Points = msgspec.UNSET
  face_keypoints: _Points = msgspec.UNSET


class _FrameWithFaces(msgspec.Struct, gc=False):
  version: float
  people: list[_PersonWithFace]


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
_face_decoder = msgspec.json.Decoder(_FrameWithFaces)


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
  skeleton: Skeleton = PROMPT2SIGN50,
) -> clips.Keypoints:
  """Reads a clip; of several people the signer (`detections.select_signer`).

  A frame number without a file, between the first and the last, is a frame
  without detections. A joint with confidence 0 is all 0. A file of a detector
  without faces has none in dwpose128 either: they are not seen.

  Args:
    source: a clip of `find`, a folder with the files of one clip, or the files.
    fps: frames per second, which the files lack.
    size: width and height of the image, which they lack too.
    name: the clip's name; that of its files if not given.
    skeleton: prompt2sign50, or dwpose128 with legs, eyes, ears and face.

  Raises:
    DataError: no files, or those of several clips; a file is too large, not
      UTF-8, not JSON, of another version or skeleton, repeats a key, or has
      invalid numbers. The content of unused keys is not checked.
    StorageError: a file cannot be read.
  """
  _check_skeleton(skeleton, "OpenPose's JSON as asked for")
  files = frame_files.one_clip(source, NAMING)
  numbers = array.array("d")  # 8 bytes each; a list takes 32
  append = _append if skeleton == PROMPT2SIGN50 else _append_with_faces
  counts = [
    append(data, path, numbers) for path, data in frame_io.read_all(files)
  ]
  return frame_io.to_keypoints(
    files,
    np.frombuffer(numbers).reshape(-1, skeleton.num_joints, 3),
    counts,
    expected="pixels and a confidence",
    fps=fps,
    size=size,
    name=name,
    skeleton=skeleton,
  )


def _check_skeleton(skeleton: Skeleton, what: str) -> None:
  if skeleton != PROMPT2SIGN50:
    skeleton_lib.check_same(skeleton, DWPOSE128, what)


def _append(data: bytes, path: str, numbers: array.array) -> int:
  """Appends 150 numbers for each person of a frame; returns how many."""
  if _append_usual(data, numbers):
    return 1
  frame = _decode(data, path, _decoder)
  for number, person in enumerate(frame.people):
    for points in _points(person, number, path):
      numbers.fromlist(points)
  return len(frame.people)


def _append_with_faces(data: bytes, path: str, numbers: array.array) -> int:
  """Appends 384 numbers for each person of a frame; returns how many."""
  frame = _decode(data, path, _face_decoder)
  for number, person in enumerate(frame.people):
    body, left, right, face = _points(person, number, path)
    if len(body) > _COCO:  # BODY_25 has the middle of the hips, and feet
      body = body[:_MIDDLE] + body[_MIDDLE + 3 : _COCO + 3]
    for points in (body, left, right, face):
      numbers.fromlist(points)
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


def _decode(data: bytes, path: str, decoder: msgspec.json.Decoder) -> Any:
  try:
    frame = decoder.decode(data)
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


def _points(person: _Person, number: int, path: str) -> list[list[float]]:
  """The numbers of body and hands that are used; and of a face, if it counts.

  A body with a face is whole.
  """
  faces = isinstance(person, _PersonWithFace)
  parts = (*_PARTS, _FACE_PART) if faces else _PARTS
  keys = [key for key, _, _ in parts]
  new = [getattr(person, f"{key}_2d") for key in keys]
  old = [getattr(person, key) for key in keys]
  none = [msgspec.UNSET] * len(parts)
  found = []
  for points, part in zip(old if old != none else new, parts, strict=True):
    key, lengths, used = part
    whole = faces and key == "pose_keypoints"
    if points is not msgspec.UNSET and len(points) in lengths:
      found.append(points if whole else points[:used])
    elif points == []:  # the detector did not look for it
      found.append([0.0] * (_COCO if whole else used))
    else:
      there = "no" if points is msgspec.UNSET else f"{len(points)} numbers in"
      raise errors.DataError(
        f"person {number} has {there} {key}",
        path=path,
        expected=" or ".join(map(str, lengths)) + ": x, y, confidence each",
      )
  if old != none and new != none:
    raise errors.DataError(
      f"person {number} has keys of two versions",
      path=path,
      expected="all with _2d, or in version 1.0 without",
    )
  return found


def write(folder: str | os.PathLike, keypoints: clips.Keypoints) -> None:
  """Writes one file per frame, in version 1.3.

  A frame without a visible joint has no people. `read` returns the same bits;
  fps, size, text and gloss are not stored. dwpose128 has the face of 70 points,
  whose pupils are not seen, and in BODY_25 the middle of the hips.

  Args:
    folder: the folder to create, or to replace if it holds only this clip.
    keypoints: the clip; its name becomes that of the files.

  Raises:
    DataError: the keypoints have invalid values or another skeleton, or the
      name cannot be part of a file name.
    StorageError: the folder holds other files, or cannot be written.
  """
  _check_skeleton(keypoints.skeleton, f"clip {keypoints.name!r}")
  frame_io.check_frames(folder, keypoints.frames, keypoints.skeleton)
  prefix = f"{keypoints.name}_" if keypoints.name else ""
  form = functools.partial(openpose_frame.to_json, keypoints.skeleton)
  frame_io.write(folder, prefix, map(form, keypoints.frames), NAMING)
