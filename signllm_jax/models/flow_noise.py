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

_LEAST = 1e-3  # deviation in any direction, of coordinates of deviation 1
_STILL = 0.05  # least unit of a coordinate, as a share of the joints' scale
_COMMON = 0.5  # share of the variance that all frames of a clip have in common


class FlowClip(NamedTuple):
  """A clip as the decoder sees it, or its noise or an estimate of it."""

  poses: jax.Array  # [B, T, C] in the coordinates of `hand_space`, of unit
  # variance
  lengths: jax.Array  # [B, K] logs of bone lengths, standardised


def measure(
  deviation: np.ndarray, correlation: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Units of the coordinates, and the root of their covariance in these units.

  Args:
    deviation: [..., C] of coordinates, in canonical units.
    correlation: [..., C, C] of them.
    scale: [...] pooled deviation of the joints.

  Returns:
    [..., C] and [..., C, C] float32. The unit of a coordinate is its deviation,
    or a share of the scale where that is more. The root is symmetric.
  """
  units = np.maximum(deviation, _STILL * scale[..., None])
  share = deviation / units
  covariance = correlation * share[..., None, :] * share[..., None]
  values, vectors = np.linalg.eigh(covariance.astype(np.float64))
  roots = np.sqrt(np.maximum(values, _LEAST**2))
  root = (vectors * roots[..., None, :]) @ vectors.mT
  return units.astype(np.float32), root.astype(np.float32)


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
