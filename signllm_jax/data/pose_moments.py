"""Moments of the poses of a training split, for each language apart."""

from typing import NamedTuple

import numpy as np

from signllm_jax.core import bones, clips, hand_space
from signllm_jax.core import skeleton as skeleton_lib


class NoiseMoments(NamedTuple):
  """What the noise of a generative decoder is made of (`models.flow_noise`).

  Coordinates are those of `core.hand_space`, gaps of a clip are filled. Joints
  that a clip never shows are at the mean in the correlations, which are thus
  those of one set of vectors, and count in no mean and no deviation. With a
  leading axis L for languages sharing a model.
  """

  mean: np.ndarray  # [C] of coordinates, in canonical units
  deviation: np.ndarray  # [C] likewise
  correlation: np.ndarray  # [C, C], positive semi-definite
  log_lengths: np.ndarray  # [2, K] mean and standard deviation over clips of
  # the logarithm of a bone's median length, 0 if it was never seen


class _NoiseSums:
  """Sums over clips, for each language apart."""

  def __init__(self, languages: int, skeleton: skeleton_lib.Skeleton):
    size = skeleton.num_values + skeleton.num_joints
    self._skeleton = skeleton
    self._logs = np.zeros((3, languages, skeleton.num_bones))
    self._products = np.zeros((languages, size, size))

  def add(self, frames: np.ndarray, valid: np.ndarray, language: int) -> None:
    """Adds frames [T, J, D] of which [T, J] are valid."""
    medians = bones.median_lengths(frames, valid, self._skeleton)
    logs = np.log(np.where(medians > 0, medians, 1))
    self._logs[:, language] += medians > 0, logs, logs**2
    filled, known = hand_space.of_clips(frames, valid, self._skeleton)
    # Beside the coordinates a mark for each joint that the clip shows: the
    # products of all are those of coordinates, their sums and the counts.
    flat = filled.reshape(len(filled), -1)
    marks = np.broadcast_to(known, (len(filled), len(known)))
    marked = np.concatenate([flat, marks], 1)
    self._products[language] += marked.T @ marked

  def moments(self) -> NoiseMoments:
    """Moments with a leading axis L, float32."""
    dims, values = self._skeleton.dims, self._skeleton.num_values
    products = self._products[:, :values, :values]
    totals = self._products[:, :values, values:].repeat(dims, 2)
    counts = self._products[:, values:, values:].repeat(dims, 1).repeat(dims, 2)
    own = np.diagonal(counts, axis1=1, axis2=2)  # [L, C]
    mean = np.diagonal(totals, axis1=1, axis2=2) / np.maximum(own, 1)
    # Sums of (x - mean) (y - mean) over the clips that show both.
    column, row = mean[:, :, None], mean[:, None]
    centred = products - totals * row - totals.mT * column
    centred += counts * column * row
    squares = np.maximum(np.diagonal(centred, axis1=1, axis2=2), 1e-12)
    root = np.sqrt(squares)
    moments = (
      mean,
      root / np.sqrt(np.maximum(own, 1)),
      centred / root[:, :, None] / root[:, None],
      self._log_lengths(),
    )
    return NoiseMoments(*(x.astype(np.float32) for x in moments))

  def _log_lengths(self) -> np.ndarray:
    """Mean and deviation [L, 2, K] of the logs of clips' bone lengths."""
    count, total, squares = self._logs
    count = np.maximum(count, 1)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0)
    return np.stack([mean, np.sqrt(variance)], 1)


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
    self._noise = _NoiseSums(languages, skeleton) if noise else None
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
      self._noise.add(frames, valid, language)

  def noise(self) -> NoiseMoments | None:
    """Moments with a leading axis L, float32, if they are wanted."""
    return None if self._noise is None else self._noise.moments()

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
