"""Ancestral sampling from any decoder of tokens, compiled with static shapes.

Tokens below a probability of `EPSILON` are never drawn (epsilon sampling,
Hewitt et al. 2022): the long tail of a softmax holds mostly errors, and samples
for minimum Bayes risk are better without it (Freitag et al. 2023).
"""

from typing import Any

import jax
import jax.numpy as jnp

from signllm_jax.core import vocabulary
from signllm_jax.inference import beam_search

EPSILON = 0.02


def sample(
  step: beam_search.Step,
  cache: Any,
  *,
  keys: jax.Array,
  limit: int,
) -> jax.Array:
  """Draws a sequence a row; call it inside `jax.jit`.

  Args:
    step: as of `beam_search.search`.
    cache: before the first token.
    keys: [R] of each row; equal keys draw equal sequences.
    limit: tokens, </s> included; the last one is </s>.

  Returns:
    [R, limit] int32; </s>, then PAD.
  """
  rows = len(keys)

  def running(carry) -> jax.Array:
    t, _, ended, _ = carry
    return (t < limit) & ~jnp.all(ended)

  def forward(carry):
    t, tokens, ended, cache = carry
    before = jnp.take(tokens, jnp.maximum(t - 1, 0), axis=1)
    last = jnp.where(t == 0, vocabulary.BOS, before)
    log_p, cache = step(last, t, cache)
    best = jnp.max(log_p, -1, keepdims=True)
    likely = log_p >= jnp.minimum(jnp.log(EPSILON), best)
    of_step = jax.vmap(jax.random.fold_in, (0, None))(keys, t)
    drawn = jax.vmap(jax.random.categorical)(
      of_step, jnp.where(likely, log_p, -jnp.inf)
    ).astype(jnp.int32)
    drawn = jnp.where(t == limit - 1, vocabulary.EOS, drawn)
    drawn = jnp.where(ended, vocabulary.PAD, drawn)
    tokens = tokens.at[:, t].set(drawn)
    return t + 1, tokens, ended | (drawn == vocabulary.EOS), cache

  start = jnp.full((rows, limit), vocabulary.PAD, jnp.int32)
  carry = jnp.int32(0), start, jnp.zeros(rows, bool), cache
  return jax.lax.while_loop(running, forward, carry)[1]
