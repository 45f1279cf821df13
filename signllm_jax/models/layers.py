"""Transformer layers, for whole sequences and for decoding step by step.

Dim letters: B batch, T queries, S keys, D width, F feed-forward, N heads,
H head size. Parameters are float32; products run in `dtype` and layer norms,
softmax and residuals in float32. Matrices are applied to [B * T, D]: XLA's CPU
backend is a quarter faster on two axes than on three.

Every parameter carries the logical names of its axes as metadata `axes`, which
`sharding.RULES` maps to the mesh.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from signllm_jax.core import random_bits
from signllm_jax.models.product import product

MASKED = -1e9  # finite: a row without keys yields a mean, not NaN

_xavier = nnx.initializers.xavier_uniform()


class Cache(NamedTuple):
  """Keys and values of an attention layer: [B, N, T, H], growing [B * N, T, H].

  On CPU, decoding is 2.3 times as fast with this order of axes as with [B, T,
  N, H]. A growing cache has one axis for rows and heads: XLA's CPU backend
  copies all of a [1, N, T, H] three times for every frame written to it.
  """

  keys: jax.Array
  values: jax.Array


class Linear(nnx.Module):
  """x @ kernel + bias over the last axis."""

  def __init__(
    self,
    d_in: int,
    d_out: int,
    axes: tuple[str, str],
    *,
    use_bias: bool = True,
    dtype: jnp.dtype = jnp.float32,
    rngs: nnx.Rngs,
  ):
    self.kernel = nnx.Param(_xavier(rngs.params(), (d_in, d_out)), axes=axes)
    self.bias = (
      nnx.Param(jnp.zeros(d_out), axes=(axes[1],)) if use_bias else None
    )
    self.dtype, self.axes = dtype, axes

  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [..., d_in] to [..., d_out] float32."""
    y = product(x, self.kernel[...], self.dtype, self.axes)
    return y if self.bias is None else y + self.bias[...]


class LayerNorm(nnx.Module):
  """Layer normalisation with eps 1e-6, as in PT."""

  def __init__(self, width: int):
    self.scale = nnx.Param(jnp.ones(width), axes=("embed",))
    self.bias = nnx.Param(jnp.zeros(width), axes=("embed",))

  def __call__(self, x: jax.Array) -> jax.Array:
    """Normalises [..., D] over the last axis."""
    mean = jnp.mean(x, -1, keepdims=True)
    centred = x - mean
    variance = jnp.mean(centred**2, -1, keepdims=True)
    normal = centred * jax.lax.rsqrt(variance + 1e-6)
    return normal * self.scale[...] + self.bias[...]


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
  """Zeroes a share of x and scales the rest; returns x without a key."""
  if key is None or rate == 0.0:
    return x
  keep = random_bits.bits(key, x.shape) >= jnp.uint32(round(rate * 2**32))
  return jnp.where(keep, x * (1 / (1 - rate)), 0)


def split(key: jax.Array | None, count: int) -> list[jax.Array | None]:
  """Splits a dropout key into `count` keys; None into as many None."""
  return [None] * count if key is None else list(jax.random.split(key, count))


def sinusoids(length: int, width: int) -> jax.Array:
  """Position encodings [length, D]: sines at even indices, cosines at odd.

  They are a constant: XLA would compute them for every row of a batch.
  """
  position = np.arange(length)[:, None]
  angle = position * np.exp(np.arange(0, width, 2) * (-np.log(10000) / width))
  waves = np.stack([np.sin(angle), np.cos(angle)], -1).reshape(length, width)
  return jnp.asarray(waves, jnp.float32)


class Attention(nnx.Module):
  """Multi-head attention with cacheable keys and values."""

  def __init__(
    self,
    width: int,
    heads: int,
    *,
    dropout_rate: float,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ):
    def linear(d_out, axes):
      return Linear(width, d_out, axes, dtype=dtype, rngs=rngs)

    self.query = linear(width, ("embed", "heads"))
    # Keys and values in one product, ordered by head: heads can be sharded.
    self.memory = linear(2 * width, ("embed", "heads"))
    self.out = linear(width, ("heads", "embed"))
    self.width, self.heads = width, heads
    self.dropout_rate = dropout_rate
    self.dtype = dtype

  def _split(self, x: jax.Array) -> jax.Array:
    """Splits [B, T, D] into heads [B, N, T, H]."""
    b, t, d = x.shape
    return x.reshape(b, t, self.heads, d // self.heads).swapaxes(1, 2)

  def project(self, x: jax.Array) -> Cache:
    """Computes keys and values of [B, S, D]."""
    b, s, d = x.shape
    pairs = self.memory(x).astype(self.dtype)
    pairs = pairs.reshape(b, s, self.heads, 2, d // self.heads)
    pairs = pairs.transpose(3, 0, 2, 1, 4)
    return Cache(pairs[0], pairs[1])

  def __call__(
    self,
    x: jax.Array,
    memory: Cache,
    mask: jax.Array,
    key: jax.Array | None = None,
  ) -> jax.Array:
    """Attends from x to memory.

    Args:
      x: [B, T, D].
      memory: keys and values [B, N, S, H] or [B * N, S, H].
      mask: bool, broadcast to their axes and T, S; True where attention is
        allowed.
      key: dropout key, None when not training.

    Returns:
      [B, T, D] float32.
    """
    b, t, d = x.shape
    query = self._split(self.query(x)) * (d // self.heads) ** -0.5
    split = query.shape
    query = query.reshape(*memory.keys.shape[:-2], t, d // self.heads)
    scores = jnp.einsum(
      "...th,...sh->...ts",
      query.astype(self.dtype),
      memory.keys,
      preferred_element_type=jnp.float32,
    )
    weights = jax.nn.softmax(jnp.where(mask, scores, MASKED))
    weights = dropout(weights, self.dropout_rate, key)
    mixed = jnp.einsum(
      "...ts,...sh->...th",
      weights.astype(self.dtype),
      memory.values,
      preferred_element_type=jnp.float32,
    )
    mixed = mixed.reshape(split)
    return self.out(mixed.swapaxes(1, 2).reshape(b, t, d))


class FeedForward(nnx.Module):
  """Two linear maps with a non-linearity and dropout in between."""

  def __init__(
    self,
    width: int,
    hidden: int,
    activation: str,
    *,
    dropout_rate: float,
    dtype: jnp.dtype,
    rngs: nnx.Rngs,
  ):
    self.up = Linear(width, hidden, ("embed", "mlp"), dtype=dtype, rngs=rngs)
    self.down = Linear(hidden, width, ("mlp", "embed"), dtype=dtype, rngs=rngs)
    self.activation = {"relu": jax.nn.relu, "gelu": jax.nn.gelu}[activation]
    self.dropout_rate = dropout_rate

  def __call__(self, x: jax.Array, key: jax.Array | None) -> jax.Array:
    """Maps [B, T, D] to [B, T, D]."""
    hidden = self.activation(self.up(x))
    return self.down(dropout(hidden, self.dropout_rate, key))


class EncoderLayer(nnx.Module):
  """Pre-norm self-attention and feed-forward."""

  def __init__(self, config, dtype: jnp.dtype, rngs: nnx.Rngs):
    shared = {"dropout_rate": config.dropout, "dtype": dtype, "rngs": rngs}
    self.attention_norm = LayerNorm(config.width)
    self.attention = Attention(config.width, config.heads, **shared)
    self.feed_forward_norm = LayerNorm(config.width)
    self.feed_forward = FeedForward(
      config.width, config.feed_forward, config.activation, **shared
    )
    self.dropout_rate = config.dropout

  def __call__(
    self, x: jax.Array, mask: jax.Array, key: jax.Array | None
  ) -> jax.Array:
    """Maps [B, S, D] with mask [B, 1, 1, S] to [B, S, D]."""
    keys = split(key, 4)
    h = self.attention_norm(x)
    h = self.attention(h, self.attention.project(h), mask, keys[0])
    x = x + dropout(h, self.dropout_rate, keys[1])
    h = self.feed_forward(self.feed_forward_norm(x), keys[2])
    return x + dropout(h, self.dropout_rate, keys[3])


class DecoderLayer(nnx.Module):
  """Pre-norm causal self-attention, cross-attention and feed-forward."""

  def __init__(self, config, dtype: jnp.dtype, rngs: nnx.Rngs):
    shared = {"dropout_rate": config.dropout, "dtype": dtype, "rngs": rngs}
    self.self_norm = LayerNorm(config.width)
    self.self_attention = Attention(config.width, config.heads, **shared)
    self.cross_norm = LayerNorm(config.width)
    self.cross_attention = Attention(config.width, config.heads, **shared)
    self.feed_forward_norm = LayerNorm(config.width)
    self.feed_forward = FeedForward(
      config.width, config.feed_forward, config.activation, **shared
    )
    self.dropout_rate = config.dropout

  def __call__(
    self,
    x: jax.Array,
    mask: jax.Array,
    memory: Cache,
    memory_mask: jax.Array,
    *,
    past: Cache | None = None,
    at: jax.Array | int = 0,
    key: jax.Array | None = None,
  ) -> tuple[jax.Array, Cache]:
    """Applies the layer to a whole sequence, or to one frame with its past.

    Args:
      x: [B, T, D]; T is 1 when `past` is given.
      mask: [B or 1, 1, T, keys] True where attention is allowed; [1, T, keys]
        with a past.
      memory: keys and values of the source, for cross-attention.
      memory_mask: [B, 1, 1, S].
      past: cache [B * N, limit, H] of earlier frames.
      at: [] index of x in the cache.
      key: dropout key.

    Returns:
      [B, T, D] and the cache extended by these frames.
    """
    keys = split(key, 6)
    h = self.self_norm(x)
    own = self.self_attention.project(h)
    if past is not None:
      own = Cache(
        *(
          jax.lax.dynamic_update_slice_in_dim(
            old, new.reshape(-1, 1, new.shape[-1]), at, axis=1
          )
          for old, new in zip(past, own, strict=True)
        )
      )
    h = self.self_attention(h, own, mask, keys[0])
    x = x + dropout(h, self.dropout_rate, keys[1])
    h = self.cross_attention(self.cross_norm(x), memory, memory_mask, keys[2])
    x = x + dropout(h, self.dropout_rate, keys[3])
    h = self.feed_forward(self.feed_forward_norm(x), keys[4])
    return x + dropout(h, self.dropout_rate, keys[5]), own
