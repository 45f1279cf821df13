"""The type of a skeleton, and the facts of hands.

The order within a hand is OpenPose's and MediaPipe's: wrist, then thumb, index,
middle, ring and little finger, each from palm to tip.
"""

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

HAND_JOINTS = 21
FINGERS = ("thumb", "index", "middle", "ring", "little")
SIDES = ("left", "right")

Limb = tuple[int, int, int]  # parent, child, bone


@dataclasses.dataclass(frozen=True)
class Skeleton:
  """The facts of one skeleton; skeletons are equal by their names.

  Dim letters of its users: J joints, D numbers a joint, C = J D numbers a
  frame, N limbs, K bones.

  Attributes:
    name: its name in files, configurations and commands.
    joints: [J] their names.
    parts: part of the body -> its joints; each joint is in one part.
    limbs: [N] (parent, child, bone). Bones of both sides share a number, as
      they share a length. In a walk from the root a parent comes before its
      children. A face has no bones.
    origin: joints whose middle is the origin of a canonical frame: the neck, or
      the shoulders.
    dims: D, numbers a joint: 2 (x, y) or 3 (x, y, z).
    features: part of the face -> its lines for drawing, each a sequence of
      joints; a closed line ends where it began.
    mirrored: pairs of joints of a face that change places with the sides;
      elsewhere the names say it.
    derived: joint of a smaller skeleton that this one lacks -> its position as
      weights of joints.
    lifted_from: the skeleton in 2-D from whose keypoints its clips are lifted.
  """

  name: str
  joints: tuple[str, ...] = dataclasses.field(compare=False, repr=False)
  parts: Mapping[str, tuple[int, ...]] = dataclasses.field(
    compare=False, repr=False
  )
  limbs: tuple[Limb, ...] = dataclasses.field(compare=False, repr=False)
  origin: tuple[int, ...] = dataclasses.field(compare=False, repr=False)
  dims: int = dataclasses.field(default=3, repr=False)
  features: Mapping[str, tuple[tuple[int, ...], ...]] = dataclasses.field(
    default_factory=dict, compare=False, repr=False
  )
  mirrored: tuple[tuple[int, int], ...] = dataclasses.field(
    default=(), compare=False, repr=False
  )
  derived: Mapping[str, Mapping[str, float]] = dataclasses.field(
    default_factory=dict, compare=False, repr=False
  )
  lifted_from: "Skeleton | None" = dataclasses.field(
    default=None, compare=False, repr=False
  )

  @functools.cached_property
  def num_joints(self) -> int:
    """J."""
    return len(self.joints)

  @functools.cached_property
  def num_values(self) -> int:
    """C, numbers a frame."""
    return len(self.joints) * self.dims

  @property
  def detected(self) -> "Skeleton":
    """The skeleton of the keypoints that its clips are made from."""
    return self.lifted_from or self

  @property
  def in_3d(self) -> "Skeleton":
    """The same joints with three numbers each, under the same name."""
    return dataclasses.replace(self, dims=3)

  @property
  def shape(self) -> tuple[int, int]:
    """J, D: the shape of a frame."""
    return len(self.joints), self.dims

  @functools.cached_property
  def num_bones(self) -> int:
    """K."""
    return 1 + max(bone for _, _, bone in self.limbs)

  @functools.cached_property
  def parents(self) -> np.ndarray:
    """[N] int32 parent of each limb."""
    return np.array([parent for parent, _, _ in self.limbs], np.int32)

  @functools.cached_property
  def children(self) -> np.ndarray:
    """[N] int32 child of each limb."""
    return np.array([child for _, child, _ in self.limbs], np.int32)

  @functools.cached_property
  def limb_bones(self) -> np.ndarray:
    """[N] int32 bone of each limb."""
    return np.array([bone for _, _, bone in self.limbs], np.int32)

  @functools.cached_property
  def _index(self) -> dict[str, int]:
    return {name: joint for joint, name in enumerate(self.joints)}

  def find(self, name: str) -> int | None:
    """The joint of this name; None if the skeleton lacks it."""
    return self._index.get(name)

  def joint(self, name: str) -> int:
    """The joint of this name, which the skeleton must have."""
    return self._index[name]

  @property
  def shoulders(self) -> tuple[int, int]:
    """The right and the left shoulder."""
    return self.joint("right_shoulder"), self.joint("left_shoulder")

  def arm(self, side: str) -> tuple[int, int, int]:
    """Shoulder, elbow and wrist of a side."""
    shoulder, elbow, wrist = (
      self.joint(f"{side}_{name}") for name in ("shoulder", "elbow", "wrist")
    )
    return shoulder, elbow, wrist

  def hand(self, side: str) -> int:
    """The first joint (wrist) of the hand of a side; 20 others follow."""
    return self.parts[f"{side}_hand"][0]

  @property
  def upper_body(self) -> tuple[int, ...]:
    """The joints of the body without those of the legs."""
    legs = ("_hip", "_knee", "_ankle")
    body = self.parts["body"]
    return tuple(j for j in body if not self.joints[j].endswith(legs))

  @property
  def face(self) -> tuple[int, ...]:
    """The joints of the face; none in a skeleton without one."""
    return self.parts.get("face", ())

  def feature(self, name: str) -> tuple[int, ...]:
    """The joints on the lines of a part of the face, ascending."""
    return tuple(sorted({j for line in self.features[name] for j in line}))

  @functools.cached_property
  def swap_sides(self) -> np.ndarray:
    """[J] int32: with left and right exchanged, joint i is joint swap[i]."""
    other = {"left": "right", "right": "left"}
    order = np.arange(self.num_joints)
    for joint, name in enumerate(self.joints):
      side, _, rest = name.partition("_")
      if side in other:
        order[joint] = self.joint(f"{other[side]}_{rest}")
    for first, second in self.mirrored:
      order[[first, second]] = second, first
    return order.astype(np.int32)

  def ancestor_matrix(self) -> np.ndarray:
    """Matrix A [J, N] with joint_j = root + sum over limbs A[j] * vector."""
    matrix = np.zeros((self.num_joints, len(self.limbs)), np.float32)
    for limb, (parent, child, _) in enumerate(self.limbs):
      matrix[child] = matrix[parent]
      matrix[child, limb] = 1
    return matrix

  def origin_of(self, frames: Any) -> Any:
    """The middle [..., 1, D] of the origin's joints in frames [..., J, D]."""
    if len(self.origin) == 1:
      return frames[..., self.origin[0] : self.origin[0] + 1, :]
    return frames[..., list(self.origin), :].mean(-2, keepdims=True)

  def place(
    self, name: str, frames: np.ndarray, valid: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray]:
    """The position [T, D] of a joint, and where it is seen [T].

    A joint that is derived from others has their weighted mean. One that the
    skeleton lacks is never seen.
    """
    joint = self.find(name)
    if joint is not None:
      return frames[:, joint], valid[:, joint]
    weights = self.derived.get(name)
    if weights is None:
      return np.zeros_like(frames[:, 0]), np.zeros(len(frames), bool)
    joints = [self.joint(each) for each in weights]
    share = np.array(list(weights.values()), np.float32)[:, None]
    place = (frames[:, joints] * share).sum(1)
    return place, np.all(valid[:, joints], axis=1)

  def origin_shown(self, valid: np.ndarray) -> np.ndarray:
    """Whether all of the origin's joints are valid: [..., J] to [...]."""
    return np.all(valid[..., list(self.origin)], axis=-1)


def hand_joints() -> tuple[str, ...]:
  """The names of the joints of both hands, left first."""
  points = ("wrist", *(f"{f}_{i}" for f in FINGERS for i in range(1, 5)))
  return tuple(f"{side}_hand_{point}" for side in SIDES for point in points)


def hand_limbs(root: int, bone: int) -> tuple[Limb, ...]:
  """The 20 limbs of a hand.

  Args:
    root: its first joint.
    bone: the first of its 20 bones.
  """
  limbs = []
  for finger in range(5):
    first, own = root + 1 + 4 * finger, bone + 4 * finger
    limbs.append((root, first, own))
    limbs += [(first + j, first + j + 1, own + 1 + j) for j in range(3)]
  return tuple(limbs)


def hand_parts(first: int) -> dict[str, tuple[int, ...]]:
  """The parts of two hands, the left one from joint `first` on."""
  return {
    f"{side}_hand": tuple(
      range(first + i * HAND_JOINTS, first + (i + 1) * HAND_JOINTS)
    )
    for i, side in enumerate(SIDES)
  }
