"""Relative signing distance (RSD): what is signed, whoever signs and films it.

The parameters of a sign (Stokoe 1960; Battison 1978) are compared: the hand's
shape and orientation, its place, and its movement. Definition:

  Moments. A clip becomes MOMENTS moments, equally far apart in activity: the
  sum over both hands of the wrist's speed, in shoulder widths, and the mean
  speed of the finger joints about the wrist, in palm lengths; both smoothed by
  a Gaussian of SMOOTHING seconds. Rests, which have no activity, have no
  moments.
  Features of a moment and hand, as a camera sees them (x and y): the place of
  the wrist about the middle of the shoulders in shoulder widths; the places of
  the 20 finger joints about the wrist in palm lengths (median over the clip of
  the mean distance from the wrist to the four knuckles); the wrist's velocity
  in shoulder widths per MOVEMENT seconds.
  Cost of two moments: mean over hands of the distances of place and velocity
  and of the mean distance of the finger joints.
  Score: the mean cost of a moment along the cheapest alignment (DTW), divided
  by sqrt(T (W + TOLERANCE)); T is the mean cost of all pairs of a moment of one
  clip and one of the other, W that of all pairs within the clips.

0 is the same signing. A still pose has 1 or more, wherever it stands: an
alignment gains nothing with it (the mean cost along the path is T), and it has
no moments that differ (W is half of the truth's). Unlike a distance in units,
it is not small for a pose in the middle of everything.

Missing joints between two frames that show them are interpolated. A hand or
wrist that the truth never shows does not count; one that only the produced clip
lacks stands at the neck, as a point.
"""

import functools
from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import SIDES, Skeleton
from signllm_jax.losses import dtw

MOMENTS = 64
SMOOTHING = 0.06  # seconds
MOVEMENT = 0.1  # seconds
TOLERANCE = 0.25  # cost: differences within a clip that are as good as none

_RADIUS = 16  # frames of the Gaussian to either side
_PAD = 64  # frames, so that few shapes are compiled
_FEW, _BATCH = 8, 64  # clips or pairs
_KNUCKLES = (5, 9, 13, 17)  # first joints of the four fingers, of a hand


class Moments(NamedTuple):
  """Features of clips, a batch.

  Attributes:
    place: [B, MOMENTS, 2, 2] of the left and the right wrist.
    shape: [B, MOMENTS, 2, 20, 2] of the finger joints.
    velocity: [B, MOMENTS, 2, 2].
    shows_place: [B, 2] bool, whether any frame shows the wrist.
    shows_shape: [B, 2] bool, whether any frame shows the whole hand.
  """

  place: jax.Array | np.ndarray
  shape: jax.Array | np.ndarray
  velocity: jax.Array | np.ndarray
  shows_place: jax.Array | np.ndarray
  shows_shape: jax.Array | np.ndarray

  def take(self, rows: np.ndarray | Sequence[int]) -> "Moments":
    """The clips of these rows."""
    index = np.asarray(rows, int)
    return Moments(*(np.asarray(x)[index] for x in self))


def signing_distance(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Relative signing distance of each pair: [n]; NaN without a true hand."""
  reference = moments(true)
  return of_moments(moments(produced, reference), reference)


def moments(
  listed: Sequence[clips.Clip], true: Moments | None = None
) -> Moments:
  """Features of clips of one skeleton, in order.

  Args:
    listed: clips of at least one frame, in any unit and at any frame rate.
    true: of their references: a hand that these never show has no activity.
  """
  skeleton = listed[0].skeleton
  counts = np.ones((len(listed), 2, 2), np.float32)
  if true is not None:
    counts = np.stack([true.shows_place, true.shows_shape], 1)
  order = np.argsort([len(clip) for clip in listed], kind="stable")
  found = []
  for start in range(0, len(order), _BATCH):
    rows = order[start : start + _BATCH]
    group = [listed[i] for i in rows]
    padded = _padded(group)
    spare = np.zeros((len(padded[0]) - len(group), 2, 2))
    used = np.concatenate([counts[rows], spare]).astype(np.float32)
    made = _features(*padded, used, skeleton)
    found.append([np.asarray(x)[: len(group)] for x in made])
  joined = (np.concatenate(parts) for parts in zip(*found, strict=True))
  return Moments(*joined).take(np.argsort(order))


def of_moments(produced: Moments, true: Moments) -> np.ndarray:
  """Relative signing distance of each pair of clips: [n] float64."""
  n, parts = len(true.place), []
  for start in range(0, n, _BATCH):
    rows = np.minimum(np.arange(start, start + _BATCH), n - 1)
    rows = rows[: _rows(n - start)]
    found = _distances(produced.take(rows), true.take(rows))
    parts.append(np.asarray(found, np.float64)[: n - start])
  return np.concatenate(parts)


def _rows(count: int) -> int:
  """Rows of a batch: one of two sizes."""
  return _FEW if count <= _FEW else _BATCH


def _padded(group: Sequence[clips.Clip]):
  """Frames [B, T, J, 2], valid [B, T, J], lengths [B] and frame rates [B]."""
  longest = -(-max(len(clip) for clip in group) // _PAD) * _PAD
  rows = _rows(len(group))
  joints = group[0].skeleton.num_joints
  frames = np.zeros((rows, longest, joints, 2), np.float32)
  valid = np.zeros((rows, longest, joints), bool)
  length, fps = np.ones(rows, np.int32), np.ones(rows, np.float32)
  for row, clip in enumerate(group):
    length[row], fps[row] = len(clip), clip.fps
    frames[row, : len(clip)] = clip.frames[..., :2]
    valid[row, : len(clip)] = clip.valid
  return frames, valid, length, fps


@functools.partial(jax.jit, static_argnames="skeleton")
def _features(
  frames, valid, length, fps, counts, skeleton: Skeleton
) -> Moments:
  def one(frames, valid, length, fps, counts):
    origin, width = _shoulders(frames, valid, length, skeleton)
    hands = [
      _hand((frames - origin[:, None]) / width, valid, length, skeleton, side)
      for side in SIDES
    ]
    place, shape, shows_place, shows_shape = (
      jnp.stack(parts, min(parts[0].ndim, 1))
      for parts in zip(*hands, strict=True)
    )
    smooth = functools.partial(_smooth, sigma=SMOOTHING * fps)
    velocity = jnp.gradient(smooth(place), axis=0) * fps
    changes = jnp.gradient(smooth(shape), axis=0) * fps
    last = jnp.arange(len(frames)) >= length - 1
    speed = jnp.linalg.norm(velocity, axis=-1) @ counts[0]
    speed += jnp.linalg.norm(changes, axis=-1).mean(-1) @ counts[1]
    steps = jnp.where(last, 0, (speed + jnp.roll(speed, -1)) / 2 + 1e-6)
    done = jnp.concatenate([jnp.zeros(1), jnp.cumsum(steps)[:-1]])
    at = jnp.interp(
      jnp.linspace(0, 1, MOMENTS) * done[length - 1],
      done,
      jnp.minimum(jnp.arange(len(frames)), length - 1).astype(jnp.float32),
    )
    return Moments(
      _at(place, at),
      _at(shape, at),
      _at(velocity * MOVEMENT, at),
      shows_place,
      shows_shape,
    )

  return jax.vmap(one)(frames, valid, length, fps, counts)


def _at(values: jax.Array, times: jax.Array) -> jax.Array:
  """Values [T, ...] at times [N] in frames, interpolated: [N, ...]."""
  before = jnp.clip(times.astype(int), 0, len(values) - 2)
  share = (times - before).reshape(-1, *[1] * (values.ndim - 1))
  return values[before] * (1 - share) + values[before + 1] * share


def _smooth(values: jax.Array, sigma: jax.Array) -> jax.Array:
  """Gaussian over frames [T, ...]; the ends are repeated."""
  offsets = jnp.arange(-_RADIUS, _RADIUS + 1)
  weights = jnp.exp(-((offsets / sigma) ** 2) / 2)
  weights /= weights.sum()
  t = jnp.arange(len(values))

  def add(total, offset_and_weight):
    offset, weight = offset_and_weight
    near = jnp.clip(t + offset, 0, len(values) - 1)
    return total + weight * values[near], None

  start = jnp.zeros_like(values)
  return jax.lax.scan(add, start, (offsets, weights))[0]


def _filled(values: jax.Array, seen: jax.Array) -> jax.Array:
  """Interpolates frames [T, ...] that are not seen [T]; 0 if none is.

  Before the first and after the last frame that is seen, that one is repeated;
  so is the last frame of a clip in its padding.
  """
  t = jnp.arange(len(seen))
  before = jax.lax.cummax(jnp.where(seen, t, -1))
  after = jax.lax.cummin(jnp.where(seen, t, len(seen)), reverse=True)
  before = jnp.where(before < 0, after, before)
  after = jnp.where(after >= len(seen), before, after)
  shape = (-1, *[1] * (values.ndim - 1))
  share = ((t - before) / jnp.maximum(after - before, 1)).reshape(shape)
  first, second = (
    values[jnp.clip(i, 0, len(seen) - 1)] for i in (before, after)
  )
  return jnp.where(seen.any(), first * (1 - share) + second * share, 0)


def _median(values: jax.Array, used: jax.Array, default: float) -> jax.Array:
  """Median of the values [T] in use; a default without any above 0."""
  found = jnp.nanmedian(jnp.where(used, values, jnp.nan))
  return jnp.where(found > 1e-6, found, default)


def _shoulders(frames, valid, length, skeleton: Skeleton):
  """Middle of the shoulders [T, 2], and their median distance."""
  both = list(skeleton.shoulders)
  seen = valid[:, both].all(1)
  right, left = frames[:, both[0]], frames[:, both[1]]
  middle = _filled((right + left) / 2, seen)
  distance = jnp.linalg.norm(right - left, axis=-1)
  return middle, _median(distance, seen, clips.SHOULDER_WIDTH)


def _hand(frames, valid, length, skeleton: Skeleton, side: str):
  """Place [T, 2] and shape [T, 20, 2] of a hand, and whether they are shown."""
  arm, root = skeleton.arm(side)[2], skeleton.hand(side)
  joints = slice(root, root + 21)
  whole = valid[:, joints].all(1)
  wrist = jnp.where(valid[:, arm, None], frames[:, arm], frames[:, root])
  placed = valid[:, arm] | whole
  place = _filled(wrist, placed)
  shape = _filled(frames[:, joints] - frames[:, root, None], whole)
  palm = jnp.linalg.norm(shape[:, _KNUCKLES, :], axis=-1).mean(1)
  size = _median(palm, whole, 1.0)
  return place, shape[:, 1:] / size, placed.any(), whole.any()


def _groups(batch: Moments) -> jax.Array:
  """All points of moments: [G, 2, B, MOMENTS], shapes first."""
  b, n = batch.place.shape[:2]
  points = jnp.concatenate(
    [
      jnp.asarray(x).reshape(b, n, -1, 2)
      for x in (batch.shape, batch.place, batch.velocity)
    ],
    2,
  )
  return points.transpose(2, 3, 0, 1)


@jax.jit
def _distances(produced: Moments, true: Moments) -> jax.Array:
  shape = jnp.repeat(true.shows_shape.astype(jnp.float32), 20, 1) / 20
  place = true.shows_place.astype(jnp.float32)
  weights = jnp.concatenate([shape, place, place], 1).T / 2  # [G, B]
  a, b = _groups(true), _groups(produced)

  def table(x, y):
    def add(total, group):
      one, other, weight = group
      gap = one[:, :, :, None] - other[:, :, None]
      return total + weight[:, None, None] * jnp.sqrt((gap**2).sum(0)), None

    start = jnp.zeros((x.shape[2], MOMENTS, MOMENTS))
    return jax.lax.scan(add, start, (x, y, weights), unroll=4)[0]

  cost = table(a, b)
  ends = jnp.full(len(cost), MOMENTS)
  aligned = dtw.align(cost, ends, ends).total / MOMENTS
  between = cost.mean((1, 2))
  within = (table(a, a).mean((1, 2)) + table(b, b).mean((1, 2))) / 2
  scale = jnp.sqrt(between * (within + TOLERANCE))
  score = jnp.where(between > 0, aligned / jnp.where(scale > 0, scale, 1), 0)
  return jnp.where(weights.sum(0) > 0, score, jnp.nan)
