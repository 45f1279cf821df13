"""Alignment of frames and source tokens by learnt durations.

The counter is the fraction of the sequence that is done. The duration of every
token, in frames, is predicted from its encoding. Their sum is the length of the
sequence: one frame adds its inverse to the counter, and the counter times the
length is a position among the tokens. The input of a frame is a mixture of the
tokens near its position (Gaussian upsampling, as in Shen et al. 2020, arXiv
2010.04301) and its phase within them. Durations have no labels: they are learnt
from poses and counter. This is an addition to PT, which has only
cross-attention.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.models import layers

_FRAMES = 8.0  # approximate duration of a token at initialisation
_SHARPNESS = 4.0  # a token's weight at its neighbour's centre is exp(-4)
_WAVES = 8  # harmonics of the phase
_PERIODS = (4.0, 8.0, 16.0, 32.0)  # frames, for distances to token borders


class Timeline(NamedTuple):
  """Tokens laid out in time."""

  states: jax.Array  # [B, S, D] features of each token for its frames
  centres: jax.Array  # [B, S] in frames
  durations: jax.Array  # [B, S] in frames
  total: jax.Array  # [B] their sum
  pace: jax.Array  # [B] increment of the counter per frame
  mask: jax.Array  # [B, S] bool, False on padding


class Alignment(nnx.Module):
  """Predicts durations, and aligns frames to tokens by their counters."""

  def __init__(self, width: int, rngs: nnx.Rngs):
    self.duration = layers.Linear(width, 1, ("embed", "frame"), rngs=rngs)
    self.states = layers.Linear(width, width, ("embed", "heads"), rngs=rngs)
    features = 2 * _WAVES + 4 * len(_PERIODS)
    self.phase = layers.Linear(features, width, ("frame", "embed"), rngs=rngs)

  def lay_out(
    self, encoded: jax.Array, mask: jax.Array, whole: bool
  ) -> Timeline:
    """Predicts durations and lays tokens out in time.

    Args:
      encoded: [B, S, D].
      mask: [B, S] False on padding.
      whole: round the length to whole frames, so that the last counter is 1, as
        in training. False while durations are learnt.
    """
    raw = self.duration(encoded)[..., 0]
    durations = jnp.where(mask, _FRAMES * jax.nn.softplus(raw) + 0.1, 0)
    ends = jnp.cumsum(durations, 1)
    total = ends[:, -1]
    return Timeline(
      self.states(encoded),
      ends - durations / 2,
      jnp.where(mask, durations, 1),
      total,
      1 / (jnp.maximum(jnp.round(total), 1) if whole else total),
      mask,
    )

  def locate(self, timeline: Timeline, counter: jax.Array) -> jax.Array:
    """Token features [B, T, D] of frames with counters [B, T]."""
    position = counter * timeline.total[:, None]
    phase = (position[:, :, None] - timeline.centres[:, None]) / (
      timeline.durations[:, None]
    )  # [B, T, S]
    scores = jnp.where(
      timeline.mask[:, None], -_SHARPNESS * phase**2, layers.MASKED
    )
    weights = jax.nn.softmax(scores)
    mixed = jnp.einsum("bts,bsd->btd", weights, timeline.states)
    within = jnp.clip(jnp.sum(weights * phase, -1), -2, 2)
    angle = within[..., None] * (jnp.pi / 2 * jnp.arange(1, _WAVES + 1))
    angles = jnp.concatenate([angle, self._borders(timeline, position)], -1)
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)
    return mixed + self.phase(waves)

  def _borders(self, timeline: Timeline, position: jax.Array) -> jax.Array:
    """Frames since a token's start and until its end, as angles [B, T, 8].

    The movement between two letters takes the same time however long they are
    held, and so does lowering the hand after the last.
    """
    starts = timeline.centres - timeline.durations / 2  # [B, S]
    started = timeline.mask[:, None] & (position[..., None] >= starts[:, None])
    token = jnp.maximum(jnp.sum(started, -1) - 1, 0)  # [B, T]
    since = position - jnp.take_along_axis(starts, token, 1)
    until = jnp.take_along_axis(timeline.durations, token, 1) - since
    distances = jnp.stack([since, until], -1)[..., None]  # [B, T, 2, 1]
    angles = distances * (2 * jnp.pi / jnp.array(_PERIODS))
    return angles.reshape(*position.shape, -1)


def stretch(timeline: Timeline, length: jax.Array) -> Timeline:
  """The timeline with all durations multiplied so that they sum to `length`.

  Args:
    timeline: of B sources.
    length: [B] frames.
  """
  total = jnp.maximum(length, 1).astype(jnp.float32)
  factor = (total / timeline.total)[:, None]
  return timeline._replace(
    centres=timeline.centres * factor,
    durations=timeline.durations * factor,
    total=total,
    pace=1 / total,
  )
