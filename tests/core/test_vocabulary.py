"""Texts of corpora, and the vocabularies that read them."""

import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from signllm_jax.core import errors
from signllm_jax.core import vocabulary as vocabulary_lib

# Letters that compose, quotes and spaces, more often than by chance.
lines = st.text(
  st.sampled_from("aeİıß \"',.\t\u0301\u0307\u00a0") | st.characters()
)
words = st.text(
  st.sampled_from("abcäé▁<>/") | st.characters(categories=["L", "N"]),
  min_size=1,
)


def test_typed_specials_are_words():
  typed = " ".join(vocabulary_lib.SPECIALS)
  unaware = vocabulary_lib.build_vocabulary(["a b"], "words")
  np.testing.assert_array_equal(
    unaware.encode(typed), [vocabulary_lib.UNK] * 4 + [vocabulary_lib.EOS]
  )
  assert unaware.unknown(typed) == list(vocabulary_lib.SPECIALS)
  aware = vocabulary_lib.build_vocabulary(["a <s>", "</s>"], "words")
  ids = aware.encode("<s> </s>")
  assert (ids[:2] >= len(vocabulary_lib.SPECIALS)).all() and ids[
    2
  ] == vocabulary_lib.EOS
  assert aware.decode(ids) == "<s> </s>"


def test_unlisted_words_are_spelt():
  vocabulary = vocabulary_lib.build_vocabulary(
    ["the cat", "the dog", "the a"], "words+characters", min_count=2
  )
  assert vocabulary.tokenize("the tea a") == (
    ["the", "▁", "▁t", "▁e", "▁a", "▁", "▁a"]
  )
  assert vocabulary.unknown("the god taco") == []
  assert vocabulary.unknown("the zoo") == ["▁z"]
  assert vocabulary.entries[4:6] == ("▁", "▁t")
  assert vocabulary.count_spelt("the cat the ibex") == 2
  words = vocabulary_lib.build_vocabulary(["the cat"], "words")
  assert words.count_spelt("an ibex") == 0


@given(st.lists(words, min_size=1), st.data(), st.integers(1, 3))
def test_known_letters_are_never_unknown(known, data, min_count):
  normal = unicodedata.normalize("NFC", " ".join(known)).split()
  vocabulary = vocabulary_lib.build_vocabulary(
    known, "words+characters", min_count
  )
  letters = st.text(st.sampled_from("".join(normal)), min_size=1)
  typed = " ".join(data.draw(st.lists(letters | st.sampled_from(normal))))
  assume(unicodedata.is_normalized("NFC", typed))
  ids = vocabulary.encode(typed)
  assert vocabulary_lib.UNK not in ids and ids[-1] == vocabulary_lib.EOS
  assert (ids[:-1] >= len(vocabulary_lib.SPECIALS)).all()
  assert vocabulary.decode(ids) == typed


@pytest.mark.parametrize("tokens", vocabulary_lib.TOKEN_UNITS)
def test_decode_is_the_inverse_of_encode(tokens):
  line = "<ASL_HELLO> <LSF-CH_ÉTÉ> a"
  vocabulary = vocabulary_lib.build_vocabulary([line], tokens)
  assert vocabulary.decode(vocabulary.encode(line)) == line
  assert vocabulary.decode([vocabulary_lib.BOS, vocabulary_lib.EOS, 4]) == ""


def test_marked_glosses_of_two_languages_differ():
  vocabulary = vocabulary_lib.build_vocabulary(["<ASL_A> <GSL_A>"], "words")
  assert len(set(vocabulary.encode("<ASL_A> <GSL_A>").tolist())) == 3


def test_unknown_kind_of_tokens_is_refused():
  with pytest.raises(errors.DataError, match="syllables"):
    vocabulary_lib.Vocabulary(vocabulary_lib.SPECIALS, "syllables")
