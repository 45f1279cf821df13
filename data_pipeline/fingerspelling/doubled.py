"""Doubled letters, made as people make them.

Two equal recordings in a row merge into one long letter. People move a doubled
letter aside: "about two inches" to the signer's side by B. Vicars (Lifeprint,
"Fingerspelling", asl101), or by an arc, "a combination of a sideways slide and
bounce" (Lifeprint, "Double letters"); Handspeak calls it the glide. The Italian
recordings show it: in those of `bb` to `zz` the hand moves aside by 0.29
shoulder widths on average. A letter of two hands is released and closed again.
"""

import math

import numpy as np
from pose_format import Pose
from pose_format.numpy import NumPyPoseBody
from spoken_to_signed.gloss_to_pose import concatenate, smoothing

# Poses of letters are normalised: the shoulders are 1 apart.
ASIDE = 0.25  # how far a letter of one hand moves
LIFT = 0.04  # the height of the arc on the way
APART = 0.1  # how far either hand of two moves away and back
# Of the movement. The package looks for the frame to join within 0.3 s: the
# movement is longer, or it would be cut off where the hands are back.
SECONDS = 0.32
_SIDES = ("LEFT", "RIGHT")


def again(before: Pose, letter: Pose) -> Pose:
  """A letter that is made a second time, to be joined to the first.

  Args:
    before: the first of the two.
    letter: the same letter, where it is usually made.

  Returns:
    The movement, during which the hand keeps its shape, and the letter, from
    the frame where it would have been joined.
  """
  _, start = smoothing.find_best_connection_point(before, letter)
  moved = math.ceil(SECONDS * letter.body.fps)
  frames = np.r_[np.full(moved, start), start : len(letter.body.data)]
  # 0 at the first frame, so that the letters are joined there.
  way = np.minimum(np.arange(len(frames)) / moved, 1)
  signing = [side for side in _SIDES if _signs(letter, side)]
  data = letter.body.data[frames]
  for side in signing:
    out, arc = 3 * way**2 - 2 * way**3, np.sin(np.pi * way)
    if len(signing) == 1:
      x, y = ASIDE * out, -LIFT * arc
    else:
      x, y = APART * arc, 0 * arc
    shift = np.stack([x * _outwards(letter, side), y], -1)  # [T, 2]
    data[:, 0, :, :2] += shift[:, None] * _shares(letter, side)[:, None]
  confidence = letter.body.confidence[frames]
  return Pose(letter.header, NumPyPoseBody(letter.body.fps, data, confidence))


def _signs(pose: Pose, side: str) -> bool:
  """Whether a hand is seen and raised in most of the frames."""
  shown = concatenate.hide_lowered_hands(pose.copy()).body.confidence
  wrist = pose.header.get_point_index(f"{side}_HAND_LANDMARKS", "WRIST")
  return bool((shown[:, 0, wrist] > 0).mean() > 0.5)


def _outwards(pose: Pose, side: str) -> float:
  """The direction in x from the body to the side of a hand: 1 or -1."""
  left, right = (
    pose.header.get_point_index("POSE_LANDMARKS", f"{each}_SHOULDER")
    for each in _SIDES
  )
  width = float(
    (pose.body.data[:, 0, left] - pose.body.data[:, 0, right])[:, 0].mean()
  )
  return float(np.sign(width if side == "LEFT" else -width))


def _shares(pose: Pose, side: str) -> np.ndarray:
  """What share of a hand's movement each point makes, [P]."""
  shares = []
  for component in pose.header.components:
    for point in component.points:
      if component.name == f"{side}_HAND_LANDMARKS" or point == f"{side}_WRIST":
        shares.append(1.0)
      else:
        shares.append(0.5 if point == f"{side}_ELBOW" else 0.0)
  return np.array(shares)
