"""Moments of the poses of a training split, for each language apart."""

from typing import NamedTuple

import numpy as np

from signllm_jax.core import bones, clips, hand_space
from signllm_jax.core import skeleton as skeleton_lib


class CoordinateMoments(NamedTuple):
  """Moments of the coordinates of a generative decoder (`core.hand_space`).

  Gaps of a clip are filled. Joints that a clip never shows are at the mean in
  the correlations, which are thus those of one set of vectors, and count in no
  mean and no deviation. With a leading axis L for languages sharing a model.
  """

  mean: np.ndarray  # [C] in canonical units
  deviation: np.ndarray  # [C] likewise
  correlation: np.ndarray  # [C, C], positive semi-definite


class PoseMoments:
  """Sums over the valid joints and limbs of clips, for each language apart."""

  def __init__(self, languages: int, skeleton: skeleton_lib.Skeleton):
    joints, values = skeleton.num_joints, skeleton.num_values
    self._skeleton = skeleton
    self.count = np.zeros((languages, joints))
    self._total = np.zeros((languages, *skeleton.shape))
    self._squares = np.zeros(languages)
    self._limbs = np.zeros((2, languages, len(skeleton.limbs)))
    self._logs = np.zeros((3, languages, skeleton.num_bones))
    self._coordinates = np.zeros((3, languages, values, values))

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
    medians = bones.median_lengths(frames, valid, self._skeleton)
    logs = np.log(np.where(medians > 0, medians, 1))
    self._logs[:, language] += medians > 0, logs, logs**2
    filled, known = hand_space.of_clips(frames, valid, self._skeleton)
    flat = filled.reshape(len(filled), -1)
    shown = known.repeat(self._skeleton.dims).astype(np.float64)
    total = np.outer(flat.sum(0), shown)
    counts = len(flat) * np.outer(shown, shown)
    self._coordinates[:, language] += flat.T @ flat, total, counts

  def mean_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
    """Mean [L, C] and pooled standard deviation [L], float32."""
    mean = self._total / np.maximum(self.count, 1)[..., None]
    centred = self._squares - (mean**2 * self.count[..., None]).sum((1, 2))
    variance = centred / (self._skeleton.dims * self.count.sum(1))
    scale = np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)
    flat = mean.reshape(-1, self._skeleton.num_values)
    return flat.astype(np.float32), scale

  def coordinates(self) -> CoordinateMoments:
    """Moments with a leading axis L, float32."""
    products, totals, counts = self._coordinates
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
    )
    return CoordinateMoments(*(x.astype(np.float32) for x in moments))

  def bone_lengths(self) -> np.ndarray:
    """Means [L, K] of bone lengths, float32; 0 if never seen."""
    numbers = np.arange(self._skeleton.num_bones)
    limbs_of_bone = self._skeleton.limb_bones[:, None] == numbers
    count, total = self._limbs @ limbs_of_bone
    return (total / np.maximum(count, 1)).astype(np.float32)

  def log_lengths(self) -> np.ndarray:
    """Mean and deviation [L, 2, K] of the logs of clips' bone lengths."""
    count, total, squares = self._logs
    count = np.maximum(count, 1)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0)
    return np.stack([mean, np.sqrt(variance)], 1).astype(np.float32)
