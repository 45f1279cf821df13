"""The descent on J, by which bones, root and directions fit a clip.

Formula 3 of SignLLM, after Zelinka and Kanis (WACV 2020):
  J = 1/(50 T) sum w |P_xy - X|^2 + 0.001 sum_k exp(l_k)
      + 0.1/(50 (T-1)) sum |P_t - P_{t+1}|^2.

Dim letters: T frames, J = 50 joints, N = 49 limbs, K = 25 bones. Time is last:
the sum down the tree is then one product over 3 T columns, and a cycle takes a
quarter of the time.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.keypoints import Mode
from signllm_jax import skeleton

LENGTH_WEIGHT, MOTION_WEIGHT = 0.001, 0.1  # the two regularisers of J
CYCLES = {"fast": 100, "reference": 1000}
RATES = {"fast": 0.01, "reference": 0.1}
EPSILON = 1e-10
_ANCESTORS = skeleton.ancestors()  # [J, N]
_BONE_LIMBS = np.equal.outer(range(skeleton.BONES), skeleton.LIMB_BONES).astype(
  np.float32
)  # [K, N], 1 where the limb has the bone's length


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


def descend(
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
