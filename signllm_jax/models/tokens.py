"""Encoder and decoder of tokens, shared by the models.

Each is an embedding table and a pre-norm transformer (`layers.py`). The decoder
attends to an encoded text or an encoded clip.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core import affixes as affixes_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.models import layers, segments, stacks
from signllm_jax.parallel import sharding


class Memory(NamedTuple):
  """Encoder states, projected for every decoder layer."""

  memories: tuple[layers.Cache, ...]
  mask: jax.Array  # [B, 1, 1, S]


def _table(vocabulary: int, width: int, rngs: nnx.Rngs) -> nnx.Param:
  # PT initialises embeddings like its other matrices (Xavier).
  table = nnx.initializers.xavier_uniform()(rngs.params(), (vocabulary, width))
  return nnx.Param(table, axes=("vocab", "embed"))


class AffixVectors(nnx.Module):
  """Vectors of affixes, which tokens that share them add to their own."""

  def __init__(self, affixes: affixes_lib.Affixes, width: int, rngs: nnx.Rngs):
    """Builds a table of the affixes of a vocabulary."""
    self.vectors = _table(len(affixes.known), width, rngs)
    self.affixes = affixes

  def __call__(self, tokens: jax.Array) -> jax.Array:
    """The sum [B, S, D] over the affixes of each of the tokens [B, S]."""
    ids = jnp.asarray(self.affixes.ids)[tokens]
    vectors = sharding.look_up(self.vectors[...], ids)
    found = ids != vocabulary_lib.PAD
    return jnp.sum(jnp.where(found[..., None], vectors, 0), 2)


class TokenEncoder(nnx.Module):
  """Transformer encoder of token ids."""

  def __init__(
    self,
    config: Model,
    vocabulary: int,
    rngs: nnx.Rngs,
    affixes: affixes_lib.Affixes | None = None,
  ):
    """Builds the encoder.

    Args:
      config: its shape.
      vocabulary: number of tokens, specials included.
      rngs: stream `params`.
      affixes: of the tokens, whose vectors are added to theirs.
    """
    dtype = jnp.dtype(config.compute_dtype)
    self.embedding = _table(vocabulary, config.width, rngs)
    self.affixes = (
      AffixVectors(affixes, config.width, rngs) if affixes else None
    )
    self.layers = stacks.stack(
      [
        layers.EncoderLayer(config, dtype, rngs)
        for _ in range(config.encoder_layers)
      ],
      config.scan,
    )
    self.norm = layers.LayerNorm(config.width)
    self.repeat = (
      nnx.Param(jnp.zeros(config.width), axes=("embed",))
      if config.repeats
      else None
    )
    self.dropout_rate = config.dropout
    self.scale = config.width**0.5 if config.scale_embeddings else 1.0
    self.width, self.remat = config.width, config.remat

  def __call__(
    self,
    ids: jax.Array,
    key: jax.Array | None = None,
    shared: segments.Segments | None = None,
  ) -> tuple[jax.Array, jax.Array]:
    """Encodes ids [B, S] (PAD = 0) to [B, S, D] and its mask [B, 1, 1, S].

    Args:
      ids: the tokens.
      key: dropout key, None when not training.
      shared: sequences of each row, which do not see each other; None where a
        row is one sequence.
    """
    keys = layers.split(key, len(self.layers) + 1)
    positions = layers.sinusoids(ids.shape[1], self.width)
    mask = seen = (ids != vocabulary_lib.PAD)[:, None, None]
    if shared is not None:
      positions = positions[shared.position]
      seen = mask & segments.mask(shared, shared)
    x = sharding.look_up(self.embedding[...], ids)
    if self.affixes is not None:
      x = x + self.affixes(ids)
    x = self.scale * x + positions
    if self.repeat is not None:
      # Sequences of a shared row end with EOS, with which none begins.
      repeated = ids == jnp.pad(ids[:, :-1], ((0, 0), (1, 0)))
      x = x + jnp.where(repeated[..., None], self.repeat[...], 0)
    x = layers.dropout(x, self.dropout_rate, keys[0])
    x = stacks.encode(self.layers, x, seen, keys[1:], self.remat)
    return self.norm(x), mask


class TokenDecoder(nnx.Module):
  """Transformer decoder that predicts the next token."""

  def __init__(self, config: Model, vocabulary: int, rngs: nnx.Rngs):
    """Builds the decoder; arguments as in `TokenEncoder`."""
    d, dtype = config.width, jnp.dtype(config.compute_dtype)
    self.embedding = _table(vocabulary, d, rngs)
    self.layers = stacks.stack(
      [
        layers.DecoderLayer(config, dtype, rngs)
        for _ in range(config.decoder_layers)
      ],
      config.scan,
    )
    self.norm = layers.LayerNorm(d)
    self.out = layers.Linear(d, vocabulary, ("embed", "vocab"), rngs=rngs)
    self.dropout_rate = config.dropout
    self.scale = d**0.5 if config.scale_embeddings else 1.0
    self.width, self.remat = d, config.remat

  def project_memory(self, states: jax.Array, mask: jax.Array) -> Memory:
    """Projects states [B, S, D] with mask [B, 1, 1, S], once for all tokens."""
    memories = tuple(
      layer.cross_attention.project(states) for layer in self.layers
    )
    return Memory(memories, mask)

  def _embed(self, tokens: jax.Array, positions: jax.Array) -> jax.Array:
    x = sharding.look_up(self.embedding[...], tokens)
    return self.scale * x + positions

  def states(
    self,
    tokens: jax.Array,
    memory: Memory,
    key: jax.Array | None = None,
    shared: tuple[segments.Segments, segments.Segments] | None = None,
  ) -> jax.Array:
    """Normalised states [B, U, D] from which `__call__` computes logits.

    Args:
      tokens: as in `__call__`.
      memory: as there.
      key: as there.
      shared: sequences of each row of the tokens and of the memory, of equal
        numbers; None where a row is one sequence.
    """
    u = tokens.shape[1]
    keys = layers.split(key, len(self.layers) + 1)
    positions = layers.sinusoids(u, self.width)
    seen, own = memory.mask, None
    if shared is not None:
      positions = positions[shared[0].position]
      seen = seen & segments.mask(*shared)
      own = segments.mask(shared[0], shared[0])
    x = self._embed(tokens, positions)
    x = layers.dropout(x, self.dropout_rate, keys[0])
    x = stacks.decode(
      self.layers, x, memory.memories, seen, keys[1:], self.remat, own
    )
    return self.norm(x)

  def __call__(
    self, tokens: jax.Array, memory: Memory, key: jax.Array | None = None
  ) -> jax.Array:
    """Decodes all tokens at once with a causal mask.

    Args:
      tokens: [B, U] decoder inputs, <s> first.
      memory: of `project_memory`.
      key: dropout key, None when not training.

    Returns:
      [B, U, V] logits of the tokens after each input.
    """
    return self.out(self.states(tokens, memory, key))

  def empty_cache(self, rows: int, limit: int) -> tuple[layers.Cache, ...]:
    """Empty caches [rows * N, limit, H], one per layer."""
    return stacks.empty_caches(self.layers, rows, limit)

  def step(
    self,
    tokens: jax.Array,
    at: jax.Array,
    caches: tuple[layers.Cache, ...],
    memory: Memory,
  ) -> tuple[jax.Array, tuple[layers.Cache, ...]]:
    """Decodes one token; equal to `__call__` at that position.

    Args:
      tokens: [B] input.
      at: [] its index.
      caches: of `empty_cache` or the previous step.
      memory: of `project_memory`.

    Returns:
      Logits [B, V] of the next token, and the caches.
    """
    limit = caches[0].keys.shape[1]
    position = layers.sinusoids(limit, self.width)[at]
    x = self._embed(tokens[:, None], position)
    x, caches = stacks.decode_step(
      self.layers, x, at, caches, memory.memories, memory.mask
    )
    return self.out(self.norm(x))[:, 0], caches


def shift_right(tokens: jax.Array) -> jax.Array:
  """Decoder inputs of targets [B, U]: <s>, then all targets except the last."""
  start = jnp.full((len(tokens), 1), vocabulary_lib.BOS, tokens.dtype)
  return jnp.concatenate([start, tokens[:, :-1]], 1)
