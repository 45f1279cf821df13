"""A generative decoder: conditional flow matching over a whole clip.

A sample moves from noise x_0 (`flow_noise`) at time 0 to a clip x_1 at time 1,
along straight paths x_t = (1 - t) x_0 + t x_1 (Lipman et al. 2023, arXiv
2210.02747; Liu et al. 2023, arXiv 2209.03003). The network estimates the clip
x_1 from x_t, t and the source; the velocity of the path is (x_1 - x_t) /
(1 - t). A last step thus ends on an estimate, which holds no rest of the noise.
Beside its poses a clip has the lengths of its bones: signers differ in them,
the frames of a clip do not. What is constant in a clip is decided at small t,
where the mean of its noisy frames says most: it goes in beside each frame, and
each frame takes a share of it out, which starts at the best linear estimate.

The network is our transformer: frames attend to all frames and to the source,
and the time acts through the scales, shifts and gates of the norms (adaptive
norms, Peebles and Xie 2023, arXiv 2212.09748; one map for all layers and a
table a layer, Chen et al. 2024, arXiv 2310.00426). One more key of the
cross-attention stands for an absent source; a row that sees that key alone is
unconditional (classifier-free guidance, Ho and Salimans 2022).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.models import alignment, layers, stacks, visibility
from signllm_jax.models.flow_noise import FlowClip

LOGITS = (-3.5, 3.5)  # of the first and last time, log(t / (1 - t)); the
# estimate at the last is the clip

_MODULATIONS = 9  # shift, scale and gate of three blocks
_TIMES = 1000.0  # multiplies the time before its sinusoids
_ENDS = 4  # frames at either end of a clip that are known by their place
_SPREAD = (-3.0, 0.0)  # range of the log standard deviation of log lengths


class FlowSource(NamedTuple):
  """The encoded source, projected for every layer."""

  memories: tuple[layers.Cache, ...]  # S + 1 keys; the first is "absent"
  mask: jax.Array  # [B, S] bool, False on padding
  summary: jax.Array  # [B, D] mean of the encoded tokens
  timeline: alignment.Timeline
  spread: jax.Array  # [B] standard deviation of the log of the length


class Estimate(NamedTuple):
  """What is estimated of clips."""

  clip: FlowClip
  visible: jax.Array | None  # [B, T, J] logits, with `model.visibility`


class FlowLayer(nnx.Module):
  """Self-attention, cross-attention and feed-forward with adaptive norms."""

  def __init__(self, config: Model, dtype: jnp.dtype, rngs: nnx.Rngs):
    shared = {"dropout_rate": config.dropout, "dtype": dtype, "rngs": rngs}
    self.self_norm = layers.LayerNorm(config.width)
    self.self_attention = layers.Attention(config.width, config.heads, **shared)
    self.cross_norm = layers.LayerNorm(config.width)
    self.cross_attention = layers.Attention(
      config.width, config.heads, **shared
    )
    self.feed_forward_norm = layers.LayerNorm(config.width)
    self.feed_forward = layers.FeedForward(
      config.width, config.feed_forward, config.activation, **shared
    )
    self.table = nnx.Param(
      jnp.zeros((_MODULATIONS, config.width)), axes=("frame", "embed")
    )
    self.dropout_rate = config.dropout

  def __call__(
    self,
    x: jax.Array,
    mask: jax.Array,
    memory: layers.Cache,
    memory_mask: jax.Array,
    modulation: jax.Array,
    key: jax.Array | None,
  ) -> jax.Array:
    """Applies the layer.

    Args:
      x: [B, T, D].
      mask: [B, 1, 1, T] bool, False on padding.
      memory: keys and values of the source.
      memory_mask: [B, 1, 1, S + 1] bool.
      modulation: [B, 9, D] of the time.
      key: dropout key, None when not training.

    Returns:
      [B, T, D].
    """
    keys = layers.split(key, 6)
    parts = jnp.split(modulation + self.table[...], _MODULATIONS, 1)
    shifts, scales, gates = parts[:3], parts[3:6], parts[6:]  # [B, 1, D] each
    h = self.self_norm(x) * (1 + scales[0]) + shifts[0]
    own = self.self_attention.project(h)
    h = self.self_attention(h, own, mask, keys[0])
    x = x + gates[0] * layers.dropout(h, self.dropout_rate, keys[1])
    h = self.cross_norm(x) * (1 + scales[1]) + shifts[1]
    h = self.cross_attention(h, memory, memory_mask, keys[2])
    x = x + gates[1] * layers.dropout(h, self.dropout_rate, keys[3])
    h = self.feed_forward_norm(x) * (1 + scales[2]) + shifts[2]
    h = self.feed_forward(h, keys[4])
    return x + gates[2] * layers.dropout(h, self.dropout_rate, keys[5])


class FlowDecoder(nnx.Module):
  """Estimates clips from noisy clips; subclasses add the encoder."""

  def __init__(self, config: Model, skeleton: Skeleton, rngs: nnx.Rngs):
    """Builds the decoder.

    Args:
      config: its shape.
      skeleton: of its clips; J joints, C numbers a frame.
      rngs: stream `params`.
    """
    d, dtype = config.width, jnp.dtype(config.compute_dtype)

    def linear(d_in: int, d_out: int, axes: tuple[str, str]) -> layers.Linear:
      return layers.Linear(d_in, d_out, axes, rngs=rngs)

    values, bones = skeleton.num_values, skeleton.num_bones
    self.frame_in = linear(values + 1, d, ("frame", "embed"))
    self.mean_in = linear(values, d, ("frame", "embed"))
    self.lengths_in = linear(bones, d, ("frame", "embed"))
    self.ends = nnx.Param(jnp.zeros((2 * _ENDS, d)), axes=("frame", "embed"))
    self.decoder = stacks.stack(
      [FlowLayer(config, dtype, rngs) for _ in range(config.decoder_layers)],
      config.scan,
    )
    self.decoder_norm = layers.LayerNorm(d)
    self.frame_out = linear(d, values, ("embed", "frame"))
    self.mean_out = linear(d, values, ("embed", "frame"))
    self.mean_out.kernel[...] = jnp.zeros((d, values))
    self.lengths_out = linear(d, bones, ("embed", "frame"))
    self.visible_out = (
      visibility.head(d, skeleton, rngs) if config.visibility else None
    )
    self.skeleton = skeleton
    self.time_in = linear(d, d, ("embed", "mlp"))
    self.time_out = linear(d, d, ("mlp", "embed"))
    self.smooth_out = linear(d, values, ("embed", "frame"))
    self.summary = linear(d, d, ("embed", "mlp"))
    self.modulation = linear(d, _MODULATIONS * d, ("embed", "frame"))
    # Every layer begins as the identity.
    self.modulation.kernel[...] = jnp.zeros((d, _MODULATIONS * d))
    self.absent = nnx.Param(jnp.zeros(d), axes=("embed",))
    self.alignment = alignment.Alignment(d, rngs)
    self.aligned = config.alignment
    self.spread = linear(d, 1, ("embed", "frame"))
    self.dropout_rate, self.remat = config.dropout, config.remat
    self.width = d

  def project_memory(self, encoded: jax.Array, mask: jax.Array) -> FlowSource:
    """Projects the encoded source once for all steps, and predicts its length.

    Args:
      encoded: [B, S, D].
      mask: [B, 1, 1, S] bool, False on padding.
    """
    mask = mask[:, 0, 0]
    absent = jnp.broadcast_to(self.absent[...], encoded[:, :1].shape)
    keys = jnp.concatenate([absent, encoded], 1)
    memories = tuple(
      layer.cross_attention.project(keys) for layer in self.decoder
    )
    summary = _mean(encoded, mask)
    timeline = self.alignment.lay_out(encoded, mask, whole=False)
    spread = jnp.exp(jnp.clip(self.spread(summary)[:, 0], *_SPREAD))
    return FlowSource(memories, mask, summary, timeline, spread)

  def estimate(
    self,
    noisy: FlowClip,
    time: jax.Array,
    length: jax.Array,
    source: FlowSource,
    present: jax.Array,
    key: jax.Array | None = None,
  ) -> Estimate:
    """Estimates clips from noisy clips.

    Args:
      noisy: x_t; padding is ignored.
      time: [B] in [0, 1]; 0 is noise.
      length: [B] frames.
      source: of `project_memory`.
      present: [B] bool, rows that see their source.
      key: dropout key, None when not training.
    """
    t = noisy.poses.shape[1]
    keys = layers.split(key, len(self.decoder) + 1)
    frame = jnp.arange(1, t + 1, dtype=jnp.float32)
    counter = jnp.minimum(frame / jnp.maximum(length, 1)[:, None], 1)
    x = self.frame_in(jnp.concatenate([noisy.poses, counter[..., None]], -1))
    inside = frame <= length[:, None]
    mask = inside[:, None, None]
    mean = _mean(noisy.poses, inside)
    x = x + (self.mean_in(mean) + self.lengths_in(noisy.lengths))[:, None]
    x = x + layers.sinusoids(t, self.width) + self._at_ends(length, t)
    if self.aligned:
      timeline = alignment.stretch(source.timeline, length)
      located = self.alignment.locate(timeline, counter)
      x = x + jnp.where(present[:, None, None], located, 0)
    x = layers.dropout(x, self.dropout_rate, keys[0])
    first = jnp.ones((len(time), 1), bool)
    memory_mask = jnp.concatenate([first, source.mask & present[:, None]], 1)[
      :, None, None
    ]
    modulation = self._modulate(time, source.summary, present)

    def call(layer, x, memory, key):
      def apply(x, memory, key):
        return layer(x, mask, memory, memory_mask, modulation, key)

      return stacks.remat(apply, self.remat)(x, memory, key)

    x = stacks.apply(self.decoder, call, x, source.memories, keys[1:])
    x = self.decoder_norm(x)
    visible = None if self.visible_out is None else self.visible_out(x)
    # The best linear estimate, where noise and clips deviate alike.
    share = time / (time**2 + (1 - time) ** 2)
    share = share[:, None, None] + self.mean_out(x)
    poses = self.frame_out(x) + share * mean[:, None]
    poses = self._smooth(poses, x, length)
    lengths = _mean(self.lengths_out(x), inside)
    return Estimate(FlowClip(poses, lengths), visible)

  def _at_ends(self, length: jax.Array, frames: int) -> jax.Array:
    """Embeddings [B, T, D] of the first and last frames; 0 between them."""
    frame = jnp.arange(frames)
    since = jax.nn.one_hot(frame, _ENDS)
    until = jax.nn.one_hot(length[:, None] - 1 - frame, _ENDS)
    first, last = jnp.split(self.ends[...], 2)
    return since @ first + until @ last

  def _smooth(
    self, clips: jax.Array, states: jax.Array, length: jax.Array
  ) -> jax.Array:
    """Moves clips [B, T, C] towards the means of neighbouring frames.

    Errors of single frames, which people see as trembling, are damped. The
    share of each number follows from the state of its frame: movement comes in
    bursts, which must not be damped, and fast movement is estimated late.
    """
    share = jax.nn.sigmoid(self.smooth_out(states))
    return clips + share * (_neighbour_means(clips, length) - clips)

  def _waves(self, time: jax.Array) -> jax.Array:
    """Sinusoids [B, D] of times [B]."""
    rates = jnp.exp(-jnp.log(10000) * jnp.arange(0, self.width, 2) / self.width)
    angles = _TIMES * time[:, None] * rates
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], -1)

  def _modulate(
    self, time: jax.Array, summary: jax.Array, present: jax.Array
  ) -> jax.Array:
    """Modulations [B, 9, D] of the norms by time and source."""
    waves = self._waves(time)
    state = self.time_out(jax.nn.silu(self.time_in(waves)))
    state = state + jnp.where(present[:, None], self.summary(summary), 0)
    modulation = self.modulation(jax.nn.silu(state))
    return modulation.reshape(len(waves), _MODULATIONS, self.width)


def _mean(values: jax.Array, mask: jax.Array) -> jax.Array:
  """Means [B, N] of values [B, T, N] where the mask [B, T] is set."""
  counted = mask[..., None].astype(jnp.float32)
  total = jnp.maximum(jnp.sum(counted, 1), 1)
  return jnp.sum(values * counted, 1) / total


def _neighbour_means(clips: jax.Array, length: jax.Array) -> jax.Array:
  """Means [B, T, C] of each frame (half) and its two neighbours (a quarter)."""
  frame = jnp.arange(clips.shape[1])
  last = jnp.maximum(length, 1)[:, None] - 1
  before = jnp.clip(frame - 1, 0, last)[..., None]
  after = jnp.clip(frame + 1, 0, last)[..., None]
  neighbours = [
    jnp.take_along_axis(clips, index, 1, mode="clip")
    for index in (before, after)
  ]
  return clips / 2 + sum(neighbours) / 4
