"""OpenPose's JSON, one file a frame: `<clip>_%012d_keypoints.json`.

A file is {"version": 1.3, "people": [...]}; a person has pose_keypoints_2d (25
points of BODY_25 or 18 of COCO-18; the first 8 are the same), a face that is
not used, hand_left_keypoints_2d and hand_right_keypoints_2d (21 points each),
all as x, y, confidence in pixels, (0, 0, 0) where not seen and an empty list
where not looked for. Version 1.0 has the keys without `_2d`. "people" is empty
where nobody was seen, and in no order. Confidences above 1 occur.

Source: github.com/CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md.
"""

import array
import os
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, skeleton
from signllm_jax.formats import frame_files, people
from signllm_jax.formats.frame_files import FrameFiles

FORM = frame_files.Form(12, 0, "_keypoints.json")
VERSIONS = (1.0, 1.1, 1.2, 1.3)
_BODY_LENGTHS = (75, 54)  # BODY_25, COCO-18
_OURS = 24  # numbers of their first 8 points
_HAND = 3 * skeleton.HAND_JOINTS
_PARTS = (  # key, lengths of its list, how many of the numbers are ours
  ("pose_keypoints", _BODY_LENGTHS, _OURS),
  ("hand_left_keypoints", (_HAND,), _HAND),
  ("hand_right_keypoints", (_HAND,), _HAND),
)

# Typed decoding skips what is not used: twice as fast as reading it all.
_Points = list[float] | msgspec.UnsetType
_Unused = msgspec.Raw | msgspec.UnsetType


def _length(count: int) -> msgspec.Meta:
  return msgspec.Meta(min_length=count, max_length=count)


class _Person(msgspec.Struct, gc=False):
  """The keys of all versions; those not used stand here to be counted."""

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
  """What OpenPose 1.7 writes, and nearly all files hold: one person, whole."""

  pose_keypoints_2d: Annotated[list[float], _length(75)]
  hand_left_keypoints_2d: Annotated[list[float], _length(_HAND)]
  hand_right_keypoints_2d: Annotated[list[float], _length(_HAND)]
  person_id: msgspec.Raw
  face_keypoints_2d: msgspec.Raw
  pose_keypoints_3d: msgspec.Raw
  face_keypoints_3d: msgspec.Raw
  hand_left_keypoints_3d: msgspec.Raw
  hand_right_keypoints_3d: msgspec.Raw


class _UsualFrame(msgspec.Struct, gc=False):
  version: float
  people: Annotated[list[_UsualPerson], _length(1)]


_USUAL_KEYS = 11
_usual = msgspec.json.Decoder(_UsualFrame)
_any = msgspec.json.Decoder(_Frame)
_NONE = (msgspec.UNSET,) * len(_PARTS)


def find(root: str | os.PathLike) -> list[FrameFiles]:
  """The clips in a folder and the folders in it, by folder and prefix.

  Both layouts occur: a folder a clip, and the files of many clips in one.
  """
  return frame_files.find(root, FORM)


def read(
  source: FrameFiles | str | os.PathLike | Sequence[str | os.PathLike],
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  name: str = "",
) -> clips.Keypoints:
  """Reads a clip's frames; see `people.follow` for frames with many people.

  A frame number without a file, between the first and the last, is a frame
  in which nothing was seen. A joint with confidence 0 is all 0.

  Args:
    source: a clip of `find`, a folder with the files of one clip, or the files.
    fps: frames a second, which the files do not say.
    size: width and height of the picture, which they do not say either.
    name: the clip's name; that of its files if not given.

  Raises:
    DataError: no files or of several clips; a file is too large, not UTF-8, no
      JSON, of another version or skeleton, names a key twice, or holds what is
      no number or no pixel. Keys that are not used are not looked into.
    StorageError: a file cannot be read.
  """
  files = frame_files.one_clip(source, FORM)
  rows, t = files.rows()
  paths = files.paths
  numbers = array.array("d")  # 8 bytes each, where a list takes 32
  counts = [_append(frame_files.read(path), path, numbers) for path in paths]
  values = np.frombuffer(numbers).reshape(-1, skeleton.J, 3)
  owner = np.repeat(np.arange(len(paths)), counts)  # file of each person
  if strange := people.first_strange(values):
    at, problem = strange
    raise errors.DataError(
      problem, path=paths[owner[at]], expected="pixels and a confidence"
    )
  frames = people.follow(people.clean(values), rows[owner], t)
  return clips.Keypoints(frames, fps, size, name or files.name)


def _append(data: bytes, path: str, numbers: array.array) -> int:
  """Appends 150 numbers for each person of a frame; returns how many."""
  try:
    frame = _usual.decode(data)
    if frame.version in VERSIONS and data.count(b'"') == 2 * _USUAL_KEYS:
      (person,) = frame.people
      numbers.fromlist(person.pose_keypoints_2d[:_OURS])
      numbers.fromlist(person.hand_left_keypoints_2d)
      numbers.fromlist(person.hand_right_keypoints_2d)
      return 1
  except (msgspec.DecodeError, RecursionError):
    pass  # a frame of another form, or none: it is looked at closely
  try:
    frame = _any.decode(data)
    keys = 2
    for person in frame.people:
      fields = msgspec.structs.astuple(person)
      keys += len(fields) - fields.count(msgspec.UNSET)
    frame_files.check_keys(data, keys)
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
  if len(frame.people) > people.MAX_PEOPLE:
    raise errors.DataError(
      f"{len(frame.people)} people",
      path=path,
      expected=f"at most {people.MAX_PEOPLE}",
    )
  for number, person in enumerate(frame.people):
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
  return len(frame.people)


def write(folder: str | os.PathLike, keypoints: clips.Keypoints) -> None:
  """Writes a frame a file, version 1.3, in the form that `read` reads.

  A frame in which nothing is seen has no people. Numbers come back bit by bit;
  fps, size, text and gloss have no place in the form.

  Args:
    folder: the folder to make, or to replace if it holds only this clip.
    keypoints: the clip; its name becomes the files'.

  Raises:
    DataError: the keypoints hold what no detector makes, or the name cannot
      stand in a file name.
    StorageError: the folder holds other files, or cannot be written.
  """
  if strange := people.first_strange(keypoints.frames):
    at, problem = strange
    raise errors.DataError(
      problem, path=folder, frame=at + 1, expected="pixels and a confidence"
    )
  prefix = f"{keypoints.name}_" if keypoints.name else ""
  frame_files.write(folder, prefix, map(_format, keypoints.frames), FORM)


def _format(frame: np.ndarray) -> bytes:
  """The file of a frame [J, 3]."""
  if not frame[:, 2].any():
    return b'{"version":1.3,"people":[]}'
  # As text in NumPy: the shortest digits that give the same float32 again.
  numbers = people.clean(frame).ravel().astype(str).tolist()
  body = numbers[:_OURS] + ["0"] * (_BODY_LENGTHS[0] - _OURS)
  lists = {
    "person_id": ["-1"],
    "pose_keypoints_2d": body,
    "face_keypoints_2d": [],
    "hand_left_keypoints_2d": numbers[_OURS : _OURS + _HAND],
    "hand_right_keypoints_2d": numbers[_OURS + _HAND :],
    "pose_keypoints_3d": [],
    "face_keypoints_3d": [],
    "hand_left_keypoints_3d": [],
    "hand_right_keypoints_3d": [],
  }
  person = ",".join(f'"{key}":[{",".join(v)}]' for key, v in lists.items())
  return f'{{"version":1.3,"people":[{{{person}}}]}}'.encode()
