"""Sequences that share a row do not see each other."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from signllm_jax import config
from signllm_jax.core import vocabulary
from signllm_jax.models import segments, text_to_gloss

EOS, BOS = vocabulary.EOS, vocabulary.BOS


def test_numbers_and_positions_begin_anew_after_each_end():
  found = segments.of_sources(jnp.array([[7, 8, EOS, 5, EOS, 0, 0]]))
  assert found.number.tolist() == [[0, 0, 0, 1, 1, 2, 2]]
  assert found.position.tolist() == [[0, 1, 2, 0, 1, 0, 1]]
  target = jnp.array([[7, 8, EOS, 5, EOS, 0]])
  inputs = text_to_gloss.packed_inputs(target)
  assert inputs.tolist() == [[BOS, 7, 8, BOS, 5, BOS]]
  found = segments.of_inputs(inputs)
  assert found.number.tolist() == [[0, 0, 0, 1, 1, 2]]
  assert found.position.tolist() == [[0, 1, 2, 0, 1, 0]]


def test_a_packed_row_has_the_states_of_its_pairs_alone():
  shape = config.Model(width=32, heads=2, feed_forward=64, dropout=0.0)
  model = text_to_gloss.TextToGloss(shape, 20, 20, nnx.Rngs(0))
  packed = model.packed_states(
    jnp.array([[7, 8, 9, EOS, 5, 6, EOS, 0]]),
    text_to_gloss.packed_inputs(jnp.array([[4, 5, EOS, 6, 7, 8, EOS, 0]])),
  )
  first = model.states(jnp.array([[7, 8, 9, EOS]]), jnp.array([[BOS, 4, 5]]))
  second = model.states(
    jnp.array([[5, 6, EOS, 0]]), jnp.array([[BOS, 6, 7, 8]])
  )
  np.testing.assert_allclose(packed[:, :3], first, atol=1e-5)
  np.testing.assert_allclose(packed[:, 3:7], second, atol=1e-5)
