"""The noise from which a generative decoder's samples start.

It varies as the recordings of a text do about their mean, in the decoder's
coordinates: a decoder need not remove what no recording has, such as a longer
bone, nor add what the noise lacks. One part is common to all frames of a clip
(mixed noise, Ge et al. 2023, arXiv 2305.10474), as the place where a person
signs is. The other is autoregressive from frame to frame; its correlation from
a frame to the next and the amplitude of each of its numbers depend on the
position between the first frame and the last, since recordings may begin far
apart and end at rest. Its innovations come in bursts, as movement does: normal
noise of the same variance moves faster on average. Each part has its own
covariance (`data.noise_moments`). Bone lengths are variables of the clip, not
of its frames; theirs is independent.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.data.noise_moments import POSITIONS, positions
from signllm_jax.data.pose_statistics import ClipNoise

_LEAST = 1e-3  # deviation in any direction, of coordinates of deviation 1
_BURSTS = 0.6  # standard deviation of the log of a frame's innovation
_STILL = 0.05  # least unit of a coordinate, as a share of the joints' scale


class FlowClip(NamedTuple):
  """A clip as the decoder sees it, or its noise or an estimate of it."""

  poses: jax.Array  # [B, T, C] in the coordinates of `hand_space`, of unit
  # variance
  lengths: jax.Array  # [B, K] logs of bone lengths, standardised


def measure(
  deviation: np.ndarray, covariance: np.ndarray, scale: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  """Units of the coordinates, and roots of covariances in these units.

  Args:
    deviation: [..., C] of coordinates, in canonical units.
    covariance: [..., 2, C, C] in units of the deviation.
    scale: [...] pooled deviation of the joints.

  Returns:
    [..., C] and [..., 2, C, C] float32. The unit of a coordinate is its
    deviation, or a share of the scale where that is more. The roots are
    symmetric.
  """
  units = np.maximum(deviation, _STILL * scale[..., None])
  share = (deviation / units)[..., None, :]
  covariance = covariance * share[..., None, :] * share[..., None]
  values, vectors = np.linalg.eigh(covariance.astype(np.float64))
  roots = np.sqrt(np.maximum(values, _LEAST**2))
  root = (vectors * roots[..., None, :]) @ vectors.mT
  return units.astype(np.float32), root.astype(np.float32)


def colour(
  common: jax.Array,
  single: jax.Array,
  bursts: jax.Array,
  length: jax.Array,
  statistics: ClipNoise,
) -> jax.Array:
  """Makes noise of white noise of clips and of frames, all standard normal.

  A frame depends on no later one.

  Args:
    common: [B, 1, C].
    single: [B, T, C].
    bursts: [B, T, 1], of the size of a frame's innovation.
    length: [B] frames.
    statistics: of all clips, or with a leading axis B.

  Returns:
    [B, T, C]; padding is like the last frame.
  """
  amplitude, weights = _temporal(length, single.shape[1], statistics)
  factor = jnp.asarray(statistics.factor)
  of_clip, of_frames = factor[..., 0, :, :], factor[..., 1, :, :]
  # Of mean square 1.
  innovations = jnp.exp(_BURSTS * (bursts - _BURSTS)) * single
  moving = (weights @ innovations) @ of_frames
  return common @ of_clip + amplitude * moving


def _temporal(
  length: jax.Array, frames: int, statistics: ClipNoise
) -> tuple[jax.Array, jax.Array]:
  """Amplitudes [B, T, C] of frames, and weights [B, T, T] of innovations.

  The correlation of two frames is the product of those between them.
  """
  frame = jnp.arange(frames)
  last = jnp.maximum(length - 1, 1)[:, None].astype(jnp.float32)
  places = positions(last)
  logs = jnp.log(statistics.memory) * jnp.diff(places)
  decay = jnp.cumulative_sum(logs, axis=-1, include_initial=True)
  # Both are linear between positions.
  number = jnp.arange(POSITIONS, dtype=jnp.float32)
  inside = jnp.minimum(frame, last)
  position = jax.vmap(jnp.interp, (0, 0, None))(inside, places, number)
  near = jnp.maximum(1 - jnp.abs(position[..., None] - number), 0)
  decay = (near * decay[:, None]).sum(-1)
  amplitude = near @ jnp.asarray(statistics.amplitude)
  since = decay[:, :, None] - decay[:, None]
  since = jnp.where(frame[:, None] < frame, -jnp.inf, since)  # not yet
  before = jnp.minimum(jnp.diff(decay, axis=1, prepend=jnp.inf), 0)
  own = jnp.sqrt(1 - jnp.exp(2 * before))
  return amplitude, own[:, None] * jnp.exp(since)
