"""Decodes the people of OpenPose's frames, and of its dialects.

A frame is {"version": 1.3, "people": [...]}; `openpose.py` describes a person.
Other tools write the same with these differences, which are accepted:

  no version            tf-pose-estimation, pytorch-openpose
  canvas_width, canvas_height instead of a version, in a list of one frame
                        DWPose and OpenPose of ControlNet and ComfyUI
  null                  for the list of a part that was not seen
  "people": {...}       one person, as the Korean corpus of AI Hub has it

A body of another model than BODY_25 and COCO-18 is refused by its name.
"""

import array
from typing import Annotated

import msgspec
import numpy as np

from signllm_jax.core import errors, limits
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton
from signllm_jax.formats import frame_io

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
_OTHER_BODIES = {  # points -> their model
  15: "MPI",
  17: "COCO-17",
  19: "BODY_19",
  23: "BODY_23",
  26: "Halpe-26",
  65: "BODY_65",
  95: "BODY_95",
  133: "COCO-WholeBody",
  135: "BODY_135",
  136: "Halpe-136",
}

_FEW_PEOPLE = 3  # fewer do not tell their model by their shape
# Typed decoding skips unused keys: twice as fast as decoding all.
_Points = list[float] | None | msgspec.UnsetType
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
  foot_keypoints_2d: _Unused = msgspec.UNSET
  pose_keypoints_3d: _Unused = msgspec.UNSET
  face_keypoints_3d: _Unused = msgspec.UNSET
  hand_left_keypoints_3d: _Unused = msgspec.UNSET
  hand_right_keypoints_3d: _Unused = msgspec.UNSET


class _Head(msgspec.Struct, gc=False, kw_only=True):
  version: float | str | msgspec.UnsetType = msgspec.UNSET
  canvas_width: float | msgspec.UnsetType = msgspec.UNSET
  canvas_height: float | msgspec.UnsetType = msgspec.UNSET


class _Frame(_Head, gc=False, kw_only=True):
  people: list[_Person] | _Person


class _PersonWithFace(_Person, gc=False):
  face_keypoints_2d: _Points = msgspec.UNSET
  face_keypoints: _Points = msgspec.UNSET


class _FrameWithFaces(_Head, gc=False, kw_only=True):
  people: list[_PersonWithFace] | _PersonWithFace


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


Size = tuple[int, int] | None
_USUAL_KEYS = 11
_usual_decoder = msgspec.json.Decoder(_UsualFrame)
_decoder = msgspec.json.Decoder(_Frame | list[_Frame])
_face_decoder = msgspec.json.Decoder(_FrameWithFaces | list[_FrameWithFaces])


def append(
  data: bytes,
  path: str,
  numbers: array.array,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> tuple[int, Size]:
  """Appends the numbers of a frame's people, 3 a joint.

  Args:
    data: content of the file.
    path: the file, for messages.
    numbers: of type d, 8 bytes each; a list would take 32.
    skeleton: prompt2sign50, or dwpose128 with whole body and face.

  Returns:
    How many people, and the picture's width and height if the file says.

  Raises:
    DataError: it is not JSON, of another version or skeleton, repeats a key, or
      holds several frames.
  """
  faces = skeleton != PROMPT2SIGN50
  if not faces and _append_usual(data, numbers):
    return 1, None
  frame, people = _decode(data, path, _face_decoder if faces else _decoder)
  for number, person in enumerate(people):
    body, *others = _points(person, number, path)
    if len(body) > _COCO:  # BODY_25 has the middle of the hips, and feet
      body = body[:_MIDDLE] + body[_MIDDLE + 3 : _COCO + 3]
    for points in (body, *others):
      numbers.fromlist(points)
  return len(people), _canvas(frame, path)


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


def _decode(
  data: bytes, path: str, decoder: msgspec.json.Decoder
) -> tuple[_Head, list[_Person]]:
  """The frame and its people."""
  try:
    found = decoder.decode(data)
    frames = found if isinstance(found, list) else [found]
    if len(frames) != 1:
      raise ValueError(f"a list of {len(frames)} frames, not of one")
    (frame,) = frames
    people = frame.people if isinstance(frame.people, list) else [frame.people]
    keys = frame_io.count_keys([frame, *people])
    texts = 1 if isinstance(frame.version, str) else 0
    frame_io.check_keys(data, keys + texts)
  except (ValueError, RecursionError) as error:
    raise errors.DataError(
      f"not a frame of OpenPose: {frame_io.fault(error, data)}",
      path=path,
      expected='{"version": 1.3, "people": [...]}',
    ) from error
  if frame.version is not msgspec.UNSET and frame.version not in VERSIONS:
    raise errors.DataError(
      f"version {str(frame.version)[:40]}",
      path=path,
      expected=", ".join(map(str, VERSIONS)) + " or none",
    )
  if len(people) > limits.MAX_PEOPLE:
    raise errors.DataError(
      f"{len(people)} people",
      path=path,
      expected=f"at most {limits.MAX_PEOPLE}",
    )
  return frame, people


def _canvas(frame: _Head, path: str) -> Size:
  """The picture's size, if the frame says."""
  size = frame.canvas_width, frame.canvas_height
  if size == (msgspec.UNSET, msgspec.UNSET):
    return None
  known = [each for each in size if isinstance(each, float | int)]
  if len(known) != 2 or any(
    not 1 <= each <= limits.MAX_PIXEL for each in known
  ):
    raise errors.DataError(
      f"canvas_width {size[0]} and canvas_height {size[1]}",
      path=path,
      expected="the picture's width and height in pixels",
    )
  return round(known[0]), round(known[1])


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
    if isinstance(points, list) and len(points) in lengths:
      found.append(points if whole else points[:used])
    elif points is None or points == []:  # the detector did not look for it
      found.append([0.0] * (_COCO if whole else used))
    else:
      there = "no" if points is msgspec.UNSET else f"{len(points)} numbers in"
      raise errors.DataError(
        f"person {number} has {there} {key}" + _model(points, key),
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


def _model(points: _Points, key: str) -> str:
  """Names the model that has so many points of the body."""
  if not isinstance(points, list):
    return ""
  name = _OTHER_BODIES.get(len(points) // 3)
  if key != "pose_keypoints" or len(points) % 3 or name is None:
    return ""
  return f", the points of {name}, not of BODY_25 or COCO-18"


def check_body_25(joints: np.ndarray, path: str) -> None:
  """Refuses BODY_25B, whose 25 points are others than those of BODY_25.

  Its points 1 to 4 are eyes and ears, all near the nose, and 5 and 6 the
  shoulders. In BODY_25 they are the neck and the right arm, then the left
  shoulder and elbow.

  Args:
    joints: [M, J, 3] of people, read as BODY_25 or COCO-18.
    path: of the clip, for the message.

  Raises:
    DataError: the people have the shape of BODY_25B.
  """
  body = joints[:, : _BODY // 3]
  whole = body[(body[:, :7, 2] > 0).all(1)][..., :2]
  if len(whole) < _FEW_PEOPLE:
    return
  head = np.linalg.norm(whole[:, 1:5] - whole[:, :1], axis=-1).max(1)
  arm = np.linalg.norm(whole[:, 5] - whole[:, 6], axis=-1)
  middle = (whole[:, 2] + whole[:, 5]) / 2  # of the shoulders: the neck
  width = np.linalg.norm(whole[:, 2] - whole[:, 5], axis=-1)
  apart = np.linalg.norm(whole[:, 1] - middle, axis=-1)
  near_nose = np.median(head) < 0.6 * np.median(arm)
  if near_nose and np.median(apart) > 0.25 * np.median(width):
    raise errors.DataError(
      "points in the order of BODY_25B: points 1 to 4 are eyes and ears",
      path=path,
      expected="BODY_25 or COCO-18",
      hint="Run OpenPose with --model_pose BODY_25",
    )
