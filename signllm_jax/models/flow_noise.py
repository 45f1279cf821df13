"""The noise from which a generative decoder's samples start.

It has the correlations of the training poses, in the decoder's coordinates: a
decoder need not remove what no pose has, such as a longer bone. Half of its
variance is common to all frames of a clip, half is independent from frame to
frame (mixed noise, Ge et al. 2023, arXiv 2305.10474): what distinguishes one
recording from another is mostly constant in it, and is thus learnt from noise
of its size, while a decoder still finds movement among fast noise. Bone lengths
are variables of the clip, not of its frames; theirs is independent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.models import hand_space

_LEAST = 1e-3  # deviation in any direction, of coordinates of deviation 1
_STILL = 0.05  # deviation of a coordinate that hardly varies, normalised
_COMMON = 0.5  # share of the variance that all frames of a clip have in common


class FlowClip(NamedTuple):
  """A clip as the decoder sees it, or its noise or an estimate of it."""

  poses: jax.Array  # [B, T, C] in the coordinates of `hand_space`, of unit
  # variance
  lengths: jax.Array  # [B, K] logs of bone lengths, standardised


def measure(
  covariance: np.ndarray, scale: np.ndarray, skeleton: Skeleton
) -> tuple[np.ndarray, np.ndarray]:
  """Deviations of normalised coordinates, and the root of their correlations.

  Args:
    covariance: [..., C, C] of the joints, in canonical units.
    scale: [...] of the normalisation.
    skeleton: of the joints.

  Returns:
    [..., C] and [..., C, C] float32. The root is symmetric.
  """
  to_hands = np.kron(hand_space.matrix(skeleton), np.eye(skeleton.dims))
  normal = covariance / scale[..., None, None] ** 2
  turned = to_hands @ normal @ to_hands.T
  variance = np.diagonal(turned, axis1=-2, axis2=-1)
  deviation = np.sqrt(np.maximum(variance, _STILL**2))
  correlation = turned / deviation[..., None, :] / deviation[..., None]
  values, vectors = np.linalg.eigh(correlation)
  # Entries over different frames need not form a covariance.
  roots = np.sqrt(np.maximum(values, _LEAST**2))
  root = (vectors * roots[..., None, :]) @ np.swapaxes(vectors, -1, -2)
  return deviation.astype(np.float32), root.astype(np.float32)


def mix(common: jax.Array, single: jax.Array) -> jax.Array:
  """Mixes white noise of clips and of frames, both standard normal.

  Args:
    common: [B, 1, C].
    single: [B, T, C].

  Returns:
    [B, T, C], standard normal.
  """
  return _COMMON**0.5 * common + (1 - _COMMON) ** 0.5 * single


def colour(white: jax.Array, factor: jax.Array | np.ndarray) -> jax.Array:
  """Gives white noise the correlations of poses.

  Args:
    white: [B, T, C] standard normal.
    factor: [C, C], or [B, C, C] of each row.

  Returns:
    [B, T, C].
  """
  product = "btc,dc->btd" if factor.ndim == 2 else "btc,bdc->btd"
  return jnp.einsum(product, white, factor)
