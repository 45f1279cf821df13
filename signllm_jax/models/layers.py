"""Transformer layers, written for full sequences and for one frame at a time.

Dim letters: B batch, T queries, S keys, D width, F feed-forward, N heads,
H head size. Parameters are float32; products run in `dtype` and layer norms,
softmax and residuals in float32. Matrices are applied to [B * T, D]: XLA's CPU
backend is a quarter faster on two axes than on three.

Every parameter carries the logical names of its axes as metadata `axes`, which
`partition.RULES` maps to the mesh.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from signllm_jax import fast_random
from signllm_jax.models.product import product

MASKED = -1e9  # finite: a row without keys gives a mean, not NaN

_xavier = nnx.initializers.xavier_uniform()


class Cache(NamedTuple):
  """Keys and values [B, N, T, H] of an attention layer.

  The order of axes makes decoding 2.3 times as fast as [B, T, N, H] on CPU.
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
    self.dtype = dtype

  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., d_in] -> [..., d_out] float32."""
    y = product(x, self.kernel[...], self.dtype)
    return y if self.bias is None else y + self.bias[...]


class LayerNorm(nnx.Module):
  """Layer normalisation, eps 1e-6 as in PT."""

  def __init__(self, width: int):
    self.scale = nnx.Param(jnp.ones(width), axes=("embed",))
    self.bias = nnx.Param(jnp.zeros(width), axes=("embed",))

  def __call__(self, x: jax.Array) -> jax.Array:
    """[..., D] -> [..., D]."""
    mean = jnp.mean(x, -1, keepdims=True)
    centred = x - mean
    variance = jnp.mean(centred**2, -1, keepdims=True)
    normal = centred * jax.lax.rsqrt(variance + 1e-6)
    return normal * self.scale[...] + self.bias[...]


def dropout(x: jax.Array, rate: float, key: jax.Array | None) -> jax.Array:
  """Zeroes a share of x and scales the rest; nothing without a key."""
  if key is None or rate == 0.0:
    return x
  keep = fast_random.bits(key, x.shape) >= jnp.uint32(round(rate * 2**32))
  return jnp.where(keep, x * (1 / (1 - rate)), 0)


def split(key: jax.Array | None, count: int) -> list[jax.Array | None]:
  """`count` keys, or as many None: no key means no dropout."""
  return [None] * count if key is None else list(jax.random.split(key, count))


def sinusoids(length: int, width: int) -> jax.Array:
  """Positions [length, D]: sines on even numbers, cosines on odd ones.

  A constant: XLA would compute them for every row of a batch.
  """
  position = np.arange(length)[:, None]
  angle = position * np.exp(np.arange(0, width, 2) * (-np.log(10000) / width))
  waves = np.stack([np.sin(angle), np.cos(angle)], -1).reshape(length, width)
  return jnp.asarray(waves, jnp.float32)


class Attention(nnx.Module):
  """Multi-head attention with keys and values that can be kept."""

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
    # Keys and values in one product, head by head so that heads can be sharded.
    self.memory = linear(2 * width, ("embed", "heads"))
    self.out = linear(width, ("heads", "embed"))
    self.width, self.heads = width, heads
    self.dropout_rate = dropout_rate
    self.dtype = dtype

  def _split(self, x: jax.Array) -> jax.Array:
    """[B, T, D] -> [B, N, T, H]."""
    b, t, d = x.shape
    return x.reshape(b, t, self.heads, d // self.heads).swapaxes(1, 2)

  def project(self, x: jax.Array) -> Cache:
    """Keys and values of [B, S, D]."""
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
      memory: keys and values [B, N, S, H].
      mask: bool, broadcast to [B, N, T, S]; True may be attended to.
      key: dropout key, None when not training.

    Returns:
      [B, T, D] float32.
    """
    b, t, d = x.shape
    query = self._split(self.query(x)) * (d // self.heads) ** -0.5
    scores = jnp.einsum(
      "bnth,bnsh->bnts",
      query.astype(self.dtype),
      memory.keys,
      preferred_element_type=jnp.float32,
    )
    weights = jax.nn.softmax(jnp.where(mask, scores, MASKED))
    weights = dropout(weights, self.dropout_rate, key)
    mixed = jnp.einsum(
      "bnts,bnsh->bnth",
      weights.astype(self.dtype),
      memory.values,
      preferred_element_type=jnp.float32,
    )
    return self.out(mixed.swapaxes(1, 2).reshape(b, t, d))


class FeedForward(nnx.Module):
  """Two linear maps with a non-linearity and dropout between."""

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
    """[B, T, D] -> [B, T, D]."""
    hidden = self.activation(self.up(x))
    return self.down(dropout(hidden, self.dropout_rate, key))


def remat(call: Callable[..., jax.Array], wanted: bool) -> Callable:
  """A call whose insides are computed again for the backward pass.

  Args:
    call: a layer on arrays.
    wanted: else it stays as it is.
  """
  return jax.checkpoint(call) if wanted else call


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
    """[B, S, D] with mask [B, 1, 1, S] -> [B, S, D]."""
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
    """One layer over a whole sequence, or over one frame with its past.

    Args:
      x: [B, T, D]; T is 1 when `past` is given.
      mask: [B or 1, 1, T, keys] True where a frame may be attended to.
      memory: cross-attention's keys and values of the source.
      memory_mask: [B, 1, 1, S].
      past: cache [B, N, limit, H] of earlier frames.
      at: [] index of x in it.
      key: dropout key.

    Returns:
      [B, T, D] and the cache with these frames in it.
    """
    keys = split(key, 6)
    h = self.self_norm(x)
    own = self.self_attention.project(h)
    if past is not None:
      own = Cache(
        *(
          jax.lax.dynamic_update_slice_in_dim(old, new, at, axis=2)
          for old, new in zip(past, own, strict=True)
        )
      )
    h = self.self_attention(h, own, mask, keys[0])
    x = x + dropout(h, self.dropout_rate, keys[1])
    h = self.cross_attention(self.cross_norm(x), memory, memory_mask, keys[2])
    x = x + dropout(h, self.dropout_rate, keys[3])
    h = self.feed_forward(self.feed_forward_norm(x), keys[4])
    return x + dropout(h, self.dropout_rate, keys[5]), own


class Stacked(nnx.Module):
  """Layers of one form, each of their parameters one array [layers, ...]."""

  def __init__(self, each: Sequence[nnx.Module]):
    graph = nnx.split(each[0])[0]

    def join(*leaves: nnx.Variable) -> nnx.Variable:
      axes = ("layers", *leaves[0].get_metadata().get("axes", ()))
      return leaves[0].replace(jnp.stack([x[...] for x in leaves]), axes=axes)

    params = jax.tree.map(
      join,
      *(nnx.state(layer) for layer in each),
      is_leaf=lambda x: isinstance(x, nnx.Variable),
    )
    self.layer = nnx.merge(graph, params)
    self.count = len(each)

  def __len__(self) -> int:
    return self.count

  def __iter__(self) -> Iterator[Any]:
    graph, params = nnx.split(self.layer)
    for i in range(self.count):
      yield nnx.merge(graph, jax.tree.map(lambda x, i=i: x[i], params))

  def run(
    self, call: Callable[..., jax.Array], x: jax.Array, *along: Any
  ) -> jax.Array:
    """One layer after another: x = call(layer, x, what it has of `along`).

    Args:
      call: applies a layer.
      x: what goes through all of them.
      along: for each argument of `call` a list of every layer's.
    """
    graph, params = nnx.split(self.layer)
    inputs = [jax.tree.map(lambda *each: jnp.stack(each), *xs) for xs in along]

    def one(x, layer):
      params, *rest = layer
      return call(nnx.merge(graph, params), x, *rest), None

    return jax.lax.scan(one, x, (params, *inputs))[0]


def stack(each: Iterable[nnx.Module], scan: bool) -> nnx.List | Stacked:
  """The layers of a model, in one loop if asked."""
  return Stacked(list(each)) if scan else nnx.List(each)


def apply(
  stack: nnx.List | Stacked,
  call: Callable[..., jax.Array],
  x: jax.Array,
  *along: Sequence[Any],
) -> jax.Array:
  """A stack of layers, one after another; arguments as of `Stacked.run`."""
  if isinstance(stack, Stacked):
    return stack.run(call, x, *along)
  for layer, *rest in zip(stack, *along, strict=True):
    x = call(layer, x, *rest)
  return x


def encode(
  stack: nnx.List | Stacked,
  x: jax.Array,
  mask: jax.Array,
  keys: Sequence[jax.Array | None],
  rematerialise: bool,
) -> jax.Array:
  """A stack of encoder layers.

  Args:
    stack: the layers.
    x: [B, S, D].
    mask: [B, 1, 1, S] bool, False on padding.
    keys: dropout key of each layer.
    rematerialise: as of `remat`.

  Returns:
    [B, S, D].
  """

  def call(layer, x, key):
    return remat(layer, rematerialise)(x, mask, key)

  return apply(stack, call, x, keys)


def decode(
  stack: nnx.List | Stacked,
  x: jax.Array,
  memories: Sequence[Cache],
  memory_mask: jax.Array,
  keys: Sequence[jax.Array | None],
  rematerialise: bool,
) -> jax.Array:
  """A stack of decoder layers over a whole sequence, causal.

  Args:
    stack: the layers.
    x: [B, T, D].
    memories: cross-attention's keys and values, of each layer.
    memory_mask: [B, 1, 1, S].
    keys: dropout key of each layer.
    rematerialise: as of `remat`.

  Returns:
    [B, T, D].
  """
  t = x.shape[1]
  causal = jnp.tril(jnp.ones((t, t), bool))[None, None]

  def call(layer, x, memory, key):
    def inside(x, memory, key):
      return layer(x, causal, memory, memory_mask, key=key)[0]

    return remat(inside, rematerialise)(x, memory, key)

  return apply(stack, call, x, memories, keys)


def decode_one(
  stack: nnx.List | Stacked,
  x: jax.Array,
  at: jax.Array,
  caches: Sequence[Cache],
  memories: Sequence[Cache],
  memory_mask: jax.Array,
) -> tuple[jax.Array, tuple[Cache, ...]]:
  """One position further, equal to `decode` there.

  Args:
    stack: the layers.
    x: [B, 1, D].
    at: [] its index.
    caches: of `empty_caches` or the position before.
    memories: as of `decode`.
    memory_mask: [B, 1, 1, S].

  Returns:
    [B, 1, D] and the caches with this position in them.
  """
  mask = (jnp.arange(caches[0].keys.shape[2]) <= at)[None, None, None]
  kept = []
  for layer, past, memory in zip(stack, caches, memories, strict=True):
    x, cache = layer(x, mask, memory, memory_mask, past=past, at=at)
    kept.append(cache)
  return x, tuple(kept)


def empty_caches(
  stack: nnx.List | Stacked, rows: int, limit: int
) -> tuple[Cache, ...]:
  """One empty cache [rows, N, limit, H] a layer."""
  made = []
  for layer in stack:
    own = layer.self_attention
    shape = (rows, own.heads, limit, own.width // own.heads)
    empty = jnp.zeros(shape, own.dtype)
    made.append(Cache(empty, empty))
  return tuple(made)
