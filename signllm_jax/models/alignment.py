"""Learnt durations: which source token a frame belongs to, and how far in.

The counter says how much of the signing is done. Every token gets a duration
in frames from its encoding; their sum is the length of the sequence, so one
frame moves the counter by one over it, and the counter times that length is a
place among the tokens. A frame then starts from a mixture of the tokens around
its place (Gaussian upsampling, as in Shen et al. 2020, arXiv 2010.04301) and
the phase within them. Durations are never given: they are learnt from the
poses and the counter alone. An addition of ours; PT has only cross-attention.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.models import layers

_FRAMES = 8.0  # duration of a token before anything is learnt, about
_SHARPNESS = 4.0  # a token's weight at its neighbour's centre is exp(-4)
_WAVES = 8  # of the phase
_PERIODS = (4.0, 8.0, 16.0, 32.0)  # in frames, of the distances to borders


class Timeline(NamedTuple):
  """Tokens laid out in time."""

  states: jax.Array  # [B, S, D] what a frame gets of each token
  centres: jax.Array  # [B, S] in frames
  durations: jax.Array  # [B, S] in frames
  total: jax.Array  # [B] their sum
  pace: jax.Array  # [B] what one frame adds to the counter
  real: jax.Array  # [B, S] bool


class Alignment(nnx.Module):
  """Tokens -> timeline; timeline and counter -> where each frame is."""

  def __init__(self, width: int, rngs: nnx.Rngs):
    self.duration = layers.Linear(width, 1, ("embed", "frame"), rngs=rngs)
    self.states = layers.Linear(width, width, ("embed", "heads"), rngs=rngs)
    features = 2 * _WAVES + 4 * len(_PERIODS)
    self.phase = layers.Linear(features, width, ("frame", "embed"), rngs=rngs)

  def lay_out(
    self, encoded: jax.Array, real: jax.Array, whole: bool
  ) -> Timeline:
    """Lays tokens out in time.

    Args:
      encoded: [B, S, D].
      real: [B, S] False on padding.
      whole: the sequence has a whole number of frames, so that the last one's
        counter is 1, as it is in training. Not while durations are learnt.
    """
    raw = self.duration(encoded)[..., 0]
    durations = jnp.where(real, _FRAMES * jax.nn.softplus(raw) + 0.1, 0)
    ends = jnp.cumsum(durations, 1)
    total = ends[:, -1]
    return Timeline(
      self.states(encoded),
      ends - durations / 2,
      jnp.where(real, durations, 1),
      total,
      1 / (jnp.maximum(jnp.round(total), 1) if whole else total),
      real,
    )

  def locate(self, timeline: Timeline, counter: jax.Array) -> jax.Array:
    """What frames with counters [B, T] get of the tokens: [B, T, D]."""
    place = counter * timeline.total[:, None]
    phase = (place[:, :, None] - timeline.centres[:, None]) / (
      timeline.durations[:, None]
    )  # [B, T, S]
    scores = jnp.where(
      timeline.real[:, None], -_SHARPNESS * phase**2, layers.MASKED
    )
    weights = jax.nn.softmax(scores)
    mixed = jnp.einsum("bts,bsd->btd", weights, timeline.states)
    within = jnp.clip(jnp.sum(weights * phase, -1), -2, 2)
    angle = within[..., None] * (jnp.pi / 2 * jnp.arange(1, _WAVES + 1))
    angles = jnp.concatenate([angle, self._borders(timeline, place)], -1)
    waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)
    return mixed + self.phase(waves)

  def _borders(self, timeline: Timeline, place: jax.Array) -> jax.Array:
    """Frames since the token began and until it ends, as angles [B, T, 8].

    The movement between two letters takes its time however long they are held,
    and so does the hand's fall after the last.
    """
    starts = timeline.centres - timeline.durations / 2  # [B, S]
    began = timeline.real[:, None] & (place[..., None] >= starts[:, None])
    token = jnp.maximum(jnp.sum(began, -1) - 1, 0)  # [B, T]
    since = place - jnp.take_along_axis(starts, token, 1)
    until = jnp.take_along_axis(timeline.durations, token, 1) - since
    distances = jnp.stack([since, until], -1)[..., None]  # [B, T, 2, 1]
    angles = distances * (2 * jnp.pi / jnp.array(_PERIODS))
    return angles.reshape(*place.shape, -1)
