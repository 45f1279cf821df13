"""Stacks of layers, over whole sequences or one position, unrolled or scanned.

Dim letters are those of `layers`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.models import layers


def remat(call: Callable[..., jax.Array], enabled: bool) -> Callable:
  """Wraps a layer so that the backward pass recomputes its activations.

  Args:
    call: a layer on arrays.
    enabled: if False, the layer is returned as it is.
  """
  return jax.checkpoint(call) if enabled else call


class Stacked(nnx.Module):
  """Equal layers with their parameters stacked as arrays [layers, ...]."""

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
    """Scans over the layers: x = call(layer, x, *inputs of the layer).

    Args:
      call: applies a layer.
      x: input of the first layer.
      along: for each further argument of `call` a list with an entry per layer.
    """
    graph, params = nnx.split(self.layer)
    inputs = [jax.tree.map(lambda *each: jnp.stack(each), *xs) for xs in along]

    def apply_layer(x, layer):
      params, *rest = layer
      return call(nnx.merge(graph, params), x, *rest), None

    return jax.lax.scan(apply_layer, x, (params, *inputs))[0]


def stack(each: Iterable[nnx.Module], scan: bool) -> nnx.List | Stacked:
  """Makes a stack of layers; with `scan` they run in one loop."""
  return Stacked(list(each)) if scan else nnx.List(each)


def apply(
  stack: nnx.List | Stacked,
  call: Callable[..., jax.Array],
  x: jax.Array,
  *along: Sequence[Any],
) -> jax.Array:
  """Applies the layers in order; arguments as in `Stacked.run`."""
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
  """Applies a stack of encoder layers.

  Args:
    stack: the layers.
    x: [B, S, D].
    mask: [B, 1, 1, S] bool, False on padding.
    keys: dropout key of each layer.
    rematerialise: whether to apply `remat` to each layer.

  Returns:
    [B, S, D].
  """

  def call(layer, x, key):
    return remat(layer, rematerialise)(x, mask, key)

  return apply(stack, call, x, keys)


def decode(
  stack: nnx.List | Stacked,
  x: jax.Array,
  memories: Sequence[layers.Cache],
  memory_mask: jax.Array,
  keys: Sequence[jax.Array | None],
  rematerialise: bool,
  own_mask: jax.Array | None = None,
) -> jax.Array:
  """Applies a stack of decoder layers to a whole sequence, with a causal mask.

  Args:
    stack: the layers.
    x: [B, T, D].
    memories: keys and values of each layer's cross-attention.
    memory_mask: [B, 1, 1 or T, S].
    keys: dropout key of each layer.
    rematerialise: whether to apply `remat` to each layer.
    own_mask: [B, 1, T, T] bool, positions that may see each other if the causal
      mask lets them; None for all.

  Returns:
    [B, T, D].
  """
  t = x.shape[1]
  causal = jnp.tril(jnp.ones((t, t), bool))[None, None]
  if own_mask is not None:
    causal = causal & own_mask

  def call(layer, x, memory, key):
    def inside(x, memory, key):
      return layer(x, causal, memory, memory_mask, key=key)[0]

    return remat(inside, rematerialise)(x, memory, key)

  return apply(stack, call, x, memories, keys)


def decode_step(
  stack: nnx.List | Stacked,
  x: jax.Array,
  at: jax.Array,
  caches: Sequence[layers.Cache],
  memories: Sequence[layers.Cache],
  memory_mask: jax.Array,
) -> tuple[jax.Array, tuple[layers.Cache, ...]]:
  """Decodes one position; equal to `decode` at that position.

  Args:
    stack: the layers.
    x: [B, 1, D].
    at: [] its index.
    caches: of `empty_caches` or the previous position.
    memories: as in `decode`.
    memory_mask: [B, 1, 1, S].

  Returns:
    [B, 1, D] and the caches extended by this position.
  """
  mask = (jnp.arange(caches[0].keys.shape[1]) <= at)[None, None]
  new_caches = []
  for layer, past, memory in zip(stack, caches, memories, strict=True):
    x, cache = layer(x, mask, memory, memory_mask, past=past, at=at)
    new_caches.append(cache)
  return x, tuple(new_caches)


def empty_caches(
  stack: nnx.List | Stacked, rows: int, limit: int
) -> tuple[layers.Cache, ...]:
  """Empty caches [rows * N, limit, H], one per layer."""
  caches = []
  for layer in stack:
    attention = layer.self_attention
    head_size = attention.width // attention.heads
    shape = (rows * attention.heads, limit, head_size)
    zeros = jnp.zeros(shape, attention.dtype)
    caches.append(layers.Cache(zeros, zeros))
  return tuple(caches)
