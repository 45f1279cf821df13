"""Places an initial 3-D skeleton over interpolated keypoints.

Joints are placed from the root down the tree at the lengths of their bones, by
the method of Zelinka and Kanis (WACV 2020). The mode `reference` follows the
arithmetic of the published tool in float32, operation by operation: where a
limb is out of reach, its candidates differ only by rounding, and the choice
moves all its descendants in depth. A compiler that fuses a product with a sum
would choose otherwise, so the code runs in numpy.

Dim letters: T frames, J = 50 joints, N = 49 limbs, K = 25 bones, M limbs at
the same depth of the tree.
"""

import numpy as np

from data_pipeline.keypoints.cleaning import Mode
from signllm_jax.core.skeleton import PROMPT2SIGN50

ROOT_NOISE = 0.001  # largest random offset of the root
MIN_DEPTH = 0.001  # added to z: every limb points away from the camera


def measure_bones(keypoints: np.ndarray, mode: Mode) -> np.ndarray:
  """Measures log bone lengths [K]: the median 2-D length over all frames.

  `fast` excludes limbs with a missing end, which would pull the median to zero
  where a recording lacks a hand.
  """
  ends = (
    keypoints[:, PROMPT2SIGN50.parents] - keypoints[:, PROMPT2SIGN50.children]
  )
  squares = ends[..., 0] * ends[..., 0] + ends[..., 1] * ends[..., 1]  # [T, N]
  counted = np.ones(squares.shape, bool)
  if mode == "fast":
    seen = keypoints[..., 2] > 0
    counted = seen[:, PROMPT2SIGN50.parents] & seen[:, PROMPT2SIGN50.children]
  medians = np.zeros(PROMPT2SIGN50.num_bones)
  for bone in range(PROMPT2SIGN50.num_bones):
    limbs = bone == PROMPT2SIGN50.limb_bones
    of_bone = np.sort(squares[:, limbs][counted[:, limbs]])
    if len(of_bone):
      medians[bone] = np.sqrt(np.float64(of_bone[(len(of_bone) - 1) // 2]))
  return log_lengths(medians)


def log_lengths(lengths: np.ndarray) -> np.ndarray:
  """Logs of bone lengths [K], at least 1e-6."""
  return np.log(np.maximum(lengths, 1e-6)).astype(np.float32)


def _limbs_by_depth() -> list[np.ndarray]:
  """Indices of the limbs at each depth of the tree."""
  depth = {0: 0}
  for parent, child, _ in PROMPT2SIGN50.limbs:
    depth[child] = depth[parent] + 1
  of_limb = np.array([depth[int(child)] for child in PROMPT2SIGN50.children])
  return [np.flatnonzero(of_limb == d) for d in range(1, of_limb.max() + 1)]


_LEVELS = _limbs_by_depth()


def place(
  keypoints: np.ndarray, lengths: np.ndarray, mode: Mode
) -> tuple[np.ndarray, np.ndarray]:
  """Places the joints from the root down the tree.

  Args:
    keypoints: [T, J, 3] interpolated.
    lengths: [K] log bone lengths.
    mode: `reference` chooses among candidates as the published tool does;
      `fast` points straight at the keypoint.

  Returns:
    Joints [T, J, 3] and unit directions [T, N, 3].
  """
  choose = _published_choice if mode == "reference" else _straight_choice
  t = len(keypoints)
  joints = np.zeros((t, PROMPT2SIGN50.num_joints, 3), np.float32)
  joints[:, 0, :2] = keypoints[:, 0, :2]
  joints[:, 0] += root_noise(t)
  directions = np.zeros((t, len(PROMPT2SIGN50.limbs), 3), np.float32)
  lengths = np.exp(lengths.astype(np.float64))[PROMPT2SIGN50.limb_bones]
  for limbs in _LEVELS:
    start = joints[:, PROMPT2SIGN50.parents[limbs]]
    goal = keypoints[:, PROMPT2SIGN50.children[limbs], :2]
    # x and y are float32 up to the end, z is a float64.
    x, y, z = choose(start[..., 0], start[..., 1], goal, lengths[limbs])
    undirected = (x == 0) & (y == 0) & (z == 0)
    x, y, z = (np.where(undirected, 1, axis) for axis in (x, y, z))
    z = np.abs(z) + MIN_DEPTH
    square = x * x + y * y + (z * z).astype(np.float32)
    norm = np.sqrt(square.astype(np.float64)) + 1e-10
    rounded = norm.astype(np.float32)
    units = np.stack([x / rounded, y / rounded, z / norm], -1)
    directions[:, limbs] = units = units.astype(np.float32)
    reach = lengths[limbs].astype(np.float32)[:, None]
    joints[:, PROMPT2SIGN50.children[limbs]] = start + reach * units
  return joints, directions


def _straight_choice(ax, ay, goal, lengths):
  """Points at the goal; the rest of the limb's length goes into depth."""
  x, y = goal[..., 0] - ax, goal[..., 1] - ay
  depth = np.sqrt(np.maximum(lengths**2 - x * x - y * y, 0))
  return x, y, depth


def _published_choice(ax, ay, goal, lengths):
  """The first candidate whose end is nearest to the goal."""
  tx, ty = goal[..., 0], goal[..., 1]
  length = lengths.astype(np.float32)
  best = [np.zeros_like(ax), np.zeros_like(ax), np.zeros(ax.shape)]
  nearest = np.full_like(ax, np.inf)
  with np.errstate(all="ignore"):  # NaN and infinity are never nearest
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
  """Yields candidate directions x, y (float32), z (float64) of limbs [T, M].

  They point straight at the goal in the plane; at the goal with depth, where it
  is within reach; and at the two points at the limb's length on the line
  through both ends.
  """
  dx, dy = tx - ax, ty - ay
  flat = np.zeros(dx.shape)
  yield dx, dy, flat
  depth = (lengths**2).astype(np.float32) - _power(dx, 2) - _power(dy, 2)
  # NaN where out of reach. The mirror image in depth is equivalent.
  yield dx, dy, np.sqrt(depth.astype(np.float64))
  length, two = lengths.astype(np.float32), np.float32(2)
  ax2, ay2, tx2, ty2 = (_power(x, 2) for x in (ax, ay, tx, ty))
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
  """Raises to a power with the rounding of C's powf and numpy's scalars.

  powf is correctly rounded except where the exact value is almost halfway
  between two float32; numpy's arrays round differently elsewhere. So the exact
  value is rounded, and the doubtful elements are computed as scalars.
  """
  exact = x.astype(np.float64) ** exponent
  power = exact.astype(np.float32)
  tail = exact.view(np.int64) & (2**29 - 1)  # the bits beyond float32
  doubtful = np.abs(tail - 2**28) < 2**20
  if doubtful.any():
    power[doubtful] = [value**exponent for value in x[doubtful]]
  return power


def root_noise(frames: int) -> np.ndarray:
  """The published tool's offsets of the root: [T, 3], U(-0.001, 0.001)."""
  random = np.random.RandomState(1234)
  return np.stack(
    [random.uniform(-ROOT_NOISE, ROOT_NOISE, frames) for _ in range(3)], -1
  ).astype(np.float32)
