"""Moments for the noise of a generative decoder, of a training split."""

from typing import NamedTuple, overload

import jax
import numpy as np

from signllm_jax.core import bones, clips, hand_space
from signllm_jax.core.skeleton import Skeleton

POSITIONS = 16  # at which clips of different lengths are compared
_ENDS = 3  # of the steps between them, at either end, that are a frame
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
  amplitude: np.ndarray  # [P, C] deviations of the latter at positions from
  # the first frame to the last (`positions`), of mean square 1 over time
  memory: np.ndarray  # [P - 1] their correlations from a frame to the next,
  # from a position on
  log_lengths: np.ndarray  # [2, K] mean and standard deviation over clips of
  # the logarithm of a bone's median length, 0 if it was never seen


@overload
def positions(last: np.ndarray) -> np.ndarray: ...
@overload
def positions(last: jax.Array) -> jax.Array: ...
def positions(last):
  """The positions [..., P] of a clip, in frames from the first.

  A recording may begin elsewhere and end at rest within a few frames, however
  long it is: the first and the last positions are a frame apart.

  Args:
    last: [..., 1] number of the last frame, counting from 0.
  """
  count = POSITIONS - 1 - 2 * _ENDS
  place = np.arange(POSITIONS)
  inner = np.clip(place - _ENDS, 0, count)  # steps that are not at the ends
  step = last / (POSITIONS - 1)
  step = step - (step - 1) * (step > 1)
  return (place - inner) * step + inner * ((last - 2 * _ENDS * step) / count)


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
    self._of_texts.add(flat, cells, clip.text)
    if not self._repeated:
      self._of_all.add(flat, cells, "")

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
    # Of frames and the next ones: squares of both, and products.
    self._pairs = np.zeros((3, POSITIONS - 1, values))

  def add(self, clip: np.ndarray, known: np.ndarray, text: str) -> None:
    """Adds a clip [T, C] that shows the coordinates [C]."""
    if text not in self._texts:
      if len(self._texts) == _TEXTS:
        return
      shape = (POSITIONS, len(known))
      self._texts[text] = np.zeros(len(known)), np.zeros(shape, np.float32)
    count, mean = self._texts[text]
    places = positions(np.array([len(clip) - 1]))
    both = known & (count > 0)
    if both.any():
      at_frames = _interpolate(mean, places, np.arange(len(clip)))
      share = np.sqrt(count / (count + 1)) * both
      self._add_deviation(share * (clip - at_frames), places)
      self._count += both
    count += known
    difference = _interpolate(clip, np.arange(len(clip)), places) - mean
    mean += difference * known / np.maximum(count, 1)

  def _add_deviation(self, deviation: np.ndarray, places: np.ndarray) -> None:
    common = deviation.mean(0)
    moving = deviation - common
    self.clips += 1
    self._products[0] += np.outer(common, common)
    self._products[1] += moving.T @ moving / len(moving)
    frames = np.arange(len(moving))
    self._squares += _interpolate(moving**2, frames, places)
    if len(moving) > 1:
      first = np.minimum(places[:-1].round().astype(int), len(moving) - 2)
      now, following = moving[first], moving[first + 1]
      self._pairs += now**2, following**2, now * following

  def moments(
    self, deviation: np.ndarray
  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Covariance [2, C, C], amplitude [P, C] and memory [P - 1].

    Args:
      deviation: [C], the unit of the coordinates.
    """
    units = np.maximum(deviation, _STILL)
    scale = 1 / (units * np.sqrt(np.maximum(self._count, 1)))
    covariance = self._products * scale[:, None] * scale
    # Coordinates and positions that never move.
    least = _STILL**2
    variance = np.maximum(np.diagonal(self._products[1]), least)
    amplitude = np.sqrt(np.maximum(self._squares, least) / variance)
    now, following, products = (self._pairs * scale**2).sum(-1)
    memory = products / np.maximum(np.sqrt(now * following), least)
    return covariance, amplitude, np.clip(memory, _LEAST_MEMORY, 1)


def _interpolate(
  values: np.ndarray, places: np.ndarray, wanted: np.ndarray
) -> np.ndarray:
  """Linear interpolation of [n, C] at places [n] to the wanted ones [m]."""
  at = np.interp(wanted, places, np.arange(len(places)))
  before = at.astype(int)
  share = (at - before)[:, None]
  after = np.minimum(before + 1, len(places) - 1)
  return values[before] * (1 - share) + values[after] * share


def _mean_and_deviation(
  count: np.ndarray, total: np.ndarray, squares: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  count = np.maximum(count, 1)
  mean = total / count
  return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
