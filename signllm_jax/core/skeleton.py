"""The skeleton: 50 joints, their tree, bones, body parts and names.

The joints are points 0-7 of OpenPose's BODY_25, then 21 of the left hand, then
21 of the right hand. Joint j has the values 3j, 3j+1, 3j+2 (x, y, z) of a
frame; y points down as in images. The order within a hand is OpenPose's and
MediaPipe's: wrist, then thumb, index, middle, ring and little finger, each from
palm to tip. Source: Prompt2Sign; Zelinka and Kanis 2020.
"""

import numpy as np

J = 50  # joints
C = 3 * J  # values per frame

NOSE, NECK = 0, 1
RIGHT_SHOULDER, RIGHT_ELBOW, RIGHT_WRIST = 2, 3, 4
LEFT_SHOULDER, LEFT_ELBOW, LEFT_WRIST = 5, 6, 7
LEFT_HAND, RIGHT_HAND = 8, 29  # first joint (wrist) of each hand
HAND_JOINTS = 21

_FINGERS = ("thumb", "index", "middle", "ring", "little")

JOINT_NAMES: tuple[str, ...] = (
  "nose",
  "neck",
  "right_shoulder",
  "right_elbow",
  "right_wrist",
  "left_shoulder",
  "left_elbow",
  "left_wrist",
  *(
    f"{side}_hand_{point}"
    for side in ("left", "right")
    for point in (
      "wrist",
      *(f"{finger}_{i}" for finger in _FINGERS for i in range(1, 5)),
    )
  ),
)

PARTS: dict[str, tuple[int, ...]] = {
  "body": tuple(range(8)),
  "left_hand": tuple(range(LEFT_HAND, LEFT_HAND + HAND_JOINTS)),
  "right_hand": tuple(range(RIGHT_HAND, RIGHT_HAND + HAND_JOINTS)),
}


def _hand_limbs(root: int) -> list[tuple[int, int, int]]:
  limbs = []
  for finger in range(5):
    first = root + 1 + 4 * finger
    limbs.append((root, first, 5 + 4 * finger))
    limbs += [(first + j, first + j + 1, 6 + 4 * finger + j) for j in range(3)]
  return limbs


# (parent, child, bone): 49 limbs share 25 bone lengths, equal on both sides.
# In a walk from joint 0 a parent comes before its children.
LIMBS: tuple[tuple[int, int, int], ...] = (
  (0, 1, 0),
  (1, 2, 1),
  (2, 3, 2),
  (3, 4, 3),
  (1, 5, 1),
  (5, 6, 2),
  (6, 7, 3),
  (7, LEFT_HAND, 4),
  (4, RIGHT_HAND, 4),
  *_hand_limbs(LEFT_HAND),
  *_hand_limbs(RIGHT_HAND),
)
BONES = 25

PARENTS = np.array([parent for parent, _, _ in LIMBS], np.int32)  # [49]
CHILDREN = np.array([child for _, child, _ in LIMBS], np.int32)  # [49]
LIMB_BONES = np.array([bone for _, _, bone in LIMBS], np.int32)  # [49]

# With left and right labels exchanged, joint i is joint SWAP_SIDES[i]. PT's
# labels are those of OpenPose with sides exchanged.
SWAP_SIDES = np.array(
  [0, 1, 5, 6, 7, 2, 3, 4, *PARTS["right_hand"], *PARTS["left_hand"]], np.int32
)


def ancestor_matrix() -> np.ndarray:
  """Matrix A [J, 49] with joint_j = root + sum over limbs A[j] * vector."""
  matrix = np.zeros((J, len(LIMBS)), np.float32)
  for limb, (parent, child, _) in enumerate(LIMBS):
    matrix[child] = matrix[parent]
    matrix[child, limb] = 1
  return matrix
