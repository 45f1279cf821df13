"""A first 3-D skeleton over interpolated keypoints: bones, then joints.

Joint after joint is placed down the tree at its bone's length, by the method of
Zelinka and Kanis (WACV 2020). In `reference` this is the published tool's
arithmetic, operation by operation in float32: where a limb is out of reach, its
candidates tie but for rounding, and the choice moves all that hangs on it in
depth. A compiler that fuses a product with a sum would choose otherwise, so all
of it runs in numpy.

Dim letters: T frames, J = 50 joints, N = 49 limbs, K = 25 bones, M limbs that
are equally many limbs away from the root.
"""

import numpy as np

from data_pipeline.keypoints.cleaning import Mode
from signllm_jax.core import skeleton

ROOT_NOISE = 0.001  # the root is moved by up to this at random
MIN_DEPTH = 0.001  # every limb points away from the camera by this much


def measure_bones(keypoints: np.ndarray, mode: Mode) -> np.ndarray:
  """Log of the median 2-D length of each bone's limbs over all frames: [K].

  `fast` leaves out limbs with an end that was never seen, which would pull the
  median to zero where a hand is missing from a recording.
  """
  ends = keypoints[:, skeleton.PARENTS] - keypoints[:, skeleton.CHILDREN]
  squares = ends[..., 0] * ends[..., 0] + ends[..., 1] * ends[..., 1]  # [T, N]
  counted = np.ones(squares.shape, bool)
  if mode == "fast":
    seen = keypoints[..., 2] > 0
    counted = seen[:, skeleton.PARENTS] & seen[:, skeleton.CHILDREN]
  medians = np.zeros(skeleton.BONES)
  for bone in range(skeleton.BONES):
    limbs = bone == skeleton.LIMB_BONES
    of_bone = np.sort(squares[:, limbs][counted[:, limbs]])
    if len(of_bone):
      medians[bone] = np.sqrt(np.float64(of_bone[(len(of_bone) - 1) // 2]))
  return log_lengths(medians)


def log_lengths(lengths: np.ndarray) -> np.ndarray:
  """Of bones [K]; one without a length gets a very short one."""
  return np.log(np.maximum(lengths, 1e-6)).astype(np.float32)


def _by_depth() -> list[np.ndarray]:
  """Indices of the limbs that are equally many limbs away from the root."""
  depth = {0: 0}
  for parent, child, _ in skeleton.LIMBS:
    depth[child] = depth[parent] + 1
  of_limb = np.array([depth[int(child)] for child in skeleton.CHILDREN])
  return [np.flatnonzero(of_limb == d) for d in range(1, of_limb.max() + 1)]


_LEVELS = _by_depth()


def place(
  keypoints: np.ndarray, lengths: np.ndarray, mode: Mode
) -> tuple[np.ndarray, np.ndarray]:
  """Places joint after joint down the tree at the bones' lengths.

  Args:
    keypoints: [T, J, 3] interpolated.
    lengths: [K] logs of the bones' lengths.
    mode: `reference` chooses as the published tool does, also where
      candidates tie; `fast` takes the straight one there.

  Returns:
    Joints [T, J, 3] and unit directions [T, N, 3].
  """
  choose = _published_choice if mode == "reference" else _straight_choice
  t = len(keypoints)
  joints = np.zeros((t, skeleton.J, 3), np.float32)
  joints[:, 0, :2] = keypoints[:, 0, :2]
  joints[:, 0] += root_noise(t)
  directions = np.zeros((t, len(skeleton.LIMBS), 3), np.float32)
  lengths = np.exp(lengths.astype(np.float64))[skeleton.LIMB_BONES]
  for limbs in _LEVELS:
    start = joints[:, skeleton.PARENTS[limbs]]
    goal = keypoints[:, skeleton.CHILDREN[limbs], :2]
    # x and y are float32 up to the end, z is a float64.
    x, y, z = choose(start[..., 0], start[..., 1], goal, lengths[limbs])
    nowhere = (x == 0) & (y == 0) & (z == 0)
    x, y, z = (np.where(nowhere, 1, axis) for axis in (x, y, z))
    z = np.abs(z) + MIN_DEPTH
    square = x * x + y * y + (z * z).astype(np.float32)
    norm = np.sqrt(square.astype(np.float64)) + 1e-10
    rounded = norm.astype(np.float32)
    units = np.stack([x / rounded, y / rounded, z / norm], -1)
    directions[:, limbs] = units = units.astype(np.float32)
    reach = lengths[limbs].astype(np.float32)[:, None]
    joints[:, skeleton.CHILDREN[limbs]] = start + reach * units
  return joints, directions


def _straight_choice(ax, ay, goal, lengths):
  """At the goal, in depth as far as the limb is longer than the way there."""
  x, y = goal[..., 0] - ax, goal[..., 1] - ay
  depth = np.sqrt(np.maximum(lengths**2 - x * x - y * y, 0))
  return x, y, depth


def _published_choice(ax, ay, goal, lengths):
  """Of all candidates the first whose end lies nearest to the goal."""
  tx, ty = goal[..., 0], goal[..., 1]
  length = lengths.astype(np.float32)
  best = [np.zeros_like(ax), np.zeros_like(ax), np.zeros(ax.shape)]
  nearest = np.full_like(ax, np.inf)
  with np.errstate(all="ignore"):  # what is not finite is never nearest
    for candidate in _candidates(ax, ay, tx, ty, lengths):
      x, y, z = candidate
      square = x * x + y * y + (z * z).astype(np.float32)
      norm = (np.sqrt(square.astype(np.float64)) + 1e-10).astype(np.float32)
      miss = _power(ax + length * x / norm - tx, 2)
      miss += _power(ay + length * y / norm - ty, 2)
      nearer = miss < nearest
      nearest = np.where(nearer, miss, nearest)
      best = [
        np.where(nearer, new, old)
        for new, old in zip(candidate, best, strict=True)
      ]
  return best


def _candidates(ax, ay, tx, ty, lengths):
  """Directions x, y (float32), z (float64) that limbs [T, M] could have.

  Straight at the goal; over it, where it is within reach; and, by the equation
  of the line through both, the two points at the limb's length in the plane.
  """
  dx, dy = tx - ax, ty - ay
  flat = np.zeros(dx.shape)
  yield dx, dy, flat
  depth = (lengths**2).astype(np.float32) - _power(dx, 2) - _power(dy, 2)
  # NaN where out of reach. Its mirror image ties, and would be turned into it.
  yield dx, dy, np.sqrt(depth.astype(np.float64))
  length, two = lengths.astype(np.float32), np.float32(2)
  ax2, ay2, tx2, ty2 = (_power(each, 2) for each in (ax, ay, tx, ty))
  square = ax2 - two * ax * tx + ay2 - two * ay * ty + tx2 + ty2
  inverse, cube = _power(1 / square, 0.5), _power(ay, 3)
  ends = []
  for away in (length, -length):
    y = cube / square + away * ay * inverse - away * ty * inverse
    y = y + ax2 * ay / square + ay * tx2 / square + ay * ty2 / square
    y = y - two * ay2 * ty / square - two * ax * ay * tx / square
    x = -(ax * ty - ay * tx - ax * y + tx * y) / (ay - ty)
    ends.append((x, y))
  both = np.isfinite(ends).all((0, 1))
  for x, y in ends:
    yield np.where(both, x - ax, np.nan), np.where(both, y - ay, np.nan), flat


def _power(x: np.ndarray, exponent: float) -> np.ndarray:
  """Raises to a power as C's powf gives it, as numpy's scalars do.

  It errs only where the exact value is all but in the middle between two
  float32; numpy's arrays err elsewhere. So: right everywhere but there.
  """
  exact = x.astype(np.float64) ** exponent
  power = exact.astype(np.float32)
  tail = exact.view(np.int64) & (2**29 - 1)  # the bits that float32 has not
  doubtful = np.abs(tail - 2**28) < 2**20
  if doubtful.any():
    power[doubtful] = [each**exponent for each in x[doubtful]]
  return power


def root_noise(frames: int) -> np.ndarray:
  """The published tool's offsets of the root: [T, 3], U(-0.001, 0.001)."""
  random = np.random.RandomState(1234)
  return np.stack(
    [random.uniform(-ROOT_NOISE, ROOT_NOISE, frames) for _ in range(3)], -1
  ).astype(np.float32)
