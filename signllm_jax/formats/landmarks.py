"""Mapping of OpenPose and MediaPipe Holistic points to the 50 joints, by name.

OpenPose's 137 points include all joints. MediaPipe Holistic's (543, 576 or 586,
and the reduced 178 and 203) lack the neck, and 178 also the nose. The neck is
the middle of the shoulders. The nose lies between the inner corners of the eyes
and the upper lip, 0.013 shoulder widths from that of MediaPipe's body (median
of 1,233 frames of spoken-to-signed, 0.041 at the 99th percentile).
"""

from collections.abc import Sequence

import numpy as np

from signllm_jax.core.skeleton import HOLISTIC178, PROMPT2SIGN50, Skeleton

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


# Joint of holistic178 -> point.
HOLISTIC178_POINTS: dict[str, Point] = {
  **{name: (_BODY, name.upper()) for name in _names(HOLISTIC178, "body")},
  **dict(
    zip(
      (*_names(HOLISTIC178, "left_hand"), *_names(HOLISTIC178, "right_hand")),
      ((side, p) for side in _HANDS for p in _HAND_POINTS),
      strict=True,
    )
  ),
  **{
    name: (_FACE, name.removeprefix("mesh_"))
    for name in _names(HOLISTIC178, "face")
  },
}


def _holistic178(
  index: dict[Point, int], positions: np.ndarray, confidence: np.ndarray
) -> np.ndarray | None:
  """Joints [..., 178, 3 or 4] of holistic178, with z last."""
  if any(point not in index for point in HOLISTIC178_POINTS.values()):
    return None
  chosen = [index[HOLISTIC178_POINTS[name]] for name in HOLISTIC178.joints]
  found = [positions[..., :2], confidence, positions[..., 2:]]
  joints = np.concatenate(found, -1)[..., chosen, :].astype(np.float32)
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
    known = skeleton == HOLISTIC178
    return _holistic178(index, positions, confidence) if known else None
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
