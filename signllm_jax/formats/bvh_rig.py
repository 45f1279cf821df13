"""A skeleton as a rig: rest pose, inverse and forward kinematics.

Axes are those of animation tools: right-handed, y up and z to the viewer. The
limbs are the tree of the rig; its root is joint 0. The points of a face have no
bones: each hangs on the root, turns with it and does not turn it.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import transform

from signllm_jax.core import clips
from signllm_jax.core.skeleton import HAND_JOINTS, SIDES, Skeleton

AXES = np.array([1.0, -1.0, -1.0])  # converts a clip's axes to these and back


class Joint(NamedTuple):
  """A joint of any tree.

  Attributes:
    name: of the joint.
    parent: index of its parent, which precedes it; -1: none.
    offset: its position in its parent's frame, unless channels replace it.
    channels: names of its values, Xposition to Zrotation; rotations are
      intrinsic, in this order.
  """

  name: str
  parent: int
  offset: list[float]
  channels: list[str]


@functools.cache
def parents(skeleton: Skeleton) -> tuple[int, ...]:
  """The parent of each joint; -1 of the root."""
  found = dict.fromkeys(skeleton.face, 0)
  found |= {child: parent for parent, child, _ in skeleton.limbs}
  return tuple(found.get(joint, -1) for joint in range(skeleton.num_joints))


def children(skeleton: Skeleton, joint: int) -> list[int]:
  """The children of a joint, those that turn it first."""
  face = skeleton.face if joint == 0 else ()
  return [*_limbs_of(skeleton, joint), *face]


def _limbs_of(skeleton: Skeleton, joint: int) -> list[int]:
  return skeleton.children[np.equal(skeleton.parents, joint)].tolist()


def walk(skeleton: Skeleton, joint: int = 0) -> Iterator[int]:
  """Yields a joint and its descendants, depth first."""
  yield joint
  for child in children(skeleton, joint):
    yield from walk(skeleton, child)


# Directions of joints from their parents in the T-pose, of the left side.
_DIRECTIONS = {
  "neck": (0, -1, 0),
  **dict.fromkeys(("shoulder", "elbow", "wrist"), (1, 0, 0)),
  **dict.fromkeys(("hip", "knee", "ankle"), (0, -1, 0)),
  "eye": (0.6, 0.8, 0),
  "ear": (1, 0, 0),
}


def rest_directions(skeleton: Skeleton) -> np.ndarray:
  """Unit vectors [J, 3] from each joint's parent in the T-pose; 0 in a face."""
  directions = np.zeros((skeleton.num_joints, 3))
  for joint, name in enumerate(skeleton.joints):
    side, _, part = name.rpartition("_")
    sign = -1 if side == "right" else 1
    if joint and side in ("", *SIDES) and part in _DIRECTIONS:
      directions[joint] = np.array([sign, 1, 1]) * _DIRECTIONS[part]
  for side, sign in zip(SIDES, (1, -1), strict=True):
    wrist = skeleton.hand(side)
    directions[wrist : wrist + HAND_JOINTS, 0] = sign
    directions[wrist + 1 : wrist + 5, 2] = 0.5  # the thumb, to the front
    # The fan of the palm, facing down.
    directions[wrist + 1 : wrist + 18 : 4, 2] = 1, 0.3, 0.1, -0.1, -0.3
  norms = np.linalg.norm(directions, axis=-1, keepdims=True)
  return directions / np.maximum(norms, 1)


def rest_offsets(clip: clips.Clip, directions: np.ndarray) -> np.ndarray:
  """Offsets [J, 3] from each joint's parent: the rest pose of a clip in 3-D.

  Bones have their median lengths; a point of a face its median offset from the
  root, 0 if never seen with it.
  """
  rest = directions * bone_lengths(clip)[:, None]
  for joint in clip.skeleton.face:
    seen = clip.valid[:, 0] & clip.valid[:, joint]
    if seen.any():
      offsets = clip.frames[seen, joint] - clip.frames[seen, 0]
      rest[joint] = np.median(offsets, 0) * AXES
  return rest


def bone_lengths(clip: clips.Clip) -> np.ndarray:
  """Median bone lengths [J], equal on both sides; 0 if never seen."""
  skeleton = clip.skeleton
  starts, ends = skeleton.parents, skeleton.children
  vectors = clip.frames[:, ends].astype(np.float64) - clip.frames[:, starts]
  seen = clip.valid[:, ends] & clip.valid[:, starts]
  norms = np.linalg.norm(vectors, axis=-1)
  lengths = np.zeros(skeleton.num_joints)
  for bone in range(skeleton.num_bones):
    same = np.equal(skeleton.limb_bones, bone)
    if seen[:, same].any():
      lengths[ends[same]] = np.median(norms[:, same][seen[:, same]])
  return lengths


def fill(clip: clips.Clip, rest: np.ndarray) -> np.ndarray:
  """Positions [T, J, 3] of all joints, with missing ones filled in.

  A missing joint keeps its last (before that, its next) offset from its parent,
  or that of the rest pose if never seen with it. The root keeps its position;
  if never seen, it is placed so that the neck of the rest pose is at 0, or the
  middle of the shoulders.

  Args:
    clip: in any unit.
    rest: [J, 3] offset of each joint from its parent in the rest pose.
  """
  skeleton = clip.skeleton
  positions, valid = clip.frames.astype(np.float64) * AXES, clip.valid
  placed = np.zeros_like(rest)
  for parent, child, _ in skeleton.limbs:
    placed[child] = placed[parent] + rest[child]
  origin = skeleton.origin_of(placed)[0]
  positions[:, 0] = _hold(positions[:, 0], valid[:, 0], -origin)
  hung = [(0, joint, 0) for joint in skeleton.face]
  for parent, child, _ in (*skeleton.limbs, *hung):
    offsets = positions[:, child] - positions[:, parent]
    offsets = _hold(offsets, valid[:, parent] & valid[:, child], rest[child])
    filled = positions[:, parent] + offsets
    positions[:, child] = np.where(
      valid[:, child, None], positions[:, child], filled
    )
  return positions


def solve(
  positions: np.ndarray, rest: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
  """Inverse kinematics: channel values [T, J, 6], joints in `walk`'s order.

  The first three values are a joint's position in its parent's frame. The other
  three are its rotation against its parent, in degrees about its own z, then x,
  then y.

  Args:
    positions: [T, J, 3] of all joints.
    rest: [J, 3] of `rest_directions`.
    skeleton: of the joints.
  """
  rotations = {-1: np.broadcast_to(np.eye(3), (len(positions), 3, 3))}
  values = []
  for joint in walk(skeleton):
    parent = parents(skeleton)[joint]
    offset = positions[:, joint] - (positions[:, parent] if joint else 0)
    ends = _limbs_of(skeleton, joint)
    rotations[joint] = _aim(positions, joint, ends, rest, rotations[parent])
    inverse = np.swapaxes(rotations[parent], -1, -2)
    values.append((inverse @ offset[..., None])[..., 0])
    values.append(_angles(inverse @ rotations[joint]))
  return np.stack(values, 1).reshape(len(positions), skeleton.num_joints, 6)


def _hold(values, seen, otherwise) -> np.ndarray:
  """Fills unseen values with the last seen one, or before that the first."""
  if not seen.any():
    return np.broadcast_to(otherwise, values.shape)
  last = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), -1))
  return values[np.where(last < 0, np.argmax(seen), last)]


def _aim(
  positions, joint: int, ends: list[int], rest, parent_rotation
) -> np.ndarray:
  """Rotations [T, 3, 3] that best align rest directions with joints `ends`.

  The remaining freedom follows the parent's rotation, which is added with a
  weight too small to change the rest. Source: Kabsch 1976.
  """
  if not ends:
    return parent_rotation
  directions = positions[:, ends] - positions[:, joint, None]
  norms = np.linalg.norm(directions, axis=-1, keepdims=True)
  directions /= np.maximum(norms, 1e-12)
  covariance = np.swapaxes(directions, 1, 2) @ rest[ends]
  u, _, v = np.linalg.svd(covariance + 1e-6 * parent_rotation)
  u[..., -1] *= np.sign(np.linalg.det(u @ v))[:, None]
  return u @ v


def _angles(rotations: np.ndarray) -> np.ndarray:
  """Unwrapped angles [T, 3] in degrees about z, x and y, of Rz Rx Ry."""
  sine = np.clip(rotations[:, 2, 1], -1, 1)
  # In gimbal lock, z and y rotate about one axis: y takes all of the rotation.
  locked = np.hypot(rotations[:, 0, 1], rotations[:, 1, 1]) < 1e-9
  z = np.arctan2(-rotations[:, 0, 1], rotations[:, 1, 1])
  y = np.arctan2(-rotations[:, 2, 0], rotations[:, 2, 2])
  combined = np.arctan2(rotations[:, 0, 2], rotations[:, 0, 0])
  angles = [
    np.where(locked, 0, z),
    np.arcsin(sine),
    np.where(locked, combined, y),
  ]
  return np.degrees(np.unwrap(np.stack(angles, -1), axis=0))


def forward(joints: Sequence[Joint], values: np.ndarray) -> np.ndarray:
  """Forward kinematics: positions [T, joints, 3] of channel values [T, M].

  Args:
    joints: parents first.
    values: of all channels, joint by joint; rotations in degrees.
  """
  origin = np.zeros((len(values), 3))
  identity = np.broadcast_to(np.eye(3), (len(values), 3, 3))
  rotations, positions, column = [], [], 0
  for joint in joints:
    numbers = values[:, column : column + len(joint.channels)]
    column += len(joint.channels)
    parent_rotation, start = identity, origin
    if joint.parent >= 0:
      parent_rotation = rotations[joint.parent]
      start = positions[joint.parent]
    offset = np.tile(np.array(joint.offset, np.float64), (len(values), 1))
    rotation_columns = []
    for i, channel in enumerate(joint.channels):
      if channel.endswith("position"):
        offset[:, "XYZ".index(channel[0])] = numbers[:, i]
      else:
        rotation_columns.append(i)
    rotation = parent_rotation
    if rotation_columns:
      # Capitals: intrinsic rotations.
      order = "".join(joint.channels[i][0] for i in rotation_columns)
      own = transform.Rotation.from_euler(
        order, numbers[:, rotation_columns], True
      )
      rotation = parent_rotation @ own.as_matrix()
    rotations.append(rotation)
    positions.append(start + (parent_rotation @ offset[..., None])[..., 0])
  return np.stack(positions, 1)
