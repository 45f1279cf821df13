"""2-D keypoints cleaned, and a first 3-D skeleton placed over them.

The stages before the descent of `lift.py`, by the method of Zelinka and Kanis
(WACV 2020). Everything here is traced by JAX and works on one padded clip.

Dim letters: T frames, J = 50 joints, N = 49 limbs, K = 25 bones.
"""

from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax import skeleton

Mode = Literal["fast", "reference"]

MIN_BODY_CONFIDENCE = 0.3  # a frame below it is pruned
WINDOW_WEIGHT = 0.99  # confidence an interpolation window must hold
_EPSILON = 1e-10

# The limbs of each bone, left and right; -1 where there is one only: [K, 2].
_LIMBS_OF_BONES = np.array(
  [
    (*np.flatnonzero(bone == skeleton.LIMB_BONES), -1)[:2]
    for bone in range(skeleton.BONES)
  ],
  np.int32,
)


class Stages(NamedTuple):
  """The stages before the descent, padded to [T, J, 3], and its bones [K]."""

  normalised: jax.Array
  pruned: jax.Array
  interpolated: jax.Array
  initial: jax.Array
  log_lengths: jax.Array
  centre: jax.Array  # [2]
  scale: jax.Array  # []


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
  scale = jnp.maximum(jnp.sqrt(variance), _EPSILON)
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
  mean = weighted / jnp.maximum(total, _EPSILON)[..., None]
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
  limbs = jnp.asarray(_LIMBS_OF_BONES)  # [K, 2]
  t = len(lengths)
  counted = (counted[:, limbs] & (limbs >= 0)).transpose(1, 0, 2)
  lengths = lengths[:, limbs].transpose(1, 0, 2)
  counted = counted.reshape(skeleton.BONES, 2 * t)
  lengths = lengths.reshape(skeleton.BONES, 2 * t)
  ordered = jnp.sort(jnp.where(counted, lengths, jnp.inf), 1)
  middle = jnp.maximum((jnp.sum(counted, 1) - 1) // 2, 0)
  medians = jnp.take_along_axis(ordered, middle[:, None], 1)[:, 0]
  medians = jnp.where(jnp.any(counted, 1), medians, 0)
  return jnp.log(jnp.maximum(medians, 1e-6))


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


def root_noise(frames: int) -> np.ndarray:
  """The published tool's offsets of the root: [T, 3], U(-0.001, 0.001)."""
  random = np.random.RandomState(1234)
  return np.stack(
    [random.uniform(-0.001, 0.001, frames) for _ in range(3)], -1
  ).astype(np.float32)
