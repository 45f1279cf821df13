"""Sequences that share a row: their numbers, positions and masks.

A source ends with </s>, and decoder inputs begin with <s>, so the ids alone say
where a sequence ends and the next begins. A row of one sequence is a row of one
segment. Dim letters are those of `layers`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax.core import vocabulary


class Segments(NamedTuple):
  """Where each token of a row belongs."""

  number: jax.Array  # [B, T] int32, from 0
  position: jax.Array  # [B, T] int32 in its sequence, from 0


def of_sources(ids: jax.Array) -> Segments:
  """Segments of ids [B, S], each with </s> at its end."""
  ends = ids == vocabulary.EOS
  starts = jnp.pad(ends[:, :-1], ((0, 0), (1, 0)))
  return _number(starts)


def of_inputs(ids: jax.Array) -> Segments:
  """Segments of decoder inputs [B, U], each with <s> at its start."""
  starts = ids == vocabulary.BOS
  return _number(starts.at[:, 0].set(False))


def _number(starts: jax.Array) -> Segments:
  """Segments that begin at 0 and where `starts` [B, T] is True."""
  index = jnp.arange(starts.shape[1], dtype=jnp.int32)
  first = jax.lax.cummax(jnp.where(starts, index, 0), 1)
  return Segments(jnp.cumsum(starts, 1, dtype=jnp.int32), index - first)


def mask(queries: Segments, keys: Segments) -> jax.Array:
  """Pairs of tokens of the same segment, [B, 1, T, S] bool."""
  return (queries.number[:, :, None] == keys.number[:, None])[:, None]
