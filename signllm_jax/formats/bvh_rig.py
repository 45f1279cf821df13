"""The skeleton as bones that turn: a rest pose, and turns towards a clip.

All in the axes of animation tools, right-handed, y up and z to the viewer.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from scipy.spatial import transform

from signllm_jax.core import clips, skeleton

AXES = np.array([1.0, -1.0, -1.0])  # a clip's to these and back


class Joint(NamedTuple):
  """A joint of any tree.

  Attributes:
    name: its name.
    parent: which of the joints before it; -1: none.
    offset: its place in its parent's axes, where no channel says another.
    channels: what its numbers are, Xposition to Zrotation; turns are about its
      own axes, one after another.
  """

  name: str
  parent: int
  offset: list[float]
  channels: list[str]


def children(joint: int) -> list[int]:
  """The joints that hang on a joint."""
  return skeleton.CHILDREN[np.equal(skeleton.PARENTS, joint)].tolist()


def walk(joint: int) -> Iterator[int]:
  """A joint and all below it, depth first."""
  yield joint
  for child in children(joint):
    yield from walk(child)


def rest_directions() -> np.ndarray:
  """[J, 3] of length 1: the way from a joint's parent in the T-pose."""
  ways = np.zeros((skeleton.J, 3))
  ways[skeleton.NECK, 1] = -1
  for wrist, side in ((skeleton.LEFT_HAND, 1), (skeleton.RIGHT_HAND, -1)):
    hand = slice(wrist, wrist + skeleton.HAND_JOINTS)
    ways[hand, 0] = side
    ways[wrist + 1 : wrist + 5, 2] = 0.5, 0.5, 0.5, 0.5  # thumb, to the front
    # The palm's fan, palms down.
    ways[wrist + 1 : wrist + 18 : 4, 2] = 1, 0.3, 0.1, -0.1, -0.3
  ways[skeleton.LEFT_SHOULDER : skeleton.LEFT_WRIST + 1, 0] = 1
  ways[skeleton.RIGHT_SHOULDER : skeleton.RIGHT_WRIST + 1, 0] = -1
  return ways / np.maximum(np.linalg.norm(ways, axis=-1, keepdims=True), 1)


def bone_lengths(clip: clips.Clip) -> np.ndarray:
  """[J] the median way from the parent, alike left and right; 0 if unseen."""
  starts, ends = skeleton.PARENTS, skeleton.CHILDREN
  ways = clip.frames[:, ends].astype(np.float64) - clip.frames[:, starts]
  seen = clip.valid[:, ends] & clip.valid[:, starts]
  found = np.linalg.norm(ways, axis=-1)
  lengths = np.zeros(skeleton.J)
  for bone in range(skeleton.BONES):
    same = np.equal(skeleton.LIMB_BONES, bone)
    if seen[:, same].any():
      lengths[ends[same]] = np.median(found[:, same][seen[:, same]])
  return lengths


def fill(clip: clips.Clip, rest: np.ndarray) -> np.ndarray:
  """Places [T, J, 3] of all joints, those of missing ones made up.

  A missing joint keeps its last (before that, its next) way from its parent, or
  that of the rest pose if never seen with it. The root keeps its place; never
  seen, it rests so that the neck would be at 0.

  Args:
    clip: any unit.
    rest: [J, 3] the way from each joint's parent in the rest pose.
  """
  places, valid = clip.frames.astype(np.float64) * AXES, clip.valid
  places[:, 0] = _hold(places[:, 0], valid[:, 0], -rest[skeleton.NECK])
  for parent, child, _ in skeleton.LIMBS:
    ways = places[:, child] - places[:, parent]
    ways = _hold(ways, valid[:, parent] & valid[:, child], rest[child])
    made_up = places[:, parent] + ways
    places[:, child] = np.where(
      valid[:, child, None], places[:, child], made_up
    )
  return places


def solve(places: np.ndarray, rest: np.ndarray) -> np.ndarray:
  """What moves the rest pose to places: [T, J, 6], joints in `walk`'s order.

  The first three numbers are a joint's place in its parent's axes, the others
  its turn against its parent: degrees about its own z, then x, then y.

  Args:
    places: [T, J, 3] of all joints.
    rest: [J, 3] of `rest_directions`.
  """
  turns = {-1: np.broadcast_to(np.eye(3), (len(places), 3, 3))}
  values = []
  for joint in walk(0):
    above = _parent(joint) if joint else -1
    way = places[:, joint] - (places[:, above] if joint else 0)
    turns[joint] = _aim(places, joint, rest, turns[above])
    back = np.swapaxes(turns[above], -1, -2)
    values += [(back @ way[..., None])[..., 0], _angles(back @ turns[joint])]
  return np.stack(values, 1).reshape(len(places), skeleton.J, 6)


def _hold(values, seen, otherwise) -> np.ndarray:
  """Where not seen, the last value seen; before the first, that."""
  if not seen.any():
    return np.broadcast_to(otherwise, values.shape)
  last = np.maximum.accumulate(np.where(seen, np.arange(len(seen)), -1))
  return values[np.where(last < 0, np.argmax(seen), last)]


def _parent(joint: int) -> int:
  return int(skeleton.PARENTS[np.equal(skeleton.CHILDREN, joint)][0])


def _aim(places, joint: int, rest, above) -> np.ndarray:
  """Turns [T, 3, 3] that bring the rest directions to the children nearest.

  What they leave open is as in `above`, the parent's: it is added so faintly
  that it moves nothing else. Source: Kabsch 1976.
  """
  ends = children(joint)
  if not ends:
    return above
  ways = places[:, ends] - places[:, joint, None]
  ways /= np.maximum(np.linalg.norm(ways, axis=-1, keepdims=True), 1e-12)
  pull = np.swapaxes(ways, 1, 2) @ rest[ends]
  u, _, v = np.linalg.svd(pull + 1e-6 * above)
  u[..., -1] *= np.sign(np.linalg.det(u @ v))[:, None]
  return u @ v


def _angles(turns: np.ndarray) -> np.ndarray:
  """[T, 3] degrees about z, x and y of turns Rz Rx Ry, without jumps."""
  sine = np.clip(turns[:, 2, 1], -1, 1)
  # Upright, z and y turn about one axis: all of it is given to y.
  locked = np.hypot(turns[:, 0, 1], turns[:, 1, 1]) < 1e-9
  z = np.arctan2(-turns[:, 0, 1], turns[:, 1, 1])
  y = np.arctan2(-turns[:, 2, 0], turns[:, 2, 2])
  alone = np.arctan2(turns[:, 0, 2], turns[:, 0, 0])
  angles = [np.where(locked, 0, z), np.arcsin(sine), np.where(locked, alone, y)]
  return np.degrees(np.unwrap(np.stack(angles, -1), axis=0))


def forward(joints: Sequence[Joint], values: np.ndarray) -> np.ndarray:
  """Forward kinematics: where the numbers [T, M] put joints, [T, joints, 3].

  Args:
    joints: parents first.
    values: of all channels, joint by joint; turns in degrees.
  """
  origin = np.zeros((len(values), 3))
  still = np.broadcast_to(np.eye(3), (len(values), 3, 3))
  turns, places, column = [], [], 0
  for joint in joints:
    numbers = values[:, column : column + len(joint.channels)]
    column += len(joint.channels)
    above, start = still, origin
    if joint.parent >= 0:
      above, start = turns[joint.parent], places[joint.parent]
    way = np.tile(np.array(joint.offset, np.float64), (len(values), 1))
    spins = []
    for i, channel in enumerate(joint.channels):
      if channel.endswith("position"):
        way[:, "XYZ".index(channel[0])] = numbers[:, i]
      else:
        spins.append(i)
    turn = above
    if spins:
      order = "".join(joint.channels[i][0] for i in spins)  # capitals: own axes
      own = transform.Rotation.from_euler(order, numbers[:, spins], True)
      turn = above @ own.as_matrix()
    turns.append(turn)
    places.append(start + (above @ way[..., None])[..., 0])
  return np.stack(places, 1)
