"""JSON of whole clips, one file each: AlphaPose, MMPose and lists of OpenPose.

  AlphaPose   [{"image_id": "0.jpg", "keypoints": [x, y, c, ...]}, ...], an
              entry a person; 136 points of Halpe or 133 of COCO-WholeBody
  MMPose      [{"frame_id": 0, "instances": [{"keypoints": [[x, y], ...],
              "keypoint_scores": [c, ...]}]}, ...], also under "instance_info";
              133 points of COCO-WholeBody
  OpenPose    [{"people": [...], "canvas_width": 640, ...}, ...], a frame an
              entry, as ComfyUI saves the frames of a video

Models without hands (17 or 26 points) are refused by their name. The neck is
the middle of the shoulders where the model has none. dwpose128 has the legs,
eyes, ears and iBUG's 68 points of the face of all of them.

Sources: github.com/MVIG-SJTU/AlphaPose, docs/output.md;
github.com/open-mmlab/mmpose, demo/docs; github.com/Fang-Haoshu/Halpe-FullBody;
github.com/jin-s13/COCO-WholeBody.
"""

import array
import os
import pathlib
import re
from typing import Annotated, Any

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, foreign_files, limits
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import (
  DWPOSE128,
  HAND_JOINTS,
  PROMPT2SIGN50,
  SIDES,
  Skeleton,
)
from signllm_jax.formats import detections, frame_io, openpose_people, units

_SNIFFED = 65536  # bytes that tell what a file is
_KINDS = (  # what the start of a file has, the kind
  (re.compile(rb'\s*\[\s*\{[^\[\]{}]*"(image_id|keypoints)"'), "AlphaPose"),
  (re.compile(rb'\s*\[\s*\{[^\[\]{}]*"(frame_id|instances)"'), "MMPose"),
  (re.compile(rb'\s*\{.*?"(instance_info|meta_info)"', re.DOTALL), "MMPose"),
  (re.compile(rb'\s*\[\s*\{[^\[\]{}]*"(people|canvas_width)"'), "OpenPose"),
)
_HANDLESS = {17: "COCO-17", 26: "Halpe-26", 18: "COCO-18", 16: "MPII"}
# The points of the body of both models, COCO-17's, left before right.
_PAIRS = ("eye", "ear", "shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_BODY = {
  "nose": 0,
  **{
    f"{side}_{name}": 1 + 2 * pair + (side == "right")
    for pair, name in enumerate(_PAIRS)
    for side in SIDES
  },
}
_HANDS = {133: (91, 112), 136: (94, 115)}  # first points in the models
_FACE = {133: 23, 136: 26}
_NECK = {136: 18}


class _AlphaPose(msgspec.Struct, gc=False):
  image_id: str | int
  keypoints: list[float]


class _Instance(msgspec.Struct, gc=False):
  keypoints: list[Annotated[list[float], msgspec.Meta(min_length=2)]]
  keypoint_scores: list[float]


class _MMPose(msgspec.Struct, gc=False):
  instances: list[_Instance]
  frame_id: int | msgspec.UnsetType = msgspec.UNSET


class _MMPoseFile(msgspec.Struct, gc=False):
  instance_info: list[_MMPose]


def kind_of(path: str | os.PathLike) -> str:
  """The tool that wrote a file, by how it starts; empty if none of these.

  Raises:
    DataError, StorageError: the file cannot be opened.
  """
  with foreign_files.open_file(path, limits.MAX_CLIP_FILE) as file:
    return _kind(file.read(_SNIFFED))


def _kind(start: bytes) -> str:
  """The tool that wrote a file with such a start; empty if none of these."""
  for pattern, kind in _KINDS:
    if pattern.match(start):
      return kind
  return ""


def read(
  path: str | os.PathLike,
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> clips.Keypoints:
  """Reads a clip; of several people the signer (`detections.select_signer`).

  Args:
    path: the file.
    fps: frames per second, which it lacks.
    size: width and height of the picture, which it may lack.
    skeleton: prompt2sign50 or dwpose128.

  Raises:
    DataError: the file is damaged, of another form, too long, has a model
      without hands or invalid numbers.
    StorageError: it cannot be read.
  """
  if skeleton != PROMPT2SIGN50:
    skeleton_lib.check_same(skeleton, DWPOSE128, "JSON of a clip as asked for")
  path = pathlib.Path(path)
  data = foreign_files.read(path, limits.MAX_CLIP_FILE)
  kind = _kind(data[:_SNIFFED])
  if not kind:
    raise errors.DataError(
      "JSON of another form",
      path=path,
      expected="a list of AlphaPose, MMPose or OpenPose",
    )
  if kind == "OpenPose":
    people, frame, t, canvas = _openpose(data, path, skeleton)
    size = size or canvas
  else:
    decode = _alphapose if kind == "AlphaPose" else _mmpose
    people, frame, t = decode(data, path, skeleton)
  if not len(people):
    raise errors.DataError("nobody in it", path=path)
  values = units.to_pixels(people, size, path, skeleton)
  if invalid := detections.first_invalid(values, skeleton):
    index, problem = invalid
    raise errors.DataError(
      problem, path=path, frame=int(frame[index]) + 1, expected="pixels"
    )
  if t > limits.MAX_FRAMES:
    raise errors.DataError(
      f"{t} frames", path=path, expected=f"at most {limits.MAX_FRAMES}"
    )
  values = detections.clean(values)
  frames = detections.select_signer(values, frame, t, skeleton)
  return clips.Keypoints(frames, fps, size, path.stem, skeleton=skeleton)


def _decode(data: bytes, path: pathlib.Path, form: Any, tool: str) -> Any:
  try:
    return msgspec.json.decode(data, type=form)
  except (ValueError, RecursionError) as error:
    raise errors.DataError(
      f"not a file of {tool}: {frame_io.fault(error, data)}", path=path
    ) from error


_People = tuple[np.ndarray, np.ndarray, int]


def _alphapose(data: bytes, path: pathlib.Path, skeleton: Skeleton) -> _People:
  """People [M, J, 3], the frame [M] of each, ascending, and all frames."""
  entries = _decode(data, path, list[_AlphaPose], "AlphaPose")
  found = []
  for number, entry in enumerate(entries):
    digits = re.search(r"(\d{1,9})\D*$", str(entry.image_id))
    if digits is None or len(entry.keypoints) % 3:
      raise errors.DataError(
        f"entry {number}: image_id {str(entry.image_id)[:60]!r} and "
        f"{len(entry.keypoints)} numbers",
        path=path,
        expected="an image with a number, and x, y, confidence of its points",
      )
    points = np.array(entry.keypoints, np.float64).reshape(-1, 3)
    found.append((int(digits[1]), _joints(points, path, skeleton)))
  return _in_order(found, [at for at, _ in found], skeleton)


def _mmpose(data: bytes, path: pathlib.Path, skeleton: Skeleton) -> _People:
  """As `_alphapose`; frames without people are listed too."""
  whole = _decode(data, path, _MMPoseFile | list[_MMPose], "MMPose")
  frames = whole if isinstance(whole, list) else whole.instance_info
  found, numbers = [], []
  for number, frame in enumerate(frames):
    at = number if frame.frame_id is msgspec.UNSET else frame.frame_id
    numbers.append(at)
    for person in frame.instances:
      if len(person.keypoints) != len(person.keypoint_scores):
        raise errors.DataError(
          f"{len(person.keypoints)} points and "
          f"{len(person.keypoint_scores)} scores of a person",
          path=path,
          frame=number + 1,
          expected="one score a point",
        )
      points = np.array(
        [
          [*point[:2], score]
          for point, score in zip(
            person.keypoints, person.keypoint_scores, strict=True
          )
        ],
        np.float64,
      )
      found.append((at, _joints(points, path, skeleton)))
  return _in_order(found, numbers, skeleton)


def _in_order(
  found: list[tuple[int, np.ndarray]], numbers: list[int], skeleton: Skeleton
) -> _People:
  """People and their frames, the first of which becomes 0.

  Args:
    found: frame number and joints [J, 3] of people.
    numbers: of all frames.
    skeleton: of the joints.
  """
  found.sort(key=lambda pair: pair[0])
  frame = np.array([at for at, _ in found], np.int64)
  people = [joints for _, joints in found]
  shape = (len(found), skeleton.num_joints, 3)
  first, last = min(numbers, default=0), max(numbers, default=0)
  values = np.array(people, np.float64).reshape(shape)
  return values, frame - first, last - first + 1


def _joints(
  points: np.ndarray, path: pathlib.Path, skeleton: Skeleton
) -> np.ndarray:
  """Joints [J, 3] of a person's points [N, 3]."""
  if len(points) not in _HANDS:
    name = _HANDLESS.get(len(points))
    raise errors.DataError(
      f"{len(points)} points a person"
      + (f", the model {name}, which has no hands" if name else ""),
      path=path,
      expected="133 of COCO-WholeBody or 136 of Halpe",
    )
  joints = np.zeros((skeleton.num_joints, 3))
  for name, point in _BODY.items():
    if (joint := skeleton.find(name)) is not None:
      joints[joint] = points[point]
  starts = {
    f"{side}_hand": start
    for side, start in zip(SIDES, _HANDS[len(points)], strict=True)
  }
  for part, start in starts.items():
    hand = list(skeleton.parts[part])
    joints[hand] = points[start : start + HAND_JOINTS]
  if face := list(skeleton.face):
    start = _FACE[len(points)]
    joints[face] = points[start : start + len(face)]
  neck = skeleton.joint("neck")
  if len(points) in _NECK:
    joints[neck] = points[_NECK[len(points)]]
  else:
    both = points[[_BODY["left_shoulder"], _BODY["right_shoulder"]]]
    joints[neck] = [*both[:, :2].mean(0), both[:, 2].min()]
  return joints


def _openpose(
  data: bytes, path: pathlib.Path, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray, int, tuple[int, int] | None]:
  """As `_alphapose`, and the picture's size."""
  entries = _decode(data, path, list[msgspec.Raw], "OpenPose")
  numbers = array.array("d")
  counts, size = [], None
  for number, entry in enumerate(entries):
    place = f"{path} frame {number + 1}"
    count, canvas = openpose_people.append(
      bytes(entry), place, numbers, skeleton
    )
    counts.append(count)
    size = size or canvas
    if canvas not in (None, size):
      raise errors.DataError(
        f"a canvas of {canvas}", path=place, expected=f"{size} as before"
      )
  values = np.frombuffer(numbers).reshape(-1, skeleton.num_joints, 3)
  openpose_people.check_body_25(values, str(path))
  t = len(counts)
  return values, np.repeat(np.arange(t), counts), t, size
