"""Bone lengths of poses, and poses whose bones have given lengths.

The functions take NumPy and JAX arrays and return the same kind. They are
differentiable.
"""

from typing import Any

import jax
import numpy as np

from signllm_jax.core import skeleton

# Below this share of its length a limb is not stretched to the whole of it: its
# direction, and with it the gradient, would be rounding error.
_SHORTEST = 0.01


def _per_coordinate(matrix: np.ndarray) -> np.ndarray:
  """Matrix [N, M] over joints or limbs as [3 M, 3 N] over coordinates."""
  return np.kron(matrix, np.eye(3, dtype=np.float32)).T


# As products with constant matrices, gather and scatter cost nothing extra on
# an accelerator. The neck is the origin: A[j] - A[neck] leads there to joint j.
_LIMBS = np.arange(len(skeleton.LIMBS))
_TO_VECTORS = np.zeros((len(_LIMBS), skeleton.J), np.float32)
_TO_VECTORS[_LIMBS, skeleton.CHILDREN] = 1
_TO_VECTORS[_LIMBS, skeleton.PARENTS] = -1
# The first bone has one limb, named twice: a median stays the same.
_LIMBS_OF_BONE = np.array(
  [
    (np.flatnonzero(bone == skeleton.LIMB_BONES).tolist() * 2)[:2]
    for bone in range(skeleton.BONES)
  ]
)
_ANCESTORS = skeleton.ancestor_matrix()
_VECTORS = _per_coordinate(_TO_VECTORS)  # [150, 147]
_JOINTS = _per_coordinate(_ANCESTORS - _ANCESTORS[skeleton.NECK])  # [147, 150]


def _limb_vectors(poses: Any) -> Any:
  """Vectors [..., 49, 3] from parent to child of poses [..., 50, 3]."""
  with jax.default_matmul_precision("highest"):
    vectors = poses.reshape(*poses.shape[:-2], skeleton.C) @ _VECTORS
  return vectors.reshape(*vectors.shape[:-1], len(_LIMBS), 3)


def limb_lengths(poses: Any) -> Any:
  """Length of every limb.

  Args:
    poses: [..., 50, 3] float, finite.

  Returns:
    [..., 49] in the unit of the poses, in the order of `skeleton.LIMBS`; those
    with a missing end are undefined. The gradient of a length of 0 is 0.
  """
  xp = poses.__array_namespace__()
  squared = (_limb_vectors(poses) ** 2).sum(-1)
  return xp.where(squared > 0, xp.sqrt(xp.where(squared > 0, squared, 1)), 0)


def limbs_visible(visible: Any) -> Any:
  """Whether both ends of each limb are visible: [..., 50] to [..., 49]."""
  return visible[..., skeleton.CHILDREN] & visible[..., skeleton.PARENTS]


def median_lengths(poses: Any, visible: Any) -> Any:
  """Median length of each bone over a clip; both sides of the body share it.

  Args:
    poses: [..., T, 50, 3] float.
    visible: [..., T, 50] bool.

  Returns:
    [..., 1, 49] of limbs; 0 where no frame shows a limb of the bone.
  """
  xp = poses.__array_namespace__()
  lengths = limb_lengths(poses)
  known = limbs_visible(visible) & (lengths > 0)
  # Both limbs of a bone over all frames in one axis, unknown ones at its end.
  pairs = xp.where(known, lengths, xp.inf)[..., _LIMBS_OF_BONE]
  pairs = xp.moveaxis(pairs, -3, -1)  # [..., 25, 2, T]
  values = xp.sort(pairs.reshape(*pairs.shape[:-2], -1), axis=-1)
  count = xp.isfinite(values).sum(-1, keepdims=True)
  low = xp.take_along_axis(values, xp.maximum(count - 1, 0) // 2, -1)
  high = xp.take_along_axis(values, count // 2, -1)
  medians = xp.where(count > 0, (low + high) / 2, 0)[..., 0]
  return medians[..., None, skeleton.LIMB_BONES]


def hold(poses: Any, lengths: Any, visible: Any) -> Any:
  """Sets limbs to given lengths; each keeps its direction, the neck its place.

  Joints are rebuilt along the tree of `skeleton.LIMBS` as sums of directions
  times lengths, as in the lifter. A limb with an end that is not visible, with
  a length of 0, or of vanishing length in the pose keeps its vector.

  Args:
    poses: [..., 50, 3] float, finite, in canonical units (not normalised).
    lengths: [..., 49] of limbs, broadcast against the poses; 0 if unknown. Of
      bones [..., 25] they are `lengths[..., skeleton.LIMB_BONES]`.
    visible: [..., 50] bool, broadcast likewise. What is given for joints that
      are not visible does not change the others.

  Returns:
    [..., 50, 3].
  """
  xp = poses.__array_namespace__()
  vectors = _limb_vectors(poses)
  held = limbs_visible(visible) & (lengths > 0)
  aim = xp.where(held, lengths, 1)
  squared = (vectors**2).sum(-1)
  norm = xp.sqrt(xp.maximum(squared, (_SHORTEST * aim) ** 2))
  vectors = xp.where(held, aim / norm, 1)[..., None] * vectors
  with jax.default_matmul_precision("highest"):
    joints = vectors.reshape(*vectors.shape[:-2], -1) @ _JOINTS
  neck = poses[..., skeleton.NECK : skeleton.NECK + 1, :]
  return neck + joints.reshape(poses.shape)
