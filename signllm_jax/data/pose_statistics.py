"""What is measured of training poses: normalisation, and spread of errors."""

from typing import NamedTuple

import jax
import numpy as np


class PoseStatistics(NamedTuple):
  """Of the training poses; fixed for the run.

  Languages that share a model have their own, with a leading axis L: by one
  scale for all, the language with the smallest movements would weigh least.
  """

  mean: jax.Array | np.ndarray  # [150]
  scale: jax.Array | np.ndarray  # []
  seen: jax.Array | np.ndarray  # [50] bool, joints that some clip shows

  def of(self, language: jax.Array) -> "PoseStatistics":
    """Of [L, ...] those of the rows of a batch, for sequences.

    Args:
      language: [B] int32.

    Returns:
      mean [B, 1, 150], scale [B, 1, 1] and seen [B, 50].
    """
    mean, scale = self.mean[language][:, None], self.scale[language]
    return PoseStatistics(mean, scale[:, None, None], self.seen[language])

  def normalise(self, poses: jax.Array) -> jax.Array:
    """[..., 150] in canonical units -> what the model works on."""
    return (poses - self.mean) / self.scale

  def denormalise(self, poses: jax.Array) -> jax.Array:
    """Back to canonical units."""
    return poses * self.scale + self.mean


class Residuals(NamedTuple):
  """Spread of teacher-forced residuals, for Gaussian noise (section 5)."""

  std: jax.Array  # [151] of the previous epoch; 0 in the first
  total: jax.Array  # [151] sum over this epoch
  squares: jax.Array  # [151]
  count: jax.Array  # [151] cells
