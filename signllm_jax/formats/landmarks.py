"""Points of other skeletons -> the 50 joints, found by name.

OpenPose's 137 points have all of ours. MediaPipe Holistic's (543, 576 or 586,
and the reduced 178 and 203) lack the neck, and 178 the nose: the neck is put
in the middle of the shoulders; the nose between the inner corners of the eyes
and the upper lip, 0.013 shoulder widths from where MediaPipe's body has it
(median of 1,233 frames of spoken-to-signed, 0.041 at the 99th percentile).
"""

from collections.abc import Sequence

import numpy as np

from signllm_jax.core import skeleton

Point = tuple[str, str]  # component, name

_BODY, _FACE = "POSE_LANDMARKS", "FACE_LANDMARKS"
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


def _with_hands(
  body: dict[int, Point], components: tuple[str, str], hand: tuple[str, ...]
) -> dict[int, Point]:
  points = [(side, point) for side in components for point in hand]
  return body | dict(enumerate(points, skeleton.LEFT_HAND))


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
    skeleton.RIGHT_SHOULDER: (_BODY, "RIGHT_SHOULDER"),
    skeleton.RIGHT_ELBOW: (_BODY, "RIGHT_ELBOW"),
    skeleton.RIGHT_WRIST: (_BODY, "RIGHT_WRIST"),
    skeleton.LEFT_SHOULDER: (_BODY, "LEFT_SHOULDER"),
    skeleton.LEFT_ELBOW: (_BODY, "LEFT_ELBOW"),
    skeleton.LEFT_WRIST: (_BODY, "LEFT_WRIST"),
  },
  ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS"),
  _HAND_POINTS,
)
# Where the nose is, as shares of points of the face.
_NOSE_OF_FACE = {
  (_FACE, "133"): 0.225,
  (_FACE, "362"): 0.225,
  (_FACE, "0"): 0.55,
}


def to_joints(
  points: Sequence[Point], xy: np.ndarray, confidence: np.ndarray
) -> np.ndarray | None:
  """[..., J, 3] float32 x, y and confidence in [0, 1]; zeros where not seen.

  Args:
    points: [N] the component and name of each point, in any order.
    xy: [..., N, 2]; anything where the confidence is 0.
    confidence: [..., N]; what is below 0 counts as 0, above 1 as 1.

  Returns:
    The joints; None if the points are neither OpenPose's nor Holistic's.
  """
  at = {point: index for index, point in enumerate(points)}
  confidence = np.clip(confidence, 0, 1)[..., None]
  seen = np.concatenate([np.where(confidence > 0, xy, 0), confidence], -1)

  def middle(shares: dict[int, float]) -> np.ndarray:
    """Of points; as sure as the least sure of them."""
    parts = seen[..., list(shares), :]
    weights = np.array(list(shares.values()), parts.dtype)[:, None]
    place = (parts[..., :2] * weights).sum(-2)
    return np.concatenate([place, parts[..., 2:].min(-2)], -1)

  joints = np.zeros((*seen.shape[:-2], skeleton.J, 3), np.float32)
  for layout in (OPENPOSE, HOLISTIC):
    if all(point in at for point in layout.values()):
      chosen = [at[point] for point in layout.values()]
      joints[..., list(layout), :] = seen[..., chosen, :]
      break
  else:
    return None
  if layout is HOLISTIC:
    if HOLISTIC_NOSE in at:
      joints[..., skeleton.NOSE, :] = seen[..., at[HOLISTIC_NOSE], :]
    elif all(point in at for point in _NOSE_OF_FACE):
      joints[..., skeleton.NOSE, :] = middle(
        {at[point]: share for point, share in _NOSE_OF_FACE.items()}
      )
    else:
      return None
    ends = joints[..., [skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER], :]
    joints[..., skeleton.NECK, :2] = ends[..., :2].mean(-2)
    joints[..., skeleton.NECK, 2] = ends[..., 2].min(-1)
  joints[joints[..., 2] == 0] = 0
  return joints
