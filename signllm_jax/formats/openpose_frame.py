"""A frame of OpenPose's JSON, version 1.3, as `openpose` writes it.

The body is BODY_25, whose points that the skeleton lacks are (0, 0, 0): not
seen. The middle of the hips is made of both. A face has iBUG's 68 points and
two pupils, which no skeleton has.
"""

import numpy as np

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.formats import detections

_FIRST = 8  # points of the body that all skeletons of this form have
_BODY, _MIDDLE, _PUPILS = 25, 8, 2  # points; the place of the hips' middle


def to_json(skeleton: Skeleton, frame: np.ndarray) -> bytes:
  """Content of the file of a frame [J, 3], with one person or none."""
  if not frame[:, 2].any():
    return b'{"version":1.3,"people":[]}'
  frame = detections.clean(frame)
  parts = {name: frame[list(joints)] for name, joints in skeleton.parts.items()}
  body = parts["body"]
  if len(body) > _FIRST:
    middle = body[[skeleton.joint(f"{side}_hip") for side in ("right", "left")]]
    middle = middle.mean(0) if middle[:, 2].all() else np.zeros(3)
    body = np.insert(body, _MIDDLE, middle, 0)
  body = np.pad(body, ((0, _BODY - len(body)), (0, 0)))
  face = parts.get("face", np.zeros((0, 3)))
  if len(face):
    face = np.pad(face, ((0, _PUPILS), (0, 0)))
  lists = {
    "person_id": ["-1"],
    "pose_keypoints_2d": _numbers(body),
    "face_keypoints_2d": _numbers(face),
    "hand_left_keypoints_2d": _numbers(parts["left_hand"]),
    "hand_right_keypoints_2d": _numbers(parts["right_hand"]),
    "pose_keypoints_3d": [],
    "face_keypoints_3d": [],
    "hand_left_keypoints_3d": [],
    "hand_right_keypoints_3d": [],
  }
  person = ",".join(f'"{key}":[{",".join(v)}]' for key, v in lists.items())
  return f'{{"version":1.3,"people":[{{{person}}}]}}'.encode()


def _numbers(points: np.ndarray) -> list[str]:
  """NumPy's text form: the shortest digits that give the same float32."""
  return points.astype(np.float32).ravel().astype(str).tolist()
