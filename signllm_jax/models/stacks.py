"""Stacks of layers: over whole sequences, one position further, in one loop.

Dim letters are those of `layers`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.models import layers


def remat(call: Callable[..., jax.Array], wanted: bool) -> Callable:
  """A call whose insides are computed again for the backward pass.

  Args:
    call: a layer on arrays.
    wanted: else it stays as it is.
  """
  return jax.checkpoint(call) if wanted else call


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
  memories: Sequence[layers.Cache],
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
  caches: Sequence[layers.Cache],
  memories: Sequence[layers.Cache],
  memory_mask: jax.Array,
) -> tuple[jax.Array, tuple[layers.Cache, ...]]:
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
  mask = (jnp.arange(caches[0].keys.shape[1]) <= at)[None, None]
  kept = []
  for layer, past, memory in zip(stack, caches, memories, strict=True):
    x, cache = layer(x, mask, memory, memory_mask, past=past, at=at)
    kept.append(cache)
  return x, tuple(kept)


def empty_caches(
  stack: nnx.List | Stacked, rows: int, limit: int
) -> tuple[layers.Cache, ...]:
  """One empty cache [rows * N, limit, H] a layer."""
  made = []
  for layer in stack:
    own = layer.self_attention
    shape = (rows * own.heads, limit, own.width // own.heads)
    empty = jnp.zeros(shape, own.dtype)
    made.append(layers.Cache(empty, empty))
  return tuple(made)
