"""The encoder of tokens."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from signllm_jax import config
from signllm_jax.core import affixes, vocabulary
from signllm_jax.models import tokens

EOS = vocabulary.EOS


def _encoder(
  *, repeats: bool = False, shared: affixes.Affixes | None = None
) -> tokens.TokenEncoder:
  shape = config.Model(
    width=32, heads=2, feed_forward=64, dropout=0.0, repeats=repeats
  )
  return tokens.TokenEncoder(shape, 20, nnx.Rngs(0), shared)


def test_a_repeated_token_is_marked_and_no_other():
  plain, marking = _encoder(repeats=False), _encoder(repeats=True)
  twice = jnp.array([[7, 8, 8, EOS, 0, 0]])
  once = jnp.array([[7, 8, 9, EOS, 0, 0]])
  # Before training the mark is zero.
  for ids in (twice, once):
    np.testing.assert_array_equal(marking(ids)[0], plain(ids)[0])
  assert marking.repeat is not None
  marking.repeat[...] = jnp.linspace(-1, 1, 32)
  np.testing.assert_array_equal(marking(once)[0][:, :4], plain(once)[0][:, :4])
  moved = np.abs(marking(twice)[0] - plain(twice)[0]).max(-1)[0]
  assert moved[2] > 0.1


def test_words_that_share_an_affix_move_together():
  """Of norden, nordost, osten and an, the first three share affixes."""
  words = vocabulary.build_vocabulary(["norden nordost osten an"], "words")
  model = _encoder(shared=affixes.Affixes(words))
  assert model.affixes is not None
  ids = {word: jnp.array([words.encode(word)]) for word in words.entries[4:]}
  before = {word: model(each)[0][0, 0] for word, each in ids.items()}
  beginning = words.entries.index("norden")
  number = model.affixes.affixes.ids[beginning, 2]
  assert model.affixes.affixes.known.entries[number] == "nord-"
  vectors = model.affixes.vectors[...]
  push = jnp.linspace(-1, 1, 32)
  model.affixes.vectors[...] = vectors.at[number].add(push)
  model.affixes.vectors[...] = model.affixes.vectors[...].at[0].add(push)
  moved = {
    word: float(jnp.abs(model(each)[0][0, 0] - before[word]).max())
    for word, each in ids.items()
  }
  assert {word for word, far in moved.items() if far > 0.1} == {
    "norden",
    "nordost",
  }
  assert moved["osten"] == moved["an"] == 0  # PAD adds nothing
