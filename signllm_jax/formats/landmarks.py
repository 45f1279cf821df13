"""Mapping of OpenPose and MediaPipe Holistic points to joints, by name.

Of prompt2sign50, OpenPose's 137 points include all joints. MediaPipe Holistic's
(543, 576 or 586, and the reduced 178 and 203) lack the neck, and 178 also the
nose. The neck is the middle of the shoulders. The nose lies between the inner
corners of the eyes and the upper lip, 0.013 shoulder widths from that of
MediaPipe's body (median of 1,233 frames of spoken-to-signed, 0.041 at the 99th
percentile).

holistic178 is in all of Holistic's. dwpose128 is in OpenPose's 137 and, iBUG's
points by `faces.IBUG_OF_MESH`, in those of Holistic with the whole mesh.
"""

from collections.abc import Sequence

import numpy as np

from signllm_jax.core import faces
from signllm_jax.core.skeleton import (
  DWPOSE128,
  HOLISTIC178,
  PROMPT2SIGN50,
  Skeleton,
)

Point = tuple[str, str]  # component, name

_BODY, _FACE = "POSE_LANDMARKS", "FACE_LANDMARKS"
_HANDS = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
HOLISTIC_NOSE = (_BODY, "NOSE")
_FINGERS = ("INDEX_FINGER", "MIDDLE_FINGER", "RING_FINGER", "PINKY")
_HAND_POINTS = (
  "WRIST",
  *(f"THUMB_{part}" for part in ("CMC", "MCP", "IP", "TIP")),
  *(f"{f}_{part}" for f in _FINGERS for part in ("MCP", "PIP", "DIP", "TIP")),
)
_OPENPOSE_HAND = (
  "BASE",
  *(f"T_{part}" for part in ("STT", "BCMC", "MCP", "IP")),
  *(f"{f}_{part}" for f in "IMRP" for part in ("CMC", "MCP", "PIP", "DIP")),
)


def _names(skeleton: Skeleton, part: str) -> list[str]:
  """The names of the joints of a part."""
  return [skeleton.joints[joint] for joint in skeleton.parts[part]]


def _with_hands(
  body: dict[int, Point], components: tuple[str, str], hand: tuple[str, ...]
) -> dict[int, Point]:
  points = [(side, point) for side in components for point in hand]
  return body | dict(enumerate(points, PROMPT2SIGN50.hand("left")))


# Joint of the skeleton -> point.
OPENPOSE: dict[int, Point] = _with_hands(
  {
    joint: ("pose_keypoints_2d", point)
    for joint, point in enumerate(
      (
        "Nose",
        "Neck",
        "RShoulder",
        "RElbow",
        "RWrist",
        "LShoulder",
        "LElbow",
        "LWrist",
      )
    )
  },
  ("hand_left_keypoints_2d", "hand_right_keypoints_2d"),
  _OPENPOSE_HAND,
)
HOLISTIC: dict[int, Point] = _with_hands(
  {
    PROMPT2SIGN50.joint("right_shoulder"): (_BODY, "RIGHT_SHOULDER"),
    PROMPT2SIGN50.joint("right_elbow"): (_BODY, "RIGHT_ELBOW"),
    PROMPT2SIGN50.joint("right_wrist"): (_BODY, "RIGHT_WRIST"),
    PROMPT2SIGN50.joint("left_shoulder"): (_BODY, "LEFT_SHOULDER"),
    PROMPT2SIGN50.joint("left_elbow"): (_BODY, "LEFT_ELBOW"),
    PROMPT2SIGN50.joint("left_wrist"): (_BODY, "LEFT_WRIST"),
  },
  _HANDS,
  _HAND_POINTS,
)
# Position of the nose, as weights of face points.
_NOSE_OF_FACE = {
  (_FACE, "133"): 0.225,
  (_FACE, "362"): 0.225,
  (_FACE, "0"): 0.55,
}


# Names of OpenPose's points of iBUG, which end in their numbers.
_IBUG_KINDS = {"FB": 17, "FEB": 10, "FN": 9, "FE": 12, "FLO": 12, "FLI": 8}
OPENPOSE_FACE = tuple(
  f"{kind}_{number}"
  for number, kind in enumerate(
    kind for kind, count in _IBUG_KINDS.items() for _ in range(count)
  )
)
_LEGS = ("Hip", "Knee", "Ankle")
OPENPOSE_BODY = (
  *(point for _, point in list(OPENPOSE.values())[:8]),
  *(f"{side}{joint}" for side in "RL" for joint in _LEGS),
  *("REye", "LEye", "REar", "LEar"),
)

# Joint -> the points whose middle it is.
_Layout = dict[str, tuple[Point, ...]]


def _hands(
  skeleton: Skeleton, components: Sequence[str], points: Sequence[str]
) -> _Layout:
  names = (*_names(skeleton, "left_hand"), *_names(skeleton, "right_hand"))
  found = [((side, point),) for side in components for point in points]
  return dict(zip(names, found, strict=True))


def _body(skeleton: Skeleton) -> _Layout:
  """The body in MediaPipe's points, which have no neck."""
  body: _Layout = {
    name: ((_BODY, name.upper()),) for name in _names(skeleton, "body")
  }
  if "neck" in body:
    body["neck"] = ((_BODY, "RIGHT_SHOULDER"), (_BODY, "LEFT_SHOULDER"))
  return body


LAYOUTS: dict[str, tuple[_Layout, ...]] = {
  HOLISTIC178.name: (
    _body(HOLISTIC178)
    | _hands(HOLISTIC178, _HANDS, _HAND_POINTS)
    | {
      name: ((_FACE, name.removeprefix("mesh_")),)
      for name in _names(HOLISTIC178, "face")
    },
  ),
  DWPOSE128.name: (
    dict(
      zip(
        (*_names(DWPOSE128, "body"), *_names(DWPOSE128, "face")),
        (
          *((("pose_keypoints_2d", point),) for point in OPENPOSE_BODY),
          *((("face_keypoints_2d", point),) for point in OPENPOSE_FACE),
        ),
        strict=True,
      )
    )
    | _hands(
      DWPOSE128,
      ("hand_left_keypoints_2d", "hand_right_keypoints_2d"),
      _OPENPOSE_HAND,
    ),
    _body(DWPOSE128)
    | _hands(DWPOSE128, _HANDS, _HAND_POINTS)
    | {
      name: tuple((_FACE, str(number)) for number in numbers)
      for name, numbers in zip(
        _names(DWPOSE128, "face"), faces.IBUG_OF_MESH, strict=True
      )
    },
  ),
}


def _by_layout(
  index: dict[Point, int],
  positions: np.ndarray,
  confidence: np.ndarray,
  skeleton: Skeleton,
) -> np.ndarray | None:
  """Joints [..., J, 3 or 4] of a skeleton of `LAYOUTS`, with z last."""
  for layout in LAYOUTS.get(skeleton.detected.name, ()):
    if all(point in index for points in layout.values() for point in points):
      break
  else:
    return None
  seen = confidence > 0
  values = np.concatenate([np.where(seen, positions, 0), confidence], -1)
  at = [[index[point] for point in layout[name]] for name in skeleton.joints]
  joints = values[..., [points[0] for points in at], :].astype(np.float32)
  for joint, points in enumerate(at):
    if len(points) > 1:
      parts = values[..., points, :]
      joints[..., joint, :-1] = parts[..., :-1].mean(-2)
      joints[..., joint, -1] = parts[..., -1].min(-1)
  xy, z, sure = joints[..., :2], joints[..., 2:-1], joints[..., -1:]
  depth = [z] if skeleton.dims == 3 else []
  joints = np.concatenate([xy, sure, *depth], -1)
  joints[joints[..., 2] == 0] = 0
  return joints


def to_joints(
  points: Sequence[Point],
  positions: np.ndarray,
  confidence: np.ndarray,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> np.ndarray | None:
  """Joints [..., J, 3] float32: x, y, confidence in [0, 1]; 0 if not seen.

  Args:
    points: [N] the component and name of each point, in any order.
    positions: [..., N, 2 or 3]; arbitrary where the confidence is 0.
    confidence: [..., N]; clipped to [0, 1].
    skeleton: of the joints; z comes last in those of holistic178.

  Returns:
    The joints; None if the points lack some.
  """
  index = {point: i for i, point in enumerate(points)}
  confidence = np.clip(confidence, 0, 1)[..., None]
  if skeleton != PROMPT2SIGN50:
    return _by_layout(index, positions, confidence, skeleton)
  xy = positions[..., :2]
  seen = np.concatenate([np.where(confidence > 0, xy, 0), confidence], -1)

  def weighted_mean(weight_of: dict[int, float]) -> np.ndarray:
    """Mean position, with the least confidence of the points."""
    parts = seen[..., list(weight_of), :]
    weights = np.array(list(weight_of.values()), parts.dtype)[:, None]
    position = (parts[..., :2] * weights).sum(-2)
    return np.concatenate([position, parts[..., 2:].min(-2)], -1)

  joints = np.zeros((*seen.shape[:-2], PROMPT2SIGN50.num_joints, 3), np.float32)
  for layout in (OPENPOSE, HOLISTIC):
    if all(point in index for point in layout.values()):
      chosen = [index[point] for point in layout.values()]
      joints[..., list(layout), :] = seen[..., chosen, :]
      break
  else:
    return None
  if layout is HOLISTIC:
    if HOLISTIC_NOSE in index:
      joints[..., PROMPT2SIGN50.joint("nose"), :] = seen[
        ..., index[HOLISTIC_NOSE], :
      ]
    elif all(point in index for point in _NOSE_OF_FACE):
      joints[..., PROMPT2SIGN50.joint("nose"), :] = weighted_mean(
        {index[point]: weight for point, weight in _NOSE_OF_FACE.items()}
      )
    else:
      return None
    both = [
      PROMPT2SIGN50.joint("right_shoulder"),
      PROMPT2SIGN50.joint("left_shoulder"),
    ]
    shoulders = joints[..., both, :]
    joints[..., PROMPT2SIGN50.joint("neck"), :2] = shoulders[..., :2].mean(-2)
    joints[..., PROMPT2SIGN50.joint("neck"), 2] = shoulders[..., 2].min(-1)
  joints[joints[..., 2] == 0] = 0
  return joints
