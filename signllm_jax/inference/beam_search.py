"""Beam search over any decoder of tokens, compiled with static shapes.

Hypotheses that have ended stay in the beam and compete with those that go on,
all by log probability over the length penalty of Wu et al. 2016 (GNMT),
((5 + length) / 6) ** alpha, </s> counted. A beam of 1 is greedy decoding.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax.core import vocabulary

IMPOSSIBLE = -1e9  # finite log probability: differences of it are not NaN

# (tokens [R], at [], cache) -> log probabilities [R, V] of the next token and
# the cache, whose leaves have a leading axis of R = B * K or a multiple.
Step = Callable[[jax.Array, jax.Array, Any], tuple[jax.Array, Any]]


class Hypotheses(NamedTuple):
  """The best hypothesis of each row."""

  tokens: jax.Array  # [B, limit] int32; </s>, then PAD
  score: jax.Array  # [B] log probability over the length penalty
  others: jax.Array  # [B, K, limit] the whole beam; unfinished ones lack </s>


class _Beam(NamedTuple):
  tokens: jax.Array  # [B, K, limit]
  log_p: jax.Array  # [B, K]
  length: jax.Array  # [B, K] tokens, </s> included
  ended: jax.Array  # [B, K] bool


def length_penalty(length: jax.Array | int, alpha: float) -> jax.Array:
  """Divisor of log probabilities; alpha 0 is no penalty."""
  return ((5.0 + length) / 6.0) ** alpha


def search(
  step: Step, cache: Any, *, rows: int, width: int, limit: int, alpha: float
) -> Hypotheses:
  """Searches; call it inside `jax.jit`.

  Args:
    step: one token further; PAD and <s> are never taken from it.
    cache: before the first token.
    rows: B.
    width: K, hypotheses kept a row.
    limit: tokens, </s> included; the last one can only be </s>.
    alpha: at least 0; above 0 favours long texts.
  """
  b, k = rows, width

  def running(carry) -> jax.Array:
    t, beam, _ = carry
    score = beam.log_p / length_penalty(beam.length, alpha)
    ended = jnp.max(jnp.where(beam.ended, score, -jnp.inf), 1)
    # A hypothesis that goes on only loses probability.
    bound = beam.log_p / length_penalty(limit, alpha)
    bound = jnp.where(beam.ended, -jnp.inf, bound)
    return (t < limit) & jnp.any(ended < jnp.max(bound, 1))

  def forward(carry):
    t, beam, cache = carry
    before = jnp.take(beam.tokens, jnp.maximum(t - 1, 0), axis=2)
    last = jnp.where(t == 0, vocabulary.BOS, before)  # [B, K]
    log_p, cache = step(last.reshape(-1), t, cache)
    beam, parent = _extend(beam, t, log_p.reshape(b, k, -1), alpha)

    def follow_flat(x: jax.Array) -> jax.Array:
      rows = parent + jnp.arange(b)[:, None] * k
      return x.reshape(b * k, -1)[rows.reshape(-1)].reshape(x.shape)

    return t + 1, beam, jax.tree.map(follow_flat, cache)

  start = _Beam(
    tokens=jnp.full((b, k, limit), vocabulary.PAD, jnp.int32),
    # One real hypothesis: K equal ones would stay equal.
    log_p=jnp.full((b, k), IMPOSSIBLE).at[:, 0].set(0.0),
    length=jnp.zeros((b, k), jnp.int32),
    ended=jnp.zeros((b, k), bool),
  )
  _, beam, _ = jax.lax.while_loop(
    running, forward, (jnp.int32(0), start, cache)
  )
  score = beam.log_p / length_penalty(beam.length, alpha)
  score = jnp.where(beam.ended, score, -jnp.inf)
  best = jnp.argmax(score, 1)[:, None]
  return Hypotheses(
    jnp.take_along_axis(beam.tokens, best[..., None], 1)[:, 0],
    jnp.take_along_axis(score, best, 1)[:, 0],
    beam.tokens,
  )


def _extend(
  beam: _Beam, t: jax.Array, log_p: jax.Array, alpha: float
) -> tuple[_Beam, jax.Array]:
  """The best K extensions of the hypotheses by a token.

  Args:
    beam: the hypotheses.
    t: [] the place of the token.
    log_p: [B, K, V] log probabilities of it.
    alpha: of the length penalty.

  Returns:
    The new beam, and the hypothesis [B, K] that each extends.
  """
  b, k, v = log_p.shape
  limit = beam.tokens.shape[-1]
  token = jnp.arange(v)
  may_go_on = (token == vocabulary.EOS) | (t != limit - 1)
  allowed = (token != vocabulary.PAD) & (token != vocabulary.BOS) & may_go_on
  going = jnp.where(allowed, log_p, IMPOSSIBLE)
  done = jnp.where(token == vocabulary.PAD, 0, IMPOSSIBLE)
  total = beam.log_p[..., None] + jnp.where(beam.ended[..., None], done, going)
  length = jnp.where(beam.ended, beam.length, t + 1)
  score = total / length_penalty(length, alpha)[..., None]
  _, chosen = jax.lax.top_k(score.reshape(b, k * v), k)
  parent, token = chosen // v, chosen % v

  def follow(x: jax.Array) -> jax.Array:
    index = parent.reshape(b, k, *[1] * (x.ndim - 2))
    return jnp.take_along_axis(x, index, 1)

  extended = _Beam(
    tokens=follow(beam.tokens).at[:, :, t].set(token),
    log_p=jnp.take_along_axis(total.reshape(b, k * v), chosen, 1),
    length=follow(length),
    ended=follow(beam.ended) | (token == vocabulary.EOS),
  )
  return extended, parent
