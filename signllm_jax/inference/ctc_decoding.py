"""Decodes the output of a CTC head (Graves et al. 2006); the blank is PAD.

A path gives a token or the blank to every step; merging repeats and dropping
blanks gives its labels.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax.core import vocabulary
from signllm_jax.inference.beam_search import IMPOSSIBLE

BLANK = vocabulary.PAD


class Labels(NamedTuple):
  """The labels of each row."""

  tokens: jax.Array  # [B, limit] int32, PAD at the end
  score: jax.Array  # [B] log probability of all their paths


class _Prefixes(NamedTuple):
  tokens: jax.Array  # [K, limit]
  length: jax.Array  # [K]
  blank: jax.Array  # [K] log probability of paths that end in a blank
  label: jax.Array  # [K] of those that end in the prefix' last label

  @property
  def total(self) -> jax.Array:
    return jnp.logaddexp(self.blank, self.label)

  @property
  def last(self) -> jax.Array:
    """[K]; BLANK for an empty prefix."""
    at = jnp.maximum(self.length - 1, 0)[:, None]
    return jnp.take_along_axis(self.tokens, at, 1)[:, 0]


def prefix_search(
  log_p: jax.Array, length: jax.Array, *, width: int, limit: int
) -> Labels:
  """The labels whose paths are likeliest together, over K prefixes.

  The prefix beam search of Graves and Jaitly 2014 and Hannun et al. 2014,
  without a language model.

  Args:
    log_p: [B, S, V] log probabilities.
    length: [B] steps; the rest is padding.
    width: K, prefixes kept a row.
    limit: labels of the longest.
  """
  search = functools.partial(_search_one, width=width, limit=limit)
  return jax.vmap(search)(log_p, length)


def _search_one(
  log_p: jax.Array, length: jax.Array, *, width: int, limit: int
) -> Labels:
  k = width

  def step(prefixes: _Prefixes, item):
    at, row = item
    after = _extend(prefixes, row)
    kept = jax.tree.map(
      lambda new, old: jnp.where(at < length, new, old), after, prefixes
    )
    return kept, None

  impossible = jnp.full(k, IMPOSSIBLE)
  start = _Prefixes(
    tokens=jnp.full((k, limit), BLANK, jnp.int32),
    length=jnp.zeros(k, jnp.int32),
    blank=impossible.at[0].set(0.0),
    label=impossible,
  )
  prefixes, _ = jax.lax.scan(step, start, (jnp.arange(len(log_p)), log_p))
  best = jnp.argmax(prefixes.total)
  return Labels(prefixes.tokens[best], prefixes.total[best])


def _is_extension(prefixes: _Prefixes) -> jax.Array:
  """[K, K] whether prefix j is prefix i and one label more."""
  place = jnp.arange(prefixes.tokens.shape[1])
  a, b = prefixes.tokens[:, None], prefixes.tokens[None]
  common = (a == b) | (place >= prefixes.length[:, None, None])
  longer = prefixes.length[None] == prefixes.length[:, None] + 1
  # Slots of the beam that nothing real fills yet hold copies.
  real = prefixes.total > IMPOSSIBLE / 2
  return jnp.all(common, -1) & longer & real


def _extend(prefixes: _Prefixes, row: jax.Array) -> _Prefixes:
  """The best K prefixes after one more step.

  Args:
    prefixes: those before.
    row: [V] log probabilities of the step.
  """
  k, limit = prefixes.tokens.shape
  v = row.shape[-1]
  total, last = prefixes.total, prefixes.last
  # A repeat is a new label only after a blank.
  token = jnp.arange(v)
  repeats = token == last[:, None]
  grown = jnp.where(repeats, prefixes.blank[:, None], total[:, None]) + row
  room = (prefixes.length < limit)[:, None] & (token != BLANK)
  grown = jnp.where(room, grown, IMPOSSIBLE)  # [K, V]
  # What grows into another prefix of the beam is added to that one.
  into = _is_extension(prefixes)
  arriving = jnp.where(into, grown[:, last], IMPOSSIBLE)  # [from, to]
  taken = jnp.any(into[..., None] & (token == last[:, None]), 1)
  grown = jnp.where(taken, IMPOSSIBLE, grown)
  blank = total + row[BLANK]
  empty = prefixes.length == 0
  label = jnp.where(empty, IMPOSSIBLE, prefixes.label + row[last])
  label = jnp.logaddexp(label, jax.nn.logsumexp(arriving, 0))
  stays = jnp.logaddexp(blank, label)
  _, chosen = jax.lax.top_k(jnp.concatenate([stays, grown.reshape(-1)]), k)
  grows = chosen >= k
  parent = jnp.where(grows, (chosen - k) // v, chosen)
  new = jnp.where(grows, (chosen - k) % v, BLANK).astype(jnp.int32)
  old_length = prefixes.length[parent]
  adds = grows[:, None] & (jnp.arange(limit) == old_length[:, None])
  return _Prefixes(
    tokens=jnp.where(adds, new[:, None], prefixes.tokens[parent]),
    length=old_length + grows,
    blank=jnp.where(grows, IMPOSSIBLE, blank[parent]),
    label=jnp.where(grows, grown[parent, new], label[parent]),
  )
