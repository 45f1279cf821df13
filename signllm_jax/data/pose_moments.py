"""Moments of the poses of a training split, for each language apart."""

import dataclasses

import numpy as np

from signllm_jax.core import bones, clips
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data.noise_moments import NoiseMoments, NoiseSums


class PoseMoments:
  """Sums over the valid joints and limbs of clips, for each language apart."""

  def __init__(
    self,
    languages: int,
    skeleton: skeleton_lib.Skeleton,
    *,
    noise: bool = False,
  ):
    """Starts at 0.

    Args:
      languages: L.
      skeleton: of the clips.
      noise: whether moments for noise are wanted, which take longer.
    """
    self._skeleton = skeleton
    self._noise = (
      [NoiseSums(skeleton) for _ in range(languages)] if noise else None
    )
    self.count = np.zeros((languages, skeleton.num_joints))
    self._total = np.zeros((languages, *skeleton.shape))
    self._squares = np.zeros(languages)
    self._limbs = np.zeros((2, languages, len(skeleton.limbs)))

  def add(self, clip: clips.Clip, language: int) -> None:
    """Adds a clip of the language of this number."""
    # A broken record must not spoil the statistics of all clips; the training
    # step that reads it reports it by name.
    valid = clip.valid & np.isfinite(clip.frames).all(-1)
    frames = np.where(valid[..., None], clip.frames.astype(np.float64), 0)
    self.count[language] += valid.sum(0)
    self._total[language] += frames.sum(0)
    self._squares[language] += (frames**2).sum()
    lengths = bones.limb_lengths(frames, self._skeleton)
    shown = bones.limbs_visible(valid, self._skeleton) & (lengths > 0)
    self._limbs[:, language] += shown.sum(0), (lengths * shown).sum(0)
    if self._noise is not None:
      finite = dataclasses.replace(clip, frames=frames, valid=valid)
      self._noise[language].add(finite)

  def noise(self) -> NoiseMoments | None:
    """Moments with a leading axis L, float32, if they are wanted."""
    if self._noise is None:
      return None
    moments = [sums.moments() for sums in self._noise]
    return NoiseMoments(
      *(np.stack(each) for each in zip(*moments, strict=True))
    )

  def mean_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
    """Mean [L, C] and pooled standard deviation [L], float32."""
    mean = self._total / np.maximum(self.count, 1)[..., None]
    centred = self._squares - (mean**2 * self.count[..., None]).sum((1, 2))
    variance = centred / (self._skeleton.dims * self.count.sum(1))
    scale = np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)
    flat = mean.reshape(-1, self._skeleton.num_values)
    return flat.astype(np.float32), scale

  def bone_lengths(self) -> np.ndarray:
    """Means [L, K] of bone lengths, float32; 0 if never seen."""
    numbers = np.arange(self._skeleton.num_bones)
    limbs_of_bone = self._skeleton.limb_bones[:, None] == numbers
    count, total = self._limbs @ limbs_of_bone
    return (total / np.maximum(count, 1)).astype(np.float32)
