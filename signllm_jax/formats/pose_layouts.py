"""The components of `.pose` in which clips of a skeleton are written.

prompt2sign50 and dwpose128 have OpenPose's 137 points, of which prompt2sign50
has no legs and no face. holistic178 has those of MediaPipe's reduced Holistic,
in the order of sign.mt's files: body, face, left and right hand, and left
before right in the body. 2-D skeletons have points of x, y and a confidence.
"""

import itertools
import warnings

import numpy as np
from pose_format import pose_header

from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178, Skeleton
from signllm_jax.formats import landmarks

with warnings.catch_warnings():
  # Compiling the module warns of a pattern in it.
  warnings.simplefilter("ignore")
  from pose_format.utils import openpose

_MIDDLE = ("pose_keypoints_2d", "MidHip")
_COLOURS = {"body": (255, 0, 0), "face": (128, 0, 0)}
_HAND_COLOUR = (0, 0, 192)


def components(skeleton: Skeleton) -> list[pose_header.PoseHeaderComponent]:
  """The components of the header of a file.

  Raises:
    DataError: there is no layout for the skeleton.
  """
  if skeleton == HOLISTIC178:
    return [_holistic(part) for part in ("body", "face", *_HANDS)]
  _openpose_points(skeleton)
  form = "XYZC" if skeleton.dims == 3 else "XYC"
  return [
    pose_header.PoseHeaderComponent(
      part.name, part.points, part.limbs, part.colors, form
    )
    for part in openpose.OpenPose_Components
  ]


def points_of(skeleton: Skeleton) -> list[landmarks.Point]:
  """The point [J] of each joint.

  Raises:
    DataError: there is no layout for the skeleton.
  """
  if skeleton == HOLISTIC178:
    (layout,) = landmarks.LAYOUTS[skeleton.name]
    return [layout[name][0] for name in skeleton.joints]
  return _openpose_points(skeleton)


def add_middle(
  skeleton: Skeleton,
  points: list[landmarks.Point],
  data: np.ndarray,
  confidence: np.ndarray,
) -> None:
  """Fills OpenPose's middle of the hips, where both are seen, in place.

  Args:
    skeleton: of the clip.
    points: [N] of the file.
    data: [T, 1, N, D] positions.
    confidence: [T, 1, N].
  """
  if skeleton.find("left_hip") is None or _MIDDLE not in points:
    return
  place = points_of(skeleton)
  hips = [skeleton.joint(f"{side}_hip") for side in skeleton_lib.SIDES]
  both = [points.index(place[hip]) for hip in hips]
  seen = confidence[..., both].min(-1)
  middle = data[..., both, :].mean(-2)
  at = points.index(_MIDDLE)
  data[..., at, :] = np.where(seen[..., None] > 0, middle, 0)
  confidence[..., at] = seen


def _openpose_points(skeleton: Skeleton) -> list[landmarks.Point]:
  if skeleton.detected == DWPOSE128:
    layout, _ = landmarks.LAYOUTS[DWPOSE128.name]
    return [layout[name][0] for name in skeleton.joints]
  skeleton_lib.check_same(
    skeleton, skeleton_lib.PROMPT2SIGN50, "a clip to be written as .pose"
  )
  return [landmarks.OPENPOSE[joint] for joint in range(skeleton.num_joints)]


_HANDS = ("left_hand", "right_hand")


def _holistic(part: str) -> pose_header.PoseHeaderComponent:
  """A component of the reduced Holistic, left before right in the body."""
  joints = list(HOLISTIC178.parts[part])
  names = [name for _, name in points_of(HOLISTIC178)]
  component = points_of(HOLISTIC178)[joints[0]][0]
  if part == "body":
    order = [names[joint].partition("_")[2] for joint in joints]
    joints.sort(
      key=lambda joint: (
        order.index(names[joint].partition("_")[2]),
        names[joint].startswith("RIGHT"),
      )
    )
  place = {joint: i for i, joint in enumerate(joints)}
  pairs = [(parent, child) for parent, child, _ in HOLISTIC178.limbs]
  if part == "face":
    lines = [line for each in HOLISTIC178.features.values() for line in each]
    pairs = [pair for line in lines for pair in itertools.pairwise(line)]
  limbs = [
    (place[one], place[other])
    for one, other in pairs
    if one in place and other in place
  ]
  colour = _COLOURS.get(part, _HAND_COLOUR)
  points = [names[joint] for joint in joints]
  return pose_header.PoseHeaderComponent(
    component, points, limbs, [colour], "XYZC"
  )
