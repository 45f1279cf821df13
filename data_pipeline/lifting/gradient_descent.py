"""Gradient descent on J: fits bones, root and directions to a clip.

Formula 3 of SignLLM, after Zelinka and Kanis (WACV 2020):
  J = 1/(50 T) sum w |P_xy - X|^2 + 0.001 sum_k exp(l_k)
      + 0.1/(50 (T-1)) sum |P_t - P_{t+1}|^2.

Dim letters: T frames, J = 50 joints, N = 49 limbs, K = 25 bones, E = 10 joints
and 9 limbs of the body with both hands' wrists, F = 10 fingers of 4 limbs.

A cycle is written for the compiler and takes half the time of the plain form:
time is the last axis; x, y and z are added explicitly, not by a reduction; sums
along the tree are one small product for the body and running sums for fingers.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.keypoints.cleaning import Mode
from signllm_jax.core.skeleton import PROMPT2SIGN50

LENGTH_WEIGHT, MOTION_WEIGHT = 0.001, 0.1  # the two regularisers of J
CYCLES = {"fast": 100, "reference": 1000}
RATES = {"fast": 0.01, "reference": 0.1}
EPSILON = 1e-10
_BODY_LIMBS = 9
_FINGERS, _FINGER_LIMBS = 10, 4
# Order of the joints in this module, each after the limb that leads to it: the
# body, ending with the wrists of the left and right hand, then the fingers.
_ORDER = np.array([0, *PROMPT2SIGN50.children])
_PLACES = np.argsort(_ORDER)  # inverse of _ORDER
_ANCESTORS = PROMPT2SIGN50.ancestor_matrix()[
  _ORDER[: _BODY_LIMBS + 1], :_BODY_LIMBS
]
_BONE_LIMBS = np.equal.outer(
  range(PROMPT2SIGN50.num_bones), PROMPT2SIGN50.limb_bones
).astype(np.float32)  # [K, N], 1 where the limb is of the bone


class Parameters(NamedTuple):
  """The parameters that gradient descent optimises."""

  lengths: jax.Array  # [K] log bone lengths
  root: jax.Array  # [3, T]
  directions: jax.Array  # [N, 3, T]


class Target(NamedTuple):
  """Targets and weights of a clip; weights hold J's constant factors."""

  xy: jax.Array  # [J, 2, T], joints body first
  weight: jax.Array  # [J, 1, T], 0 on padding, joints body first
  motion: jax.Array  # [T - 1], weight of the difference to the next frame


def target(clip: jax.Array, length: jax.Array) -> Target:
  """Target of interpolated keypoints [T, J, 3]; padding follows `length`."""
  keypoints = jnp.transpose(clip[:, _ORDER], (1, 2, 0))  # [J, 3, T]
  real = jnp.arange(len(clip)) < length
  return Target(
    xy=keypoints[:, :2],
    weight=jnp.where(real, keypoints[:, 2:], 0)
    / (PROMPT2SIGN50.num_joints * length),
    motion=jnp.where(real[1:], MOTION_WEIGHT, 0)
    / (PROMPT2SIGN50.num_joints * jnp.maximum(length - 1, 1)),
  )


def _product(matrix: np.ndarray, columns: jax.Array) -> jax.Array:
  """[M, N] times [N, 3, T] as one matrix product in float32 precision."""
  flat = columns.reshape(len(columns), -1)
  product = jnp.matmul(matrix, flat, precision=jax.lax.Precision.HIGHEST)
  return product.reshape(-1, *columns.shape[1:])


def _sum_down(root: jax.Array, limbs: jax.Array) -> jax.Array:
  """Sums a root and limbs [N, 3, T] to joints [J, 3, T], body first."""
  body = root + _product(_ANCESTORS, limbs[:_BODY_LIMBS])  # [E, 3, T]
  fingers = limbs[_BODY_LIMBS:].reshape(2, -1, _FINGER_LIMBS, *root.shape)
  joints = [body[-2:, None] + fingers[:, :, 0]]
  for limb in range(1, _FINGER_LIMBS):
    joints.append(joints[-1] + fingers[:, :, limb])
  return jnp.concatenate([body, jnp.stack(joints, 2).reshape(-1, *root.shape)])


def _sum_up(force: jax.Array) -> tuple[jax.Array, jax.Array]:
  """Gradients of the root [3, T] and limbs [N, 3, T] from those of joints."""
  shape = force.shape[1:]
  body, fingers = force[: _BODY_LIMBS + 1], force[_BODY_LIMBS + 1 :]
  fingers = fingers.reshape(_FINGERS, _FINGER_LIMBS, *shape)
  limbs = [fingers[:, -1]]
  for limb in reversed(range(_FINGER_LIMBS - 1)):
    limbs.append(limbs[-1] + fingers[:, limb])
  hands = jnp.sum(limbs[-1].reshape(2, -1, *shape), 1)
  body = jnp.concatenate([body[:-2], body[-2:] + hands])
  of_body = _product(_ANCESTORS.T, body)
  of_fingers = jnp.stack(limbs[::-1], 1).reshape(-1, *shape)
  # Every joint but the root descends from the first limb.
  return body[0] + of_body[0], jnp.concatenate([of_body, of_fingers])


def _inverse_norms(directions: jax.Array) -> jax.Array:
  """Inverse norms [N, T] of directions [N, 3, T]."""
  x, y, z = (directions[:, axis] for axis in range(3))
  return 1 / (jnp.sqrt(x * x + y * y + z * z) + EPSILON)


def _joints(parameters: Parameters) -> jax.Array:
  """Joints [J, 3, T] of the parameters, body first."""
  lengths = jnp.exp(parameters.lengths)[PROMPT2SIGN50.limb_bones]
  scale = lengths[:, None] * _inverse_norms(parameters.directions)
  return _sum_down(parameters.root, parameters.directions * scale[:, None])


def forward(parameters: Parameters) -> jax.Array:
  """Joints [J, 3, T] of the parameters."""
  return _joints(parameters)[_PLACES]


def objective(parameters: Parameters, target: Target) -> jax.Array:
  """J of a padded clip (SignLLM formula 3)."""
  joints = _joints(parameters)
  fit = jnp.sum(target.weight * (joints[:, :2] - target.xy) ** 2)
  bones = LENGTH_WEIGHT * jnp.sum(jnp.exp(parameters.lengths))
  motion = jnp.sum(target.motion * jnp.diff(joints) ** 2)
  return fit + bones + motion


def gradient(parameters: Parameters, target: Target) -> Parameters:
  """Gradient of J, by hand: half the time of `jax.grad` of `objective`."""
  directions = parameters.directions
  inverse = _inverse_norms(directions)
  bones = jnp.exp(parameters.lengths)  # [K]
  scale = bones[PROMPT2SIGN50.limb_bones][:, None] * inverse  # [N, T]
  joints = _sum_down(parameters.root, directions * scale[:, None])
  data_term = 2 * target.weight * (joints[:, :2] - target.xy)
  motion_term = 2 * target.motion * (joints[..., 1:] - joints[..., :-1])
  force = (
    jnp.pad(data_term, ((0, 0), (0, 1), (0, 0)))
    + jnp.pad(motion_term, ((0, 0), (0, 0), (1, 0)))
    - jnp.pad(motion_term, ((0, 0), (0, 0), (0, 1)))
  )  # on joints
  root, limbs = _sum_up(force)
  x, y, z = (directions[:, axis] * limbs[:, axis] for axis in range(3))
  along = inverse * (x + y + z)  # [N, T]
  return Parameters(
    lengths=bones * (_BONE_LIMBS @ jnp.sum(along, 1) + LENGTH_WEIGHT),
    root=root,
    directions=scale[:, None]
    * (limbs - (along * inverse)[:, None] * directions),
  )


def descend(
  start: Parameters, target: Target, mode: Mode, fixed_lengths: bool
) -> Parameters:
  """Minimises J by Adam in `fast`, by plain descent in `reference`."""
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
      # The rate falls linearly to a tenth, so that the end point settles.
      current = rate * (1 - 0.9 * i / CYCLES[mode]) / (1 - 0.9**n)
      scale = 1 / (1 - 0.99**n)
      step = jax.tree.map(
        lambda m, v: current * m / (jnp.sqrt(v * scale) + 1e-8), first, second
      )
    return jax.tree.map(jnp.subtract, parameters, step), first, second

  zeros = jax.tree.map(jnp.zeros_like, start)
  return jax.lax.fori_loop(0, CYCLES[mode], cycle, (start, zeros, zeros))[0]
