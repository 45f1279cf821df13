"""2-D keypoints to a 3-D skeleton, whole batches in one jitted call.

The method of Zelinka and Kanis (WACV 2020), formula 3 of SignLLM: every clip
gets one length a bone, and directions and a root a frame, that minimise
  J = 1/(50 T) sum w |P_xy - X|^2 + 0.001 sum_k exp(l_k)
      + 0.1/(50 (T-1)) sum |P_t - P_{t+1}|^2.
Two modes. `reference` follows the published tool: plain gradient descent, bone
lengths from all limbs. `fast` starts from limbs that were seen and descends
with Adam: a lower J in a fifth of the cycles.

Dim letters: T frames, J = 50 joints, N = 49 limbs, K = 25 bones.
"""

import dataclasses
import functools
from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax import errors, skeleton

Mode = Literal["fast", "reference"]

BUCKET = 64  # clips are padded to a multiple of this many frames
MIN_BODY_CONFIDENCE = 0.3  # a frame below it is pruned
WINDOW_WEIGHT = 0.99  # confidence an interpolation window must hold
LENGTH_WEIGHT, MOTION_WEIGHT = 0.001, 0.1  # the two regularisers of J
CYCLES = {"fast": 200, "reference": 1000}
RATES = {"fast": 0.01, "reference": 0.1}
EPSILON = 1e-10

_ANCESTORS = skeleton.ancestors()  # [J, N]


@dataclasses.dataclass(frozen=True)
class Lifted:
  """A lifted clip.

  Attributes:
    frames: [T, J, 3] float32 in the unit and place of the keypoints.
    valid: [T, J] bool, where a keypoint had confidence.
    bone_lengths: [K] float32, in the unit of the keypoints.
    objective: J of the normalised clip before and after the descent.
  """

  frames: np.ndarray
  valid: np.ndarray
  bone_lengths: np.ndarray
  objective: tuple[float, float]


class Stages(NamedTuple):
  """The stages before the descent, padded to [T, J, 3], and its bones [K]."""

  normalised: jax.Array
  pruned: jax.Array
  interpolated: jax.Array
  initial: jax.Array
  log_lengths: jax.Array
  centre: jax.Array  # [2]
  scale: jax.Array  # []


class _Parameters(NamedTuple):
  lengths: jax.Array  # [K] log bone lengths
  root: jax.Array  # [T, 3]
  directions: jax.Array  # [T, N, 3]


def normalise(
  keypoints: jax.Array, real: jax.Array
) -> tuple[jax.Array, jax.Array, jax.Array]:
  """Removes each axis' mean and the joint scale of both.

  Args:
    keypoints: [T, J, 3] x, y, confidence.
    real: [T] bool, False on padding.

  Returns:
    Normalised keypoints, the centre [2] and the scale [].
  """
  xy, weight = keypoints[..., :2], keypoints[..., 2:]
  count = jnp.sum(real) * skeleton.J
  mask = real[:, None, None]
  centre = jnp.sum(xy * mask, (0, 1)) / count
  pooled = jnp.mean(centre)
  variance = jnp.sum((xy - pooled) ** 2 * mask) / (2 * count)
  scale = jnp.maximum(jnp.sqrt(variance), EPSILON)
  xy = (xy - centre) / scale * mask
  return jnp.concatenate([xy, weight * mask], -1), centre, scale


def prune(keypoints: jax.Array) -> jax.Array:
  """Zeroes frames whose mean confidence over the body's 8 joints is low."""
  body = jnp.mean(keypoints[:, :8, 2], -1)
  return keypoints * (body >= MIN_BODY_CONFIDENCE)[:, None, None]


def interpolate(keypoints: jax.Array, length: jax.Array) -> jax.Array:
  """Confidence-weighted mean over the smallest sufficient window.

  The window around each frame widens by one on both sides until it holds
  `WINDOW_WEIGHT` of confidence or the whole clip; confidences stay.

  Args:
    keypoints: [T, J, 3].
    length: [] number of real frames.
  """
  t = keypoints.shape[0]
  xy, weight = keypoints[..., :2], keypoints[..., 2]

  def widen(carry):
    radius, total, weighted = carry
    grow = total < WINDOW_WEIGHT
    for shift in (-radius, radius):
      at = jnp.arange(t) + shift
      inside = (at >= 0) & (at < length)
      w = jnp.where(inside[:, None] & grow, weight[at % t], 0)
      total = total + w
      weighted = weighted + w[..., None] * xy[at % t]
    return radius + 1, total, weighted

  start = (jnp.int32(1), weight, weight[..., None] * xy)
  _, total, weighted = jax.lax.while_loop(
    lambda carry: (carry[0] < length) & jnp.any(carry[1] < WINDOW_WEIGHT),
    widen,
    start,
  )
  mean = weighted / jnp.maximum(total, EPSILON)[..., None]
  xy = jnp.where((total > 0)[..., None], mean, xy)
  return jnp.concatenate([xy, weight[..., None]], -1)


def initial_lengths(
  keypoints: jax.Array, real: jax.Array, mode: Mode
) -> jax.Array:
  """Log of the median 2-D length of each bone's limbs over all frames: [K].

  `fast` leaves out limbs with an end that was never seen, which would pull the
  median to zero where a hand is missing from a recording.
  """
  ends = keypoints[:, skeleton.CHILDREN] - keypoints[:, skeleton.PARENTS]
  lengths = jnp.sqrt(jnp.sum(ends[..., :2] ** 2, -1))  # [T, N]
  counted = jnp.broadcast_to(real[:, None], lengths.shape)
  if mode == "fast":
    weight = keypoints[..., 2]
    seen = jnp.minimum(
      weight[:, skeleton.CHILDREN], weight[:, skeleton.PARENTS]
    )
    counted &= seen > 0
  medians = []
  for bone in range(skeleton.BONES):
    limbs = np.flatnonzero(bone == skeleton.LIMB_BONES)
    mask = counted[:, limbs].ravel()
    ordered = jnp.sort(jnp.where(mask, lengths[:, limbs].ravel(), jnp.inf))
    middle = (jnp.sum(mask) - 1) // 2
    medians.append(jnp.where(jnp.any(mask), ordered[middle], 0))
  return jnp.log(jnp.maximum(jnp.stack(medians), 1e-6))


def initialise(
  keypoints: jax.Array, log_lengths: jax.Array, noise: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Places joint after joint down the tree at the bones' lengths.

  Args:
    keypoints: [T, J, 3] interpolated.
    log_lengths: [K].
    noise: [T, 3] offset of the root.

  Returns:
    Joints [T, J, 3] and unit directions [T, N, 3].
  """
  t = keypoints.shape[0]
  root = jnp.pad(keypoints[:, 0, :2], ((0, 0), (0, 1))) + noise
  joints = jnp.zeros((t, skeleton.J, 3)).at[:, 0].set(root)

  def place(joints, limb):
    parent, child, bone = limb
    length = jnp.exp(log_lengths[bone])
    start = joints[:, parent]
    target = keypoints[:, child, :2]
    delta = target - start[:, :2]  # [T, 2]
    flat = jnp.sqrt(jnp.sum(delta**2, -1))  # [T]
    depth = jnp.sqrt(length**2 - flat**2)  # NaN where out of reach
    zero = jnp.zeros_like(flat)
    along = delta * (length / flat)[:, None]
    candidates = jnp.stack(
      [
        jnp.stack([delta[:, 0], delta[:, 1], zero], -1),
        jnp.stack([delta[:, 0], delta[:, 1], depth], -1),
        jnp.stack([delta[:, 0], delta[:, 1], -depth], -1),
        jnp.stack([along[:, 0], along[:, 1], zero], -1),
        jnp.stack([-along[:, 0], -along[:, 1], zero], -1),
      ],
      1,
    )  # [T, 5, 3]
    norm = jnp.sqrt(jnp.sum(candidates**2, -1, keepdims=True))
    unit = candidates / norm
    miss = jnp.sum((unit[..., :2] * length - delta[:, None]) ** 2, -1)
    best = jnp.argmin(jnp.where(jnp.isfinite(miss), miss, jnp.inf), 1)
    unit = jnp.take_along_axis(candidates, best[:, None, None], 1)[:, 0]
    unit = jnp.where(jnp.isfinite(unit), unit, 0)
    unit = jnp.where(jnp.all(unit == 0, -1, keepdims=True), 1, unit)
    unit = unit.at[:, 2].set(jnp.abs(unit[:, 2]) + 0.001)
    unit = unit / jnp.sqrt(jnp.sum(unit**2, -1, keepdims=True))
    return joints.at[:, child].set(start + length * unit), unit

  limbs = jnp.asarray(np.array(skeleton.LIMBS, np.int32))
  joints, directions = jax.lax.scan(place, joints, limbs)
  return joints, jnp.swapaxes(directions, 0, 1)


def forward(parameters: _Parameters) -> jax.Array:
  """Joints [T, J, 3] of log lengths, root and directions, by one product."""
  d = parameters.directions
  norm = jnp.sqrt(jnp.sum(d**2, -1, keepdims=True)) + EPSILON
  lengths = jnp.exp(parameters.lengths)[skeleton.LIMB_BONES]
  limbs = d / norm * lengths[:, None]  # [T, N, 3]
  return parameters.root[:, None] + jnp.einsum("jn,tnc->tjc", _ANCESTORS, limbs)


def objective(
  parameters: _Parameters, keypoints: jax.Array, length: jax.Array
) -> jax.Array:
  """J of a padded clip (SignLLM formula 3)."""
  joints = forward(parameters)
  real = jnp.arange(keypoints.shape[0]) < length
  weight = jnp.where(real[:, None], keypoints[..., 2], 0)
  gap = jnp.sum((joints[..., :2] - keypoints[..., :2]) ** 2, -1)
  fit = jnp.sum(weight * gap) / (skeleton.J * length)
  step = jnp.sum((joints[1:] - joints[:-1]) ** 2, (1, 2)) * real[1:]
  motion = jnp.sum(step) / (skeleton.J * jnp.maximum(length - 1, 1))
  bones = jnp.sum(jnp.exp(parameters.lengths))
  return fit + LENGTH_WEIGHT * bones + MOTION_WEIGHT * motion


def _descend(start, keypoints, length, mode: Mode, fixed_lengths: bool):
  """Minimises J; Adam in `fast`, plain descent in `reference`."""
  gradient = jax.grad(objective)
  rate = RATES[mode]

  def cycle(i, carry):
    parameters, first, second = carry
    g = gradient(parameters, keypoints, length)
    if fixed_lengths:
      g = g._replace(lengths=jnp.zeros_like(g.lengths))
    if mode == "reference":
      step = jax.tree.map(lambda x: rate * x, g)
    else:
      first = jax.tree.map(lambda m, x: 0.9 * m + 0.1 * x, first, g)
      second = jax.tree.map(lambda v, x: 0.99 * v + 0.01 * x * x, second, g)
      n = i + 1.0
      # The rate falls linearly to a tenth: the end point stops circling.
      now = rate * (1 - 0.9 * i / CYCLES[mode])
      step = jax.tree.map(
        lambda m, v: (
          now * (m / (1 - 0.9**n)) / (jnp.sqrt(v / (1 - 0.99**n)) + 1e-8)
        ),
        first,
        second,
      )
    return jax.tree.map(jnp.subtract, parameters, step), first, second

  zeros = jax.tree.map(jnp.zeros_like, start)
  return jax.lax.fori_loop(0, CYCLES[mode], cycle, (start, zeros, zeros))[0]


def stages(keypoints, length, noise, lengths, mode: Mode):
  """All stages before the descent; `lengths` [K] or None to measure them."""
  real = jnp.arange(keypoints.shape[0]) < length
  normalised, centre, scale = normalise(keypoints, real)
  pruned = prune(normalised)
  interpolated = interpolate(pruned, length)
  if lengths is None:
    log_lengths = initial_lengths(interpolated, real, mode)
  else:
    log_lengths = jnp.log(jnp.maximum(lengths / scale, 1e-6))
  initial, directions = initialise(interpolated, log_lengths, noise)
  out = Stages(
    normalised, pruned, interpolated, initial, log_lengths, centre, scale
  )
  return out, directions


@functools.partial(jax.jit, static_argnames="mode")
def _lift_batch(keypoints, length, noise, lengths, mode: Mode):
  """[B, T, J, 3] -> frames, bone lengths [B, K], objectives [B, 2]."""

  def one(clip):
    x, n, start_noise = clip
    before, directions = stages(x, n, start_noise, lengths, mode)
    start = _Parameters(before.log_lengths, before.initial[:, 0], directions)
    end = _descend(start, before.interpolated, n, mode, lengths is not None)
    scores = [objective(p, before.interpolated, n) for p in (start, end)]
    # Leave the normalised unit; the root's depth has no place of its own.
    centre = jnp.append(before.centre, 0)
    frames = forward(end) * before.scale + centre
    return frames, jnp.exp(end.lengths) * before.scale, jnp.stack(scores)

  # On CPU one clip after another beats vmap: each fits the cache.
  return jax.lax.map(one, (keypoints, length, noise))


def root_noise(frames: int) -> np.ndarray:
  """The published tool's offsets of the root: [T, 3], U(-0.001, 0.001)."""
  random = np.random.RandomState(1234)
  return np.stack(
    [random.uniform(-0.001, 0.001, frames) for _ in range(3)], -1
  ).astype(np.float32)


def _buckets(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
  """Indices grouped by padded length, at most `batch` at a time."""
  groups: dict[int, list[int]] = {}
  for index, length in enumerate(lengths):
    groups.setdefault(-(-length // BUCKET), []).append(index)
  for _, group in sorted(groups.items()):
    for start in range(0, len(group), batch):
      yield group[start : start + batch]


def lift(
  clips: Sequence[np.ndarray],
  *,
  mode: Mode = "fast",
  bone_lengths: np.ndarray | None = None,
  batch: int = 32,
) -> list[Lifted]:
  """Lifts clips of unequal length.

  Args:
    clips: arrays [T, J, 3] of x, y, confidence in [0, 1]; T >= 1.
    mode: `fast` or `reference`.
    bone_lengths: [K] known lengths in the keypoints' unit (one signer in many
      clips); measured in each clip and refined if not given.
    batch: clips a compiled call.

  Returns:
    One `Lifted` a clip, in order. Deterministic.

  Raises:
    DataError: a clip of another shape, empty or not finite.
  """
  for index, clip in enumerate(clips):
    if clip.ndim != 3 or clip.shape[1:] != (skeleton.J, 3) or not len(clip):
      raise errors.DataError(
        f"clip {index} has keypoints of shape {clip.shape}",
        expected=f"(T >= 1, {skeleton.J}, 3)",
      )
    if not np.isfinite(clip).all():
      frame = int(np.flatnonzero(~np.isfinite(clip).all((1, 2)))[0])
      raise errors.DataError(f"clip {index} is not finite", frame=frame + 1)
  if bone_lengths is not None:
    bone_lengths = np.asarray(bone_lengths, np.float32)
  results: list[Lifted | None] = [None] * len(clips)
  for group in _buckets([len(clip) for clip in clips], batch):
    longest = max(len(clips[i]) for i in group)
    t = -(-longest // BUCKET) * BUCKET
    # A group is filled up to the full batch so that shapes stay few.
    rows = min(batch, 1 << (len(group) - 1).bit_length())
    padded = np.zeros((rows, t, skeleton.J, 3), np.float32)
    noise = np.zeros((rows, t, 3), np.float32)
    length = np.ones(rows, np.int32)
    for row, index in enumerate(group):
      length[row] = len(clips[index])
      padded[row, : length[row]] = clips[index]
      noise[row, : length[row]] = root_noise(length[row])
    frames, bones, scores = jax.device_get(
      _lift_batch(padded, length, noise, bone_lengths, mode)
    )
    for row, index in enumerate(group):
      results[index] = Lifted(
        frames=frames[row, : length[row]],
        valid=clips[index][..., 2] > 0,
        bone_lengths=bones[row],
        objective=(float(scores[row, 0]), float(scores[row, 1])),
      )
  return [result for result in results if result is not None]
