"""Statistics of poses: normalisation, and residuals of teacher forcing."""

from typing import NamedTuple

import jax
import numpy as np

from signllm_jax.core import bones as bones_lib
from signllm_jax.core.skeleton import Skeleton


class ClipNoise(NamedTuple):
  """What the noise of a generative decoder needs (`models.flow_noise`).

  Arrays of the host or of the devices, possibly with a leading axis.
  """

  centre: jax.Array | np.ndarray  # [C] mean of the decoder's coordinates, in
  # canonical units
  deviation: jax.Array | np.ndarray  # [C] likewise
  factor: jax.Array | np.ndarray  # [2, C, C] roots of the covariances of what
  # is common to the frames of a clip and of what is not, in units of deviation
  amplitude: jax.Array | np.ndarray  # [P, C] deviations of the latter at
  # positions from the first frame to the last, of mean square 1 over time
  memory: jax.Array | np.ndarray  # [P - 1] their correlations from a frame to
  # the next, from a position on
  lengths: jax.Array | np.ndarray  # [2, K] mean and deviation of the logs of
  # the clips' bone lengths


class PoseStatistics(NamedTuple):
  """Mean and scale of the training poses; fixed for a run.

  Languages that share a model have their own, with a leading axis L: with one
  scale for all, the language with the smallest movements would weigh least.
  """

  mean: jax.Array | np.ndarray  # [C]
  scale: jax.Array | np.ndarray  # []
  seen: jax.Array | np.ndarray  # [J] bool, joints valid in some clip
  bones: jax.Array | np.ndarray | None = None  # [K] lengths that produced
  # bones have, in canonical units, with `model.bones="fixed"`; 0 if unknown
  noise: ClipNoise | None = None  # with `model.decoder="flow"`

  def for_languages(self, language: jax.Array) -> "PoseStatistics":
    """Selects from [L, ...] the statistics of each row of a batch.

    Args:
      language: [B] int32.

    Returns:
      mean [B, 1, C], scale [B, 1, 1], seen [B, J], bones [B, 1, K] and
      noise with a leading axis B.
    """
    mean, scale = self.mean[language][:, None], self.scale[language]
    bones = None if self.bones is None else self.bones[language][:, None]
    seen = self.seen[language]
    noise = jax.tree.map(lambda x: x[language], self.noise)
    return PoseStatistics(mean, scale[:, None, None], seen, bones, noise)

  def normalise(self, poses: jax.Array) -> jax.Array:
    """Converts poses [..., C] from canonical to the model's units."""
    return (poses - self.mean) / self.scale

  def denormalise(self, poses: jax.Array) -> jax.Array:
    """Converts poses [..., C] from the model's to canonical units."""
    return poses * self.scale + self.mean

  def extend(self, other: "PoseStatistics") -> "PoseStatistics":
    """The same units, with joints, bones and noise of other clips.

    Args:
      other: of those clips; bones and noise are there if it has them. Arrays
        of the host, without a leading axis, as these are.
    """
    bones = other.bones
    if bones is not None and self.bones is not None:
      bones = np.where(np.asarray(self.bones) > 0, self.bones, bones)
    seen = np.asarray(self.seen)
    cells = np.repeat(seen, np.size(self.mean) // np.size(seen))
    return PoseStatistics(
      np.where(cells, self.mean, other.mean),
      self.scale,
      seen | np.asarray(other.seen),
      bones,
      other.noise,
    )

  def hold_bones(self, poses: jax.Array, skeleton: Skeleton) -> jax.Array:
    """Sets the bones of poses to their lengths; unchanged without lengths.

    Args:
      poses: [..., C] float32, or [B, T, C] with the statistics of each row, in
        the model's units. All joints of `seen` take part.
      skeleton: of the poses.

    Returns:
      Poses of the same shape, in the same units (`core.bones.hold`).
    """
    if self.bones is None:
      return poses
    joints = (*poses.shape[:-1], *skeleton.shape)
    restored = self.denormalise(poses).reshape(joints)
    visible = self.seen[:, None] if self.seen.ndim > 1 else self.seen
    lengths = self.bones[..., skeleton.limb_bones]
    held = bones_lib.hold(restored, lengths, visible, skeleton)
    return self.normalise(held.reshape(poses.shape))


class Residuals(NamedTuple):
  """Standard deviation of teacher-forced residuals, for Gaussian noise.

  Section 5. The sums are those of the current epoch.
  """

  std: jax.Array  # [C + 1] of the previous epoch; 0 in the first
  total: jax.Array  # [C + 1] sum of residuals
  squares: jax.Array  # [C + 1] sum of their squares
  count: jax.Array  # [C + 1] number of residuals
