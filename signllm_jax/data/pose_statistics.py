"""Statistics of poses: normalisation, and residuals of teacher forcing."""

from typing import NamedTuple

import jax
import numpy as np


class PoseStatistics(NamedTuple):
  """Mean and scale of the training poses; fixed for a run.

  Languages that share a model have their own, with a leading axis L: with one
  scale for all, the language with the smallest movements would weigh least.
  """

  mean: jax.Array | np.ndarray  # [150]
  scale: jax.Array | np.ndarray  # []
  seen: jax.Array | np.ndarray  # [50] bool, joints valid in some clip

  def for_languages(self, language: jax.Array) -> "PoseStatistics":
    """Selects from [L, ...] the statistics of each row of a batch.

    Args:
      language: [B] int32.

    Returns:
      mean [B, 1, 150], scale [B, 1, 1] and seen [B, 50].
    """
    mean, scale = self.mean[language][:, None], self.scale[language]
    return PoseStatistics(mean, scale[:, None, None], self.seen[language])

  def normalise(self, poses: jax.Array) -> jax.Array:
    """Converts poses [..., 150] from canonical to the model's units."""
    return (poses - self.mean) / self.scale

  def denormalise(self, poses: jax.Array) -> jax.Array:
    """Converts poses [..., 150] from the model's to canonical units."""
    return poses * self.scale + self.mean


class Residuals(NamedTuple):
  """Standard deviation of teacher-forced residuals, for Gaussian noise.

  Section 5. The sums are those of the current epoch.
  """

  std: jax.Array  # [151] of the previous epoch; 0 in the first
  total: jax.Array  # [151] sum of residuals
  squares: jax.Array  # [151] sum of their squares
  count: jax.Array  # [151] number of residuals
