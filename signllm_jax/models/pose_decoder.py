"""The decoder of frames that all pose-producing models share.

Linear maps embed frames with their counters, C + 1 -> D, and predict them, D ->
C + 1: p_{t+1} = Dec(p_{1:t}, f_{1:S}) (section 5). Poses are normalised
(`pose_statistics.PoseStatistics`).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.models import alignment, layers, stacks, visibility


class Source(NamedTuple):
  """The encoded source, projected for every decoder layer."""

  memories: tuple[layers.Cache, ...]
  mask: jax.Array  # [B, 1, 1, S]
  timeline: alignment.Timeline | None  # with `alignment` in the configuration


class Prediction(NamedTuple):
  """Frames that a decoder predicts.

  Attributes:
    frames: [B, T, C + 1 + C (k - 1)] the frame after each input, then the poses
      of the k - 1 frames after that, where k is `model.future`.
    visible: [B, T, J] logits of the visibility of the frame after each input;
      None without `model.visibility`.
  """

  frames: jax.Array
  visible: jax.Array | None


class PoseDecoder(nnx.Module):
  """Transformer decoder of frames; subclasses add the encoder."""

  def __init__(self, config: Model, skeleton: Skeleton, rngs: nnx.Rngs):
    """Builds the decoder.

    Args:
      config: its shape.
      skeleton: of its frames; J joints, C numbers a frame.
      rngs: stream `params`.
    """
    d = config.width
    dtype = jnp.dtype(config.compute_dtype)
    self.skeleton = skeleton
    self.frame_size = skeleton.num_values + 1  # with the counter
    self.frame_in = layers.Linear(
      self.frame_size, d, ("frame", "embed"), rngs=rngs
    )
    self.decoder = stacks.stack(
      [
        layers.DecoderLayer(config, dtype, rngs)
        for _ in range(config.decoder_layers)
      ],
      config.scan,
    )
    self.decoder_norm = layers.LayerNorm(d)
    # The next frame with its counter, then the poses of later frames.
    numbers = self.frame_size + (config.future - 1) * skeleton.num_values
    self.frame_out = layers.Linear(
      d, numbers, ("embed", "frame"), use_bias=False, rngs=rngs
    )
    # With a learnt start, inference needs no ground-truth frame.
    self.start = (
      nnx.Param(jnp.zeros(self.frame_size), axes=("frame",))
      if config.learnt_start
      else None
    )
    self.alignment = alignment.Alignment(d, rngs) if config.alignment else None
    self.visible_out = (
      visibility.head(d, skeleton, rngs) if config.visibility else None
    )
    self.dropout_rate = config.dropout
    self.just_counter, self.remat = config.just_counter, config.remat
    self.width = d

  def start_frames(self, batch: int) -> jax.Array:
    """Decoder input [B, C + 1] before the first frame; its counter is 0."""
    size = self.frame_size
    start = jnp.zeros(size) if self.start is None else self.start[...]
    start = start.at[-1].set(0)
    return jnp.broadcast_to(start, (batch, size))

  def _embed(
    self, frames: jax.Array, positions: jax.Array, source: Source
  ) -> jax.Array:
    """Embeds input frames [B, T, C + 1] at positions [T, D] as [B, T, D]."""
    counter = frames[..., -1]
    if self.just_counter:  # augmentation of section 5: no poses as input
      frames = frames.at[..., :-1].set(0)
    x = self.frame_in(frames) + positions
    if self.alignment is not None and source.timeline is not None:
      x = x + self.alignment.locate(source.timeline, counter)
    return x

  def _predict(
    self, x: jax.Array, frames: jax.Array, source: Source
  ) -> Prediction:
    """Predicts the frames after `frames` [B, T, C + 1] from states [B, T, D].

    With an alignment the durations determine the counter. A decoder that
    predicts it would, under teacher forcing, copy the pace of the ground-truth
    counters, and have no pace in free running.
    """
    x = self.decoder_norm(x)
    visible = None if self.visible_out is None else self.visible_out(x)
    out = self.frame_out(x)
    if source.timeline is None:
      return Prediction(out, visible)
    counter = frames[..., -1:] + source.timeline.pace[:, None, None]
    place = self.frame_size - 1
    return Prediction(out.at[..., place].set(counter[..., 0]), visible)

  def project_memory(
    self, encoded: jax.Array, mask: jax.Array, whole: bool = False
  ) -> Source:
    """Projects the encoded source once for all frames.

    Args:
      encoded: [B, S, D].
      mask: [B, 1, 1, S] bool, False on padding.
      whole: round the length to whole frames, for free running.
    """
    memories = tuple(
      layer.cross_attention.project(encoded) for layer in self.decoder
    )
    timeline = (
      None
      if self.alignment is None
      else self.alignment.lay_out(encoded, mask[:, 0, 0], whole)
    )
    return Source(memories, mask, timeline)

  def decode(
    self, frames: jax.Array, source: Source, key: jax.Array | None = None
  ) -> Prediction:
    """Decodes all frames at once with a causal mask.

    Args:
      frames: [B, T, C + 1] decoder inputs, the start frame first.
      source: from `project_memory`.
      key: dropout key, None when not training.
    """
    t = frames.shape[1]
    keys = layers.split(key, len(self.decoder) + 1)
    x = self._embed(frames, layers.sinusoids(t, self.width), source)
    x = layers.dropout(x, self.dropout_rate, keys[0])
    x = stacks.decode(
      self.decoder, x, source.memories, source.mask, keys[1:], self.remat
    )
    return self._predict(x, frames, source)

  def empty_cache(self, batch: int, limit: int) -> tuple[layers.Cache, ...]:
    """Empty caches [B * N, limit, H], one per decoder layer."""
    return stacks.empty_caches(self.decoder, batch, limit)

  def step(
    self,
    frame: jax.Array,
    at: jax.Array,
    caches: tuple[layers.Cache, ...],
    source: Source,
  ) -> tuple[Prediction, tuple[layers.Cache, ...]]:
    """Decodes one frame; equal to `decode` at that position.

    Args:
      frame: [B, C + 1] input frame.
      at: [] its index.
      caches: of `empty_cache` or the previous step.
      source: from `project_memory`.

    Returns:
      The next frame [B, C + 1] with its visibility [B, J], and the caches.
    """
    limit = caches[0].keys.shape[1]
    position = layers.sinusoids(limit, self.width)[at]
    x = self._embed(frame[:, None], position, source)
    x, caches = stacks.decode_step(
      self.decoder, x, at, caches, source.memories, source.mask
    )
    predicted = self._predict(x, frame[:, None], source)
    visible = None if predicted.visible is None else predicted.visible[:, 0]
    return Prediction(
      predicted.frames[:, 0, : self.frame_size], visible
    ), caches
