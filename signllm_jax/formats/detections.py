"""Detections of people: validation, cleaning, selection of the signer.

Dim letters: M detections (one person in one frame), T frames, J joints.
"""

import numpy as np

from signllm_jax.core import limits
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton

# Joints that keep their place while the arms move.
_TRUNK = ("nose", "neck", "right_shoulder", "left_shoulder")
# Distance, in widths of the trunk, that a person may move since last seen: two
# people side by side are more than one width apart.
_NEAR, _NEAR_PER_FRAME, _MAX_GAP = 0.5, 0.05, 50
_MAX_TRACKS = 200  # people tracked at a time


def first_invalid(
  values: np.ndarray, skeleton: Skeleton = PROMPT2SIGN50
) -> tuple[int, str] | None:
  """Finds the first invalid detection; returns its index and the problem.

  Args:
    values: [M, J, 3] x, y, confidence.
    skeleton: of the joints.
  """
  confidence = values[..., 2]
  # NaN compares as False, so it is caught as well.
  ok = (np.abs(values[..., :2]) <= limits.MAX_PIXEL).all(-1) | (confidence == 0)
  ok &= (confidence >= 0) & (confidence <= limits.MAX_PIXEL)
  if ok.all():
    return None
  index, joint = np.unravel_index(np.argmin(ok), ok.shape)
  x, y, c = values[index, joint].tolist()
  name = skeleton.joints[joint]
  return int(index), f"{name} at ({x:g}, {y:g}) with confidence {c:g}"


def clean(values: np.ndarray) -> np.ndarray:
  """Clips confidences to 1 and clears joints without; [..., J, 3] float32."""
  values = np.where(values[..., 2:3] > 0, values, 0).astype(np.float32)
  np.minimum(values[..., 2], 1, out=values[..., 2])
  values[values[..., 2] == 0] = 0  # in float32, where 1e-50 is 0
  return values


def select_signer(
  values: np.ndarray,
  frame: np.ndarray,
  t: int,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> np.ndarray:
  """The signer [T, J, N] in each frame; zeros where not detected.

  If no frame shows two people, all detections are the signer's. Otherwise every
  person is tracked through the clip by nose, neck and shoulders, in any order
  within a frame. The signer has the largest sum of confidence times size.

  Args:
    values: [M, J, N] float32 clean detections: x, y, confidence, and further
      numbers that go with them.
    frame: [M] the frame of each, ascending.
    t: frames of the clip.
    skeleton: of the joints.
  """
  frames = np.zeros((t, *values.shape[1:]), np.float32)
  if len(values) and np.bincount(frame).max() > 1:
    trunk = [j for j in map(skeleton.find, _TRUNK) if j is not None]
    signer = _detections_of_signer(values[..., :3], frame, trunk)
    values, frame = values[signer], frame[signer]
  frames[frame] = values
  return frames


class _Tracks:
  """The K people tracked so far."""

  def __init__(self, joints: int):
    self.trunk = np.zeros((0, joints, 3))  # as last seen
    self.width = np.zeros(0)  # [K] largest extent of the trunk, pixels
    self.last = np.zeros(0, np.int64)  # [K] frame
    self.weight = np.zeros(0)  # [K] confidence times size, summed
    self.members: list[list[int]] = []  # detections of each

  def match(self, trunks, quality, now: int) -> list[tuple[int, int]]:
    """Matches people to detections [F], nearest first, each at most once."""
    known = np.argsort(-self.weight, kind="stable")[:_MAX_TRACKS]
    old = self.trunk[known][:, None]  # [K, 1, 4, 3]
    both = (old[..., 2] > 0) & (trunks[..., 2] > 0)  # [K, F, 4]
    step = np.linalg.norm(old[..., :2] - trunks[..., :2], axis=-1)
    count = np.maximum(both.sum(-1), 1)
    distance = (step * both).sum(-1) / count / self.width[known][:, None]
    gap = np.minimum(now - self.last[known], _MAX_GAP)[:, None]
    near = both.any(-1) & (distance <= _NEAR + _NEAR_PER_FRAME * gap)
    # A detector may detect one person twice, the second time incompletely.
    cost = distance - quality
    k, f = np.nonzero(near)
    order = np.argsort(cost[k, f], kind="stable")
    pairs: dict[int, int] = {}
    taken = set()
    for person, detection in zip(known[k[order]], f[order], strict=True):
      if person not in pairs and detection not in taken:
        pairs[int(person)] = int(detection)
        taken.add(detection)
    return list(pairs.items())

  def grow(self, count: int) -> None:
    """Adds people without detections."""
    self.trunk = np.pad(self.trunk, ((0, count), (0, 0), (0, 0)))
    self.width = np.pad(self.width, (0, count), constant_values=1)
    self.last = np.pad(self.last, (0, count))
    self.weight = np.pad(self.weight, (0, count))
    self.members += [[] for _ in range(count)]


def _detections_of_signer(
  values: np.ndarray, frame: np.ndarray, trunk: list[int]
) -> np.ndarray:
  """Indices of the signer's detections."""
  trunks = values[:, trunk].astype(np.float64)  # [M, 4, 3]
  seen = trunks[..., 2:] > 0
  usable = np.flatnonzero(seen.any((1, 2)))
  high = np.where(seen, trunks[..., :2], -np.inf).max(1)[usable]
  low = np.where(seen, trunks[..., :2], np.inf).min(1)[usable]
  width = np.zeros(len(values))
  width[usable] = np.linalg.norm(high - low, axis=-1)
  quality = values[..., 2].mean(1)  # [M]
  tracks = _Tracks(len(trunk))
  ends = np.flatnonzero(np.diff(frame[usable])) + 1
  for present in np.split(usable, ends):
    now = int(frame[present[0]])
    pairs = tracks.match(trunks[present], quality[present], now)
    new = sorted(set(range(len(present))) - {f for _, f in pairs})
    pairs += [(len(tracks.members) + i, f) for i, f in enumerate(new)]
    tracks.grow(len(new))
    for k, f in pairs:
      m = int(present[f])
      tracks.trunk[k] = np.where(seen[m], trunks[m], tracks.trunk[k])
      tracks.width[k] = max(tracks.width[k], width[m])
      tracks.last[k] = now
      tracks.weight[k] += quality[m] * width[m]
      tracks.members[k].append(m)
  return np.array(tracks.members[int(np.argmax(tracks.weight))], np.int64)
