"""2-D keypoints to a 3-D skeleton, whole batches in one jitted call.

The method of Zelinka and Kanis (WACV 2020), formula 3 of SignLLM: every clip
gets one length a bone, and directions and a root a frame, that minimise
  J = 1/(50 T) sum w |P_xy - X|^2 + 0.001 sum_k exp(l_k)
      + 0.1/(50 (T-1)) sum |P_t - P_{t+1}|^2.
Two modes. `reference` follows the published tool: plain gradient descent, bone
lengths from all limbs. `fast` starts from limbs that were seen and descends
with Adam: a lower J in a tenth of the cycles.

Dim letters: B clips, T frames, J = 50 joints, N = 49 limbs, K = 25 bones. The
descent has time last: the sum down the tree is then one product over 3 T
columns, and a cycle takes a quarter of the time.
"""

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline import keypoints
from data_pipeline.keypoints import Mode
from signllm_jax import errors, skeleton

BUCKET = 32  # clips are padded to a multiple of this many frames
LENGTH_WEIGHT, MOTION_WEIGHT = 0.001, 0.1  # the two regularisers of J
CYCLES = {"fast": 100, "reference": 1000}
RATES = {"fast": 0.01, "reference": 0.1}
EPSILON = 1e-10

_ANCESTORS = skeleton.ancestors()  # [J, N]
_BONE_LIMBS = np.equal.outer(range(skeleton.BONES), skeleton.LIMB_BONES).astype(
  np.float32
)  # [K, N], 1 where the limb has the bone's length


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


class Parameters(NamedTuple):
  """What the descent moves."""

  lengths: jax.Array  # [K] log bone lengths
  root: jax.Array  # [3, T]
  directions: jax.Array  # [N, 3, T]


class Target(NamedTuple):
  """What a clip pulls towards; weights hold J's constant factors."""

  xy: jax.Array  # [J, 2, T]
  weight: jax.Array  # [J, 1, T], 0 on padding
  motion: jax.Array  # [T - 1] of the step from each frame to the next


def target(clip: jax.Array, length: jax.Array) -> Target:
  """Of interpolated keypoints [T, J, 3], the first `length` frames real."""
  seen = jnp.transpose(clip, (1, 2, 0))  # [J, 3, T]
  real = jnp.arange(len(clip)) < length
  return Target(
    xy=seen[:, :2],
    weight=jnp.where(real, seen[:, 2:], 0) / (skeleton.J * length),
    motion=jnp.where(real[1:], MOTION_WEIGHT, 0)
    / (skeleton.J * jnp.maximum(length - 1, 1)),
  )


def _units(directions: jax.Array) -> tuple[jax.Array, jax.Array]:
  norm = jnp.sqrt(jnp.sum(directions**2, 1, keepdims=True)) + EPSILON
  return directions / norm, norm


def _product(matrix: np.ndarray, columns: jax.Array) -> jax.Array:
  """[M, N] times [N, 3, T] as one matrix product, in full float32."""
  flat = columns.reshape(len(columns), -1)
  product = jnp.matmul(matrix, flat, precision=jax.lax.Precision.HIGHEST)
  return product.reshape(-1, *columns.shape[1:])


def forward(parameters: Parameters) -> jax.Array:
  """Joints [J, 3, T] of log lengths, root and directions."""
  units, _ = _units(parameters.directions)
  lengths = jnp.exp(parameters.lengths)[skeleton.LIMB_BONES]
  return parameters.root + _product(_ANCESTORS, units * lengths[:, None, None])


def objective(parameters: Parameters, target: Target) -> jax.Array:
  """J of a padded clip (SignLLM formula 3)."""
  joints = forward(parameters)
  fit = jnp.sum(target.weight * (joints[:, :2] - target.xy) ** 2)
  bones = LENGTH_WEIGHT * jnp.sum(jnp.exp(parameters.lengths))
  motion = jnp.sum(target.motion * jnp.diff(joints) ** 2)
  return fit + bones + motion


def gradient(parameters: Parameters, target: Target) -> Parameters:
  """Of J. By hand: half the time of what `jax.grad` makes of `objective`."""
  units, norm = _units(parameters.directions)
  bones = jnp.exp(parameters.lengths)  # [K]
  lengths = bones[skeleton.LIMB_BONES][:, None, None]
  joints = parameters.root + _product(_ANCESTORS, units * lengths)
  pull = 2 * target.weight * (joints[:, :2] - target.xy)
  drag = 2 * target.motion * jnp.diff(joints)
  force = (
    jnp.pad(pull, ((0, 0), (0, 1), (0, 0)))
    + jnp.pad(drag, ((0, 0), (0, 0), (1, 0)))
    - jnp.pad(drag, ((0, 0), (0, 0), (0, 1)))
  )  # on joints
  limbs = _product(_ANCESTORS.T, force)
  along = jnp.sum(units * limbs, 1, keepdims=True)  # [N, 1, T]
  return Parameters(
    lengths=bones * (_BONE_LIMBS @ jnp.sum(along, (1, 2)) + LENGTH_WEIGHT),
    root=jnp.sum(force, 0),
    directions=lengths / norm * (limbs - along * units),
  )


def _descend(
  start: Parameters, target: Target, mode: Mode, fixed_lengths: bool
) -> Parameters:
  """Minimises J; Adam in `fast`, plain descent in `reference`."""
  rate = RATES[mode]

  def cycle(i, carry):
    parameters, first, second = carry
    g = gradient(parameters, target)
    if fixed_lengths:
      g = g._replace(lengths=jnp.zeros_like(g.lengths))
    if mode == "reference":
      step = jax.tree.map(lambda x: rate * x, g)
    else:
      first = jax.tree.map(lambda m, x: 0.9 * m + 0.1 * x, first, g)
      second = jax.tree.map(lambda v, x: 0.99 * v + 0.01 * x * x, second, g)
      n = i + 1.0
      # The rate falls linearly to a tenth: the end point stops circling.
      now = rate * (1 - 0.9 * i / CYCLES[mode]) / (1 - 0.9**n)
      scale = 1 / (1 - 0.99**n)
      step = jax.tree.map(
        lambda m, v: now * m / (jnp.sqrt(v * scale) + 1e-8), first, second
      )
    return jax.tree.map(jnp.subtract, parameters, step), first, second

  zeros = jax.tree.map(jnp.zeros_like, start)
  return jax.lax.fori_loop(0, CYCLES[mode], cycle, (start, zeros, zeros))[0]


def _lift_one(clip, length, noise, lengths, mode: Mode):
  before, directions = keypoints.stages(clip, length, noise, lengths, mode)
  start = Parameters(
    before.log_lengths,
    before.initial[:, 0].T,
    jnp.transpose(directions, (1, 2, 0)),
  )
  goal = target(before.interpolated, length)
  end = _descend(start, goal, mode, lengths is not None)
  scores = jnp.stack([objective(p, goal) for p in (start, end)])
  # Leave the normalised unit; the root's depth has no place of its own.
  centre = jnp.append(before.centre, 0)
  frames = jnp.transpose(forward(end), (2, 0, 1)) * before.scale + centre
  return frames, jnp.exp(end.lengths) * before.scale, scores


@functools.partial(jax.jit, static_argnames="mode")
def _lift_batch(clips, length, noise, lengths, mode: Mode):
  """[B, T, J, 3] -> frames, bone lengths [B, K], objectives [B, 2].

  A row of length 0 costs nothing, so that a batch need not be full.
  """

  def one(row):
    def nothing(clip, *_):
      return jnp.zeros_like(clip), jnp.zeros(skeleton.BONES), jnp.zeros(2)

    work = functools.partial(_lift_one, lengths=lengths, mode=mode)
    return jax.lax.cond(row[1] > 0, work, nothing, *row)

  # On CPU one clip after another beats vmap: each fits the cache.
  return jax.lax.map(one, (clips, length, noise))


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
  batch: int = 16,
) -> list[Lifted]:
  """Lifts clips of unequal length, as many batches at once as there are cores.

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

  def run(group: list[int]) -> list[tuple[int, Lifted]]:
    longest = max(len(clips[i]) for i in group)
    t = -(-longest // BUCKET) * BUCKET
    padded = np.zeros((batch, t, skeleton.J, 3), np.float32)
    noise = np.zeros((batch, t, 3), np.float32)
    length = np.zeros(batch, np.int32)
    for row, index in enumerate(group):
      n = length[row] = len(clips[index])
      padded[row, :n] = clips[index]
      noise[row, :n] = keypoints.root_noise(n)
    frames, bones, scores = jax.device_get(
      _lift_batch(padded, length, noise, bone_lengths, mode)
    )
    return [
      (
        index,
        Lifted(
          frames=frames[row, : length[row]],
          valid=clips[index][..., 2] > 0,
          bone_lengths=bones[row],
          objective=(float(scores[row, 0]), float(scores[row, 1])),
        ),
      )
      for row, index in enumerate(group)
    ]

  groups = _buckets([len(clip) for clip in clips], batch)
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
    results = dict(pair for pairs in threads.map(run, groups) for pair in pairs)
  return [results[index] for index in range(len(clips))]
