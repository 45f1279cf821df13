"""The encoder of tokens."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from signllm_jax import config
from signllm_jax.core import vocabulary
from signllm_jax.models import tokens

EOS = vocabulary.EOS


def _encoder(*, repeats: bool) -> tokens.TokenEncoder:
  shape = config.Model(
    width=32, heads=2, feed_forward=64, dropout=0.0, repeats=repeats
  )
  return tokens.TokenEncoder(shape, 20, nnx.Rngs(0))


def test_a_repeated_token_is_marked_and_no_other():
  plain, marking = _encoder(repeats=False), _encoder(repeats=True)
  twice = jnp.array([[7, 8, 8, EOS, 0, 0]])
  once = jnp.array([[7, 8, 9, EOS, 0, 0]])
  # Before training the mark is zero.
  for ids in (twice, once):
    np.testing.assert_array_equal(marking(ids)[0], plain(ids)[0])
  marking.repeat[...] = jnp.linspace(-1, 1, 32)
  np.testing.assert_array_equal(marking(once)[0][:, :4], plain(once)[0][:, :4])
  moved = np.abs(marking(twice)[0] - plain(twice)[0]).max(-1)[0]
  assert moved[2] > 0.1
