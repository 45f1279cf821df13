"""Texts as a spelling model gets them."""

import pytest

from signllm_jax.core import errors
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import corpus_info
from signllm_jax.inference import letters, text_input


def info(texts: list[str], unit: str = "characters") -> corpus_info.CorpusInfo:
  vocabulary = vocabulary_lib.build_vocabulary(texts, unit)
  return corpus_info.CorpusInfo(vocabulary, 30, 21, 25.0)


LATIN = info(["abcdefghijklmnopqrstuvwxyz"])
DIGITS = info(["abcdefghijklmnopqrstuvwxyz0123456789"])


def prepared(text: str, known=LATIN, spoken: str = "en"):
  return text_input.prepare(text_input.TextInput(text), known, spoken)


def test_numbers_are_spelt_in_words():
  text = prepared("Room 42. Ask at 14:30!")
  assert text.parts == (
    *("room", "forty", "two"),
    *("ask", "at", "fourteen", "thirty"),
  )
  assert text.pauses == (1, 1, 3, 1, 1, 1)
  assert "'Room forty two. Ask at fourteen thirty!'" in text.notes[0]


def test_a_model_that_has_digits_spells_them():
  assert prepared("room 42", DIGITS).parts == ("room", "42")
  assert prepared("room 42", info(["room four two"], "words")).text == "room 42"


def test_letters_lose_accents_that_the_model_lacks():
  text = prepared("Café, à 21 ans", spoken="fr")
  assert text.parts == ("cafe", "a", "vingt", "et", "un", "ans")
  known = info(["caféàabcdefghijklmnopqrstuvwxyz"])
  assert prepared("Café à", known, "fr").parts == ("café", "à")
  assert letters.prepare("한글 ✂ ½", LATIN.vocabulary, "ko") == "한글 ✂ ½"


def test_numbers_that_cannot_be_spelt_are_refused():
  with pytest.raises(errors.UsageError, match="Write the number in words"):
    prepared("room 42", spoken="")
  typed = text_input.TextInput("room 42", "words.txt", 3)
  with pytest.raises(errors.DataError, match=r"words\.txt:3: a number"):
    text_input.prepare(typed, LATIN, "cs")
