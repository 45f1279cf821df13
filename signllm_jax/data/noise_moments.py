"""Moments for the noise of a generative decoder, of a training split."""

import dataclasses
from typing import NamedTuple

import numpy as np

from signllm_jax.core import bones, clips, hand_space
from signllm_jax.core.skeleton import Skeleton

POSITIONS = 16  # at which clips of different lengths are compared
_LEAST_MEMORY = 1e-3  # of frames that hardly correlate
_STILL = 1e-6  # least deviation, in canonical units
_TEXTS = 4096  # whose mean clips are held; a few megabytes a hundred


class NoiseMoments(NamedTuple):
  """What the noise of a generative decoder is made of (`models.flow_noise`).

  Coordinates are those of `core.hand_space`, gaps of a clip are filled. The
  deviations are those of a clip from the mean clip of its text, or of all
  texts where few are repeated. Joints that a clip never shows deviate by 0 in
  the correlations, which are thus those of one set of vectors, and count in no
  mean and no variance. With a leading axis L for languages sharing a model.
  """

  mean: np.ndarray  # [C] of coordinates, in canonical units
  deviation: np.ndarray  # [C] likewise, over all frames
  covariance: np.ndarray  # [2, C, C] of deviations in units of `deviation`: of
  # the means of clips, and of the frames around them; positive semi-definite
  amplitude: np.ndarray  # [P] deviations of the latter at positions from the
  # first frame to the last, of mean square 1
  memory: np.ndarray  # [P - 1] their correlations from position to position
  log_lengths: np.ndarray  # [2, K] mean and standard deviation over clips of
  # the logarithm of a bone's median length, 0 if it was never seen


class NoiseSums:
  """Sums over the clips of a language."""

  def __init__(self, skeleton: Skeleton):
    self._skeleton = skeleton
    self._logs = np.zeros((3, skeleton.num_bones))
    # Counts, sums and squares of coordinates of shown joints.
    self._coordinates = np.zeros((3, skeleton.num_values))
    self._of_texts = _Deviations(skeleton)
    self._of_all = _Deviations(skeleton)

  def add(self, clip: clips.Clip) -> None:
    """Adds a clip; its frames are finite."""
    skeleton = self._skeleton
    medians = bones.median_lengths(clip.frames, clip.valid, skeleton)
    logs = np.log(np.where(medians > 0, medians, 1))
    self._logs += medians > 0, logs, logs**2
    filled, known = hand_space.of_clips(clip.frames, clip.valid, skeleton)
    flat = filled.reshape(len(filled), -1)
    cells = known.repeat(skeleton.dims)
    self._coordinates += (
      len(flat) * cells,
      flat.sum(0) * cells,
      (flat**2).sum(0) * cells,
    )
    shown = np.broadcast_to(known, clip.valid.shape)
    filled = dataclasses.replace(clip, frames=filled, valid=shown)
    positions = clips.with_frames(filled, POSITIONS).frames
    positions = positions.reshape(POSITIONS, -1)
    self._of_texts.add(positions, cells, clip.text)
    if not self._repeated:
      self._of_all.add(positions, cells, "")

  @property
  def _repeated(self) -> bool:
    """Whether enough recordings repeat a text; once they do, it stays so.

    The covariance of fewer deviations than coordinates has no full rank.
    """
    return self._of_texts.clips >= self._skeleton.num_values

  def moments(self) -> NoiseMoments:
    """The moments, float32."""
    mean, deviation = _mean_and_deviation(*self._coordinates)
    found = self._of_texts if self._repeated else self._of_all
    moments = (
      mean,
      deviation,
      *found.moments(deviation),
      np.stack(_mean_and_deviation(*self._logs)),
    )
    return NoiseMoments(*(x.astype(np.float32) for x in moments))


class _Deviations:
  """How clips deviate from the mean of the clips of their text before them.

  The n-th clip of a text deviates from their mean by sqrt(n / (n - 1)) times as
  much as from the text's; the sums of all are those around the mean of all.
  """

  def __init__(self, skeleton: Skeleton):
    values = skeleton.num_values
    self.clips = 0
    self._texts: dict[str, tuple[np.ndarray, np.ndarray]] = {}
    self._count = np.zeros(values)
    self._products = np.zeros((2, values, values))
    self._squares = np.zeros((POSITIONS, values))
    self._lagged = np.zeros((POSITIONS - 1, values))

  def add(self, clip: np.ndarray, known: np.ndarray, text: str) -> None:
    """Adds a clip [P, C] that shows the coordinates [C]."""
    if text not in self._texts:
      if len(self._texts) == _TEXTS:
        return
      shape = (POSITIONS, len(known))
      self._texts[text] = np.zeros(len(known)), np.zeros(shape, np.float32)
    count, mean = self._texts[text]
    difference = clip - mean
    both = known & (count > 0)
    if both.any():
      share = np.sqrt(count / (count + 1)) * both
      self._add_deviation(share * difference, both)
    count += known
    mean += difference * known / np.maximum(count, 1)

  def _add_deviation(self, deviation: np.ndarray, known: np.ndarray) -> None:
    common = deviation.mean(0)
    moving = deviation - common
    self.clips += 1
    self._count += known
    self._products[0] += np.outer(common, common)
    self._products[1] += moving.T @ moving / POSITIONS
    self._squares += moving**2
    self._lagged += moving[1:] * moving[:-1]

  def moments(
    self, deviation: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariance [2, C, C], amplitude [P] and memory [P - 1].

    Args:
      deviation: [C], the unit of the coordinates.
    """
    units = np.maximum(deviation, _STILL)
    scale = 1 / (units * np.sqrt(np.maximum(self._count, 1)))
    covariance = self._products * scale[:, None] * scale
    # Positions that never move have a correlation of 0.
    squares = np.maximum((self._squares * scale**2).sum(-1), _STILL**2)
    lagged = (self._lagged * scale**2).sum(-1)
    memory = lagged / np.sqrt(squares[1:] * squares[:-1])
    return (
      covariance,
      np.sqrt(squares / squares.mean()),
      np.clip(memory, _LEAST_MEMORY, 1),
    )


def _mean_and_deviation(
  count: np.ndarray, total: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  count = np.maximum(count, 1)
  mean = total / count
  return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
