"""Bone lengths of poses, and poses whose bones have given lengths.

The functions take NumPy and JAX arrays and return the same kind, but for
`nearest`, which needs JAX. They are differentiable. Dim letters are those of
`Skeleton`: J joints, D numbers a joint, N limbs, K bones.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core.skeleton import Skeleton

# Below this share of its length a limb is not stretched to the whole of it: its
# direction, and with it the gradient, would be rounding error.
_SHORTEST = 0.01
_STEPS = 2  # of `nearest`; more change joints by 4e-4 on average
_ITERATIONS = 12  # of each
_RIDGE = 1e-3  # where limbs are in one line
_TINY = 1e-20


class _Tree(NamedTuple):
  """The limbs of a skeleton as constant matrices.

  As products, gather and scatter cost nothing extra on an accelerator.
  """

  vectors: np.ndarray  # [J D, N D] from joints to limbs
  joints: np.ndarray  # [N D, J D] from limbs to joints about the origin
  limbs_of_bone: np.ndarray  # [K, M] limbs of each bone; fewer ones repeat
  shared: np.ndarray  # [N, N] ends in common: 2 with itself, else 1, -1 or 0
  apart: tuple[int, ...]  # joints without a limb


@functools.cache
def _tree(skeleton: Skeleton) -> _Tree:
  limbs = np.arange(len(skeleton.limbs))
  to_vectors = np.zeros((len(limbs), skeleton.num_joints), np.float32)
  to_vectors[limbs, skeleton.children] = 1
  to_vectors[limbs, skeleton.parents] = -1
  of_bone = [
    np.flatnonzero(bone == skeleton.limb_bones).tolist()
    for bone in range(skeleton.num_bones)
  ]
  most = max(map(len, of_bone))
  # A[j] - A[origin] leads from there to joint j.
  ancestors = skeleton.ancestor_matrix()
  origin = ancestors[list(skeleton.origin)].mean(0)
  ends = {*skeleton.parents.tolist(), *skeleton.children.tolist()}
  return _Tree(
    _per_coordinate(to_vectors, skeleton.dims),
    _per_coordinate(ancestors - origin, skeleton.dims),
    # A bone of one limb names it twice: a median stays the same.
    np.array([(same * most)[:most] for same in of_bone]),
    to_vectors @ to_vectors.T,
    tuple(sorted(set(range(skeleton.num_joints)) - ends)),
  )


def _per_coordinate(matrix: np.ndarray, dims: int) -> np.ndarray:
  """Matrix [N, M] over joints or limbs as [D M, D N] over coordinates."""
  return np.kron(matrix, np.eye(dims, dtype=np.float32)).T


def _limb_vectors(poses: Any, skeleton: Skeleton) -> Any:
  """Vectors [..., N, D] from parent to child of poses [..., J, D]."""
  with jax.default_matmul_precision("highest"):
    flat = poses.reshape(*poses.shape[:-2], skeleton.num_values)
    vectors = flat @ _tree(skeleton).vectors
  return vectors.reshape(*vectors.shape[:-1], -1, skeleton.dims)


def limb_lengths(poses: Any, skeleton: Skeleton) -> Any:
  """Length of every limb.

  Args:
    poses: [..., J, D] float, finite.
    skeleton: of the poses.

  Returns:
    [..., N] in the unit of the poses, in the order of the skeleton's limbs;
    those with a missing end are undefined. The gradient of a length of 0 is 0.
  """
  xp = poses.__array_namespace__()
  squared = (_limb_vectors(poses, skeleton) ** 2).sum(-1)
  return xp.where(squared > 0, xp.sqrt(xp.where(squared > 0, squared, 1)), 0)


def limbs_visible(visible: Any, skeleton: Skeleton) -> Any:
  """Whether both ends of each limb are visible: [..., J] to [..., N]."""
  return visible[..., skeleton.children] & visible[..., skeleton.parents]


def median_lengths(poses: Any, visible: Any, skeleton: Skeleton) -> Any:
  """Median length of each bone over a clip; both sides of the body share it.

  Args:
    poses: [..., T, J, D] float.
    visible: [..., T, J] bool.
    skeleton: of the poses.

  Returns:
    [..., K]; 0 where no frame shows a limb of the bone.
  """
  xp = poses.__array_namespace__()
  lengths = limb_lengths(poses, skeleton)
  known = limbs_visible(visible, skeleton) & (lengths > 0)
  # All limbs of a bone over all frames in one axis, unknown ones at its end.
  limbs_of_bone = _tree(skeleton).limbs_of_bone
  pairs = xp.where(known, lengths, xp.inf)[..., limbs_of_bone]
  pairs = xp.moveaxis(pairs, -3, -1)  # [..., K, M, T]
  values = xp.sort(pairs.reshape(*pairs.shape[:-2], -1), axis=-1)
  count = xp.isfinite(values).sum(-1, keepdims=True)
  low = xp.take_along_axis(values, xp.maximum(count - 1, 0) // 2, -1)
  high = xp.take_along_axis(values, count // 2, -1)
  return xp.where(count > 0, (low + high) / 2, 0)[..., 0]


def hold(poses: Any, lengths: Any, visible: Any, skeleton: Skeleton) -> Any:
  """Sets limbs to given lengths; directions and the origin's place stay.

  Joints are rebuilt along the tree of the limbs as sums of directions times
  lengths, as in the lifter. A limb with an end that is not visible, with a
  length of 0, or of vanishing length in the pose keeps its vector. Joints
  without a limb, those of a face, move with the nose if there is one.

  Args:
    poses: [..., J, D] float, finite, in canonical units (not normalised).
    lengths: [..., N] of limbs, broadcast against the poses; 0 if unknown. Of
      bones [..., K] they are `lengths[..., skeleton.limb_bones]`.
    visible: [..., J] bool, broadcast likewise. What is given for joints that
      are not visible does not change the others.
    skeleton: of the poses.

  Returns:
    [..., J, D].
  """
  xp = poses.__array_namespace__()
  vectors = _limb_vectors(poses, skeleton)
  held = limbs_visible(visible, skeleton) & (lengths > 0)
  aim = xp.where(held, lengths, 1)
  squared = (vectors**2).sum(-1)
  norm = xp.sqrt(xp.maximum(squared, (_SHORTEST * aim) ** 2))
  vectors = xp.where(held, aim / norm, 1)[..., None] * vectors
  tree = _tree(skeleton)
  with jax.default_matmul_precision("highest"):
    joints = vectors.reshape(*vectors.shape[:-2], -1) @ tree.joints
  moved = skeleton.origin_of(poses) + joints.reshape(poses.shape)
  return _carry_apart(moved, poses, skeleton)


def _carry_apart(moved: Any, poses: Any, skeleton: Skeleton) -> Any:
  """Moved poses whose joints without a limb went with the nose, if any."""
  tree, xp = _tree(skeleton), moved.__array_namespace__()
  if not tree.apart:
    return moved
  nose, shift = skeleton.find("nose"), 0
  if nose is not None:
    shift = moved[..., nose : nose + 1, :] - poses[..., nose : nose + 1, :]
  apart = np.isin(np.arange(skeleton.num_joints), tree.apart)[:, None]
  return xp.where(apart, poses + shift, moved)


def nearest(poses: Any, lengths: Any, visible: Any, skeleton: Skeleton) -> Any:
  """The nearest poses whose limbs have given lengths.

  Where the limbs of poses are too long here and too short there, `hold` adds up
  their errors from the neck to the fingertips. Here both ends of a limb move,
  by the least sum of squares (Gauss-Newton steps on the constraints, each
  solved by conjugate gradients), and `hold` sets what is left. The origin's
  place stays.

  Args:
    poses: as of `hold`; JAX arrays.
    lengths: as of `hold`.
    visible: as of `hold`.
    skeleton: of the poses.

  Returns:
    [..., J, D].
  """
  held = limbs_visible(visible, skeleton) & (lengths > 0)
  aim = jnp.where(held, lengths, 1)
  tree, start = _tree(skeleton), _limb_vectors(poses, skeleton)

  def step(moved: jax.Array, _: None) -> tuple[jax.Array, None]:
    vectors = _limb_vectors(moved, skeleton)
    norm = jnp.sqrt(jnp.sum(vectors**2, -1))
    units = vectors / jnp.maximum(norm, _SHORTEST * aim)[..., None]
    units = jnp.where(held[..., None], units, 0)
    # Along its direction in `moved` each limb of the least move from `poses`
    # gets its length.
    wanted = jnp.where(held, aim, 0) - jnp.sum(units * start, -1)
    pull = _solve(units, wanted, tree.shared)
    flat = (units * pull[..., None]).reshape(*pull.shape[:-1], -1)
    with jax.default_matmul_precision("highest"):
      change = flat @ tree.vectors.T
    return poses + change.reshape(poses.shape), None

  moved, _ = jax.lax.scan(step, poses, None, _STEPS)
  moved = moved + skeleton.origin_of(poses) - skeleton.origin_of(moved)
  moved = _carry_apart(moved, poses, skeleton)
  return hold(moved, lengths, visible, skeleton)


def _solve(
  units: jax.Array, wanted: jax.Array, shared: np.ndarray
) -> jax.Array:
  """Pulls [..., N] along limbs [..., N, D] that change lengths as wanted.

  Conjugate gradients; limbs without a direction get 0.
  """

  def apply(pull: jax.Array) -> jax.Array:
    moved = shared @ (units * pull[..., None])  # of both ends of each limb
    return jnp.sum(units * moved, -1) + _RIDGE * pull

  def step(
    state: tuple[jax.Array, jax.Array, jax.Array], _: None
  ) -> tuple[tuple[jax.Array, jax.Array, jax.Array], None]:
    pull, left, way = state
    along = apply(way)
    before = jnp.sum(left**2, -1, keepdims=True)
    size = before / jnp.maximum(jnp.sum(way * along, -1, keepdims=True), _TINY)
    pull, left = pull + size * way, left - size * along
    after = jnp.sum(left**2, -1, keepdims=True)
    way = left + after / jnp.maximum(before, _TINY) * way
    return (pull, left, way), None

  with jax.default_matmul_precision("highest"):
    start = (jnp.zeros_like(wanted), wanted, wanted)
    (pull, *_), _ = jax.lax.scan(step, start, None, _ITERATIONS)
  return pull
