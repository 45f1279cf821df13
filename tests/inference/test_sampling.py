"""Samples of a decoder of tokens."""

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core import vocabulary
from signllm_jax.inference import sampling

A, B, RARE = 4, 5, 6
LIKELY = np.array([0, 0, 0, 0.3, 0.5, 0.19, 0.01])


def _step(tokens, at, cache):
  """The same probabilities for every token."""
  log_p = jnp.log(jnp.maximum(jnp.asarray(LIKELY), 1e-30))
  return jnp.broadcast_to(log_p, (len(tokens), len(LIKELY))), cache


def _samples(rows: int, limit: int) -> np.ndarray:
  keys = jax.random.split(jax.random.key(1), rows)
  draw = jax.jit(lambda k: sampling.sample(_step, (), keys=k, limit=limit))
  return np.asarray(draw(keys))


def test_tokens_have_the_shares_of_their_probabilities():
  first = _samples(4000, 3)[:, 0]
  shares = np.bincount(first, minlength=7) / len(first)
  expected = np.where(LIKELY > sampling.EPSILON, LIKELY, 0)
  np.testing.assert_allclose(shares, expected / expected.sum(), atol=0.03)
  assert not shares[RARE]


def test_sequences_end_once_and_are_padded():
  for row in _samples(200, 5):
    (ends,) = np.nonzero(row == vocabulary.EOS)
    assert len(ends) == 1
    assert (row[: ends[0]] >= A).all()
    assert (row[ends[0] + 1 :] == vocabulary.PAD).all()


def test_a_row_depends_on_its_key_alone():
  np.testing.assert_array_equal(_samples(8, 6)[:1], _rows_of_first_key(6))


def _rows_of_first_key(limit: int) -> np.ndarray:
  keys = jax.random.split(jax.random.key(1), 8)[:1]
  return np.asarray(sampling.sample(_step, (), keys=keys, limit=limit))
