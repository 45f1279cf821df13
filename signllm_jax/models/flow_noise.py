"""The noise from which a generative decoder's samples start.

It has the covariance of the training poses, in the decoder's coordinates, and
is independent from frame to frame: a decoder need not remove what no pose has,
such as a longer bone, and finds a slow movement among fast noise.
"""

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.models import hand_space

_LEAST = 1e-3  # standard deviation of any coordinate, normalised


def factor(
  covariance: np.ndarray, scale: np.ndarray, skeleton: Skeleton
) -> np.ndarray:
  """Symmetric root of the covariance of normalised coordinates.

  Args:
    covariance: [..., C, C] of the joints, in canonical units.
    scale: [...] of the normalisation.
    skeleton: of the joints.

  Returns:
    [..., C, C] float32.
  """
  to_hands = np.kron(hand_space.matrix(skeleton), np.eye(skeleton.dims))
  normal = covariance / scale[..., None, None] ** 2
  values, vectors = np.linalg.eigh(to_hands @ normal @ to_hands.T)
  # Entries over different frames need not form a covariance.
  roots = np.sqrt(np.maximum(values, _LEAST**2))
  root = (vectors * roots[..., None, :]) @ np.swapaxes(vectors, -1, -2)
  return root.astype(np.float32)


def colour(white: jax.Array, factor: jax.Array | np.ndarray) -> jax.Array:
  """Gives white noise the covariance of poses.

  Args:
    white: [B, T, C] standard normal.
    factor: [C, C], or [B, C, C] of each row.

  Returns:
    [B, T, C].
  """
  product = "btc,dc->btd" if factor.ndim == 2 else "btc,bdc->btd"
  return jnp.einsum(product, white, factor)
