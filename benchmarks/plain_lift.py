"""The published lifting in plain numpy, a baseline for equality and time.

The method of Zelinka and Kanis (WACV 2020) as its tool computes it: one clip at
a time; interpolation and initial placement in Python loops over frames and
joints; then 1000 cycles of gradient descent, limb by limb down the tree and
back up for the gradient. Float32 throughout.
"""

import math

import numpy as np

from signllm_jax.core.skeleton import PROMPT2SIGN50

CYCLES, RATE = 1000, 0.1
LENGTH_WEIGHT, MOTION_WEIGHT = 0.001, 0.1


def lift(clip: np.ndarray) -> tuple[np.ndarray, ...]:
  """Lifts one clip.

  Args:
    clip: [T, J, 3] float32 x, y, confidence.

  Returns:
    The published five stages, each [T, J, 3]: keypoints normalised, pruned and
    interpolated; first and final joints.
  """
  normalised = _normalise(clip)
  pruned = _prune(normalised)
  seen = _interpolate(pruned)
  lengths = _log_lengths(seen)
  joints, directions = _place(seen, lengths)
  lifted = _descend(seen, lengths, joints[:, 0], directions)
  return normalised, pruned, seen, joints, lifted


def _normalise(clip: np.ndarray) -> np.ndarray:
  x, y = clip[..., 0], clip[..., 1]
  mean = (np.sum(x) + np.sum(y)) / (2 * x.size)
  square = (np.sum(x * x) + np.sum(y * y)) / (2 * x.size)
  scale = math.sqrt(square - mean * mean)
  x, y = (x - np.sum(x) / x.size) / scale, (y - np.sum(y) / y.size) / scale
  return np.stack([x, y, clip[..., 2]], -1)


def _prune(clip: np.ndarray) -> np.ndarray:
  out = clip.copy()
  for t in range(len(clip)):
    total = 0.0
    for joint in range(8):
      total = total + clip[t, joint, 2]
    if total / 8 < 0.3:
      out[t] = 0
  return out


def _interpolate(clip: np.ndarray) -> np.ndarray:
  out = clip.copy()
  for t in range(len(clip)):
    for joint in range(PROMPT2SIGN50.num_joints):
      out[t, joint, :2] = _window_mean(clip[:, joint], t)
  return out


def _window_mean(track: np.ndarray, t: int) -> tuple[float, float]:
  """Of x and y of a joint, around frame t."""
  x, y, weight = track[t]
  sum_x, sum_y, total = weight * x, weight * y, weight
  radius, wider = 0, True
  while total < 0.99 and wider:
    radius, wider = radius + 1, False
    for at in (t + radius, t - radius):
      if 0 <= at < len(track):
        x, y, weight = track[at]
        sum_x, sum_y = sum_x + weight * x, sum_y + weight * y
        total, wider = total + weight, True
  total = total if total > 0 else 1e-10
  return sum_x / total, sum_y / total


def _log_lengths(seen: np.ndarray) -> np.ndarray:
  limb_lengths: list[list[float]] = [[] for _ in range(PROMPT2SIGN50.num_bones)]
  for parent, child, bone in PROMPT2SIGN50.limbs:
    for t in range(len(seen)):
      x = seen[t, parent, 0] - seen[t, child, 0]
      y = seen[t, parent, 1] - seen[t, child, 1]
      limb_lengths[bone].append(math.sqrt(x * x + y * y))
  medians = [
    sorted(values)[int(0.5 * (len(values) - 1))] for values in limb_lengths
  ]
  return np.array([math.log(max(m, 1e-6)) for m in medians], np.float32)


def _place(seen: np.ndarray, lengths: np.ndarray):
  t = len(seen)
  random = np.random.RandomState(1234)
  joints = np.zeros((t, PROMPT2SIGN50.num_joints, 3), np.float32)
  joints[:, 0, :2] = seen[:, 0, :2]
  for axis in range(3):
    joints[:, 0, axis] += random.uniform(-0.001, 0.001, t).astype(np.float32)
  directions = np.zeros((t, len(PROMPT2SIGN50.limbs), 3), np.float32)
  for limb, (parent, child, bone) in enumerate(PROMPT2SIGN50.limbs):
    length = math.exp(lengths[bone])
    for frame in range(t):
      ax, ay, _ = joints[frame, parent]
      unit = _direction(ax, ay, *seen[frame, child, :2], length)
      directions[frame, limb] = unit
      joints[frame, child] = (
        joints[frame, parent] + length * directions[frame, limb]
      )
  return joints, directions


def _direction(ax, ay, tx, ty, length):
  """The unit vector of a limb from (ax, ay) towards (tx, ty)."""
  best, nearest = (1.0, 1.0, 0.0), math.inf
  for x, y, z in _candidates(ax, ay, tx, ty, length):
    norm = math.sqrt(x * x + y * y + z * z) + 1e-10
    miss_x, miss_y = ax + length * x / norm - tx, ay + length * y / norm - ty
    miss = miss_x**2 + miss_y**2
    if miss < nearest:
      best, nearest = (x, y, z), miss
  x, y, z = best
  if x == 0 and y == 0 and z == 0:
    x = y = z = 1.0
  z = abs(z) + 0.001
  norm = math.sqrt(x * x + y * y + z * z) + 1e-10
  return x / norm, y / norm, z / norm


def _candidates(ax, ay, tx, ty, length):
  dx, dy = tx - ax, ty - ay
  yield dx, dy, 0.0
  left = length**2 - dx**2 - dy**2
  if left >= 0:
    yield dx, dy, math.sqrt(left)
  square = ax**2 - 2 * ax * tx + ay**2 - 2 * ay * ty + tx**2 + ty**2
  with np.errstate(all="ignore"):
    inverse = (1 / square) ** 0.5
    ends = []
    for far in (length, -length):
      y = ay**3 / square + far * ay * inverse - far * ty * inverse
      y = y + ax**2 * ay / square + ay * tx**2 / square + ay * ty**2 / square
      y = y - 2 * ay**2 * ty / square - 2 * ax * ay * tx / square
      ends.append((-(ax * ty - ay * tx - ax * y + tx * y) / (ay - ty), y))
  if np.isfinite(ends).all():
    for x, y in ends:
      yield x - ax, y - ay, 0.0


def _descend(seen, lengths, root, directions) -> np.ndarray:
  t = len(seen)
  fit = seen[..., 2:] / np.float32(PROMPT2SIGN50.num_joints * t)  # [T, J, 1]
  drag = np.float32(MOTION_WEIGHT / (PROMPT2SIGN50.num_joints * max(t - 1, 1)))
  lengths, root = lengths.copy(), root.copy()
  directions = np.ascontiguousarray(np.moveaxis(directions, 1, 0))  # [N, T, 3]
  for _ in range(CYCLES):
    joints, units, norms = _walk(lengths, root, directions)
    force = np.zeros_like(joints)  # [J, T, 3]
    for joint in range(PROMPT2SIGN50.num_joints):
      gap = joints[joint, :, :2] - seen[:, joint, :2]
      force[joint, :, :2] = 2 * fit[:, joint] * gap
      step = 2 * drag * np.diff(joints[joint], axis=0)
      force[joint, 1:] += step
      force[joint, :-1] -= step
    slopes = np.float32(LENGTH_WEIGHT) * np.exp(lengths)
    for limb in reversed(range(len(PROMPT2SIGN50.limbs))):
      parent, child, bone = PROMPT2SIGN50.limbs[limb]
      length, unit, pull = np.exp(lengths[bone]), units[limb], force[child]
      along = np.sum(unit * pull, -1, keepdims=True)
      slopes[bone] += length * np.sum(along)
      directions[limb] -= (
        np.float32(RATE) * length / norms[limb] * (pull - along * unit)
      )
      force[parent] += pull
    lengths -= np.float32(RATE) * slopes
    root -= np.float32(RATE) * force[0]
  return np.moveaxis(_walk(lengths, root, directions)[0], 0, 1)


def _walk(lengths, root, directions):
  """Joints [J, T, 3], and of the limbs unit vectors and norms."""
  joints = np.empty((PROMPT2SIGN50.num_joints, *root.shape), np.float32)
  joints[0] = root
  units, norms = [], []
  for limb, (parent, child, bone) in enumerate(PROMPT2SIGN50.limbs):
    square = np.sum(directions[limb] ** 2, -1, keepdims=True)
    norm = np.sqrt(square) + np.float32(1e-10)
    unit = directions[limb] / norm
    joints[child] = joints[parent] + np.exp(lengths[bone]) * unit
    units.append(unit)
    norms.append(norm)
  return joints, units, norms
