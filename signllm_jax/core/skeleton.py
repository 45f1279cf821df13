"""The table of skeletons.

A skeleton is one entry of `SKELETONS`. Data, configurations and models name
theirs; the rest of the code takes all numbers from the entry, so that a further
skeleton is one more entry (`register`). Equal joints have equal names in all
skeletons. A frame has the values of joint 0 first: x right, y down as in images
and, in a skeleton with depth, z away.
"""

import dataclasses
from collections.abc import Sequence

from signllm_jax.core import errors, faces
from signllm_jax.core.skeleton_type import HAND_JOINTS as HAND_JOINTS
from signllm_jax.core.skeleton_type import SIDES as SIDES
from signllm_jax.core.skeleton_type import (
  Limb,
  hand_joints,
  hand_limbs,
  hand_parts,
)
from signllm_jax.core.skeleton_type import Skeleton as Skeleton

SKELETONS: dict[str, Skeleton] = {}


def register(skeleton: Skeleton) -> Skeleton:
  """Adds a skeleton to the table and returns it.

  Raises:
    UsageError: another one has its name.
  """
  if skeleton.name in SKELETONS:
    raise errors.UsageError(f"two skeletons named {skeleton.name!r}")
  SKELETONS[skeleton.name] = skeleton
  return skeleton


def get(name: str) -> Skeleton:
  """The skeleton of this name.

  Raises:
    UsageError: there is none.
  """
  if name not in SKELETONS:
    raise errors.UsageError(
      f"no skeleton {name!r}", expected="one of " + ", ".join(SKELETONS)
    )
  return SKELETONS[name]


def check_same(found: Skeleton, expected: Skeleton, what: str) -> None:
  """Refuses to mix skeletons.

  Raises:
    DataError: `what` is of another skeleton; names both.
  """
  if found != expected:
    raise errors.DataError(
      f"{what} has the skeleton {found.name}",
      expected=expected.name,
      hint="A run, a file and a comparison have one skeleton",
    )


def of_clips(listed: Sequence) -> Skeleton:
  """The one skeleton of clips or keypoints; prompt2sign50 if there are none.

  Raises:
    DataError: there are several.
  """
  first = listed[0].skeleton if listed else PROMPT2SIGN50
  for clip in listed:
    check_same(clip.skeleton, first, f"clip {clip.name!r}")
  return first


ARMS = (
  "nose",
  "neck",
  *(f"right_{joint}" for joint in ("shoulder", "elbow", "wrist")),
  *(f"left_{joint}" for joint in ("shoulder", "elbow", "wrist")),
)


def arm_limbs(left_hand: int) -> tuple[Limb, ...]:
  """The limbs of `ARMS` and of the hands from a joint on; 25 bones."""
  right_hand = left_hand + HAND_JOINTS
  return (
    (0, 1, 0),
    (1, 2, 1),
    (2, 3, 2),
    (3, 4, 3),
    (1, 5, 1),
    (5, 6, 2),
    (6, 7, 3),
    (7, left_hand, 4),
    (4, right_hand, 4),
    *hand_limbs(left_hand, 5),
    *hand_limbs(right_hand, 5),
  )


# Prompt2Sign's first form: points 0-7 of OpenPose's BODY_25, then the hands.
# 49 limbs share 25 bone lengths. Source: Prompt2Sign; Zelinka and Kanis 2020.
PROMPT2SIGN50 = register(
  Skeleton(
    name="prompt2sign50",
    joints=(*ARMS, *hand_joints()),
    parts={"body": tuple(range(len(ARMS))), **hand_parts(len(ARMS))},
    limbs=arm_limbs(len(ARMS)),
    origin=(1,),
  )
)

# Prompt2Sign since 2025, by DWPose: COCO-18, hands and iBUG's 68 points of the
# face. Published in 2-D, in shares of the picture.
_LEGS = (
  *(f"right_{joint}" for joint in ("hip", "knee", "ankle")),
  *(f"left_{joint}" for joint in ("hip", "knee", "ankle")),
)
_COCO18 = (*ARMS, *_LEGS, "right_eye", "left_eye", "right_ear", "left_ear")
_HANDS_OF_128 = len(_COCO18)
_FACE_OF_128 = _HANDS_OF_128 + 2 * HAND_JOINTS
DWPOSE128 = register(
  Skeleton(
    name="dwpose128",
    joints=(*_COCO18, *hand_joints(), *faces.IBUG.joints),
    parts={
      "body": tuple(range(len(_COCO18))),
      **hand_parts(_HANDS_OF_128),
      "face": faces.IBUG.part(_FACE_OF_128),
    },
    limbs=(
      *arm_limbs(_HANDS_OF_128),
      (1, 8, 25),
      (8, 9, 26),
      (9, 10, 27),
      (1, 11, 25),
      (11, 12, 26),
      (12, 13, 27),
      (0, 14, 28),
      (0, 15, 28),
      (14, 16, 29),
      (15, 17, 29),
    ),
    origin=(1,),
    dims=2,
    features=faces.IBUG.lines_from(_FACE_OF_128),
    mirrored=faces.IBUG.mirrored_from(_FACE_OF_128),
  )
)

# The same in 3-D: body and hands lifted, the face hung on the nose.
DWPOSE128_LIFTED = register(
  dataclasses.replace(
    DWPOSE128, name="dwpose128_lifted", dims=3, lifted_from=DWPOSE128
  )
)

# SLRTP 2025 and the reduced MediaPipe Holistic of sign.mt, with depth.
_BODY8 = (
  *(f"right_{joint}" for joint in ("shoulder", "elbow", "wrist")),
  *(f"left_{joint}" for joint in ("shoulder", "elbow", "wrist")),
  "right_hip",
  "left_hip",
)
_HANDS_OF_178 = len(_BODY8)
_FACE_OF_178 = _HANDS_OF_178 + 2 * HAND_JOINTS
HOLISTIC178 = register(
  Skeleton(
    name="holistic178",
    joints=(*_BODY8, *hand_joints(), *faces.MEDIAPIPE.joints),
    parts={
      "body": tuple(range(len(_BODY8))),
      **hand_parts(_HANDS_OF_178),
      "face": faces.MEDIAPIPE.part(_FACE_OF_178),
    },
    limbs=(
      (0, 3, 0),
      (0, 1, 1),
      (1, 2, 2),
      (3, 4, 1),
      (4, 5, 2),
      (5, _HANDS_OF_178, 3),
      (2, _HANDS_OF_178 + HAND_JOINTS, 3),
      *hand_limbs(_HANDS_OF_178, 4),
      *hand_limbs(_HANDS_OF_178 + HAND_JOINTS, 4),
      (0, 6, 24),
      (3, 7, 24),
    ),
    origin=(0, 3),
    features=faces.MEDIAPIPE.lines_from(_FACE_OF_178),
    mirrored=faces.MEDIAPIPE.mirrored_from(_FACE_OF_178),
    derived={
      "neck": {"right_shoulder": 0.5, "left_shoulder": 0.5},
      # Between the inner corners of the eyes and the upper lip: 0.013 shoulder
      # widths from MediaPipe's own nose (`formats.landmarks`).
      "nose": {"mesh_133": 0.225, "mesh_362": 0.225, "mesh_0": 0.55},
    },
  )
)
