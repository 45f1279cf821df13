"""Texts of corpora, and the vocabularies that read them."""

import csv
import io
import unicodedata

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data_pipeline.texts import normalisation
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


def as_csv(sentence):
  out = io.StringIO()
  csv.writer(out, lineterminator="").writerow([sentence])
  return out.getvalue()


def clean_or_skip(line):
  try:
    return normalisation.clean(line)
  except errors.DataError:
    assume(False)


@pytest.mark.parametrize(
  ("line", "repaired"),
  [
    ('"Up and down; so, down."', "Up and down; so, down."),
    ('"An ""i"" here."', 'An "i" here.'),
    ('"""Yes,"" he said."', '"Yes," he said.'),
    ('"An ""i"" and, ""j"""', 'An "i" and, "j"'),
  ],
)
def test_csv_quotes_are_undone(line, repaired):
  assert normalisation.unquote(line) == repaired
  assert normalisation.unquote(repaired) == repaired
  assert normalisation.clean(line + "\n") == repaired


@pytest.mark.parametrize(
  "line",
  [
    'He said "yes", twice.',
    '"Stop!"',
    '"Yes," he said, "now."',
    '"Well, no',
    'a 5" pipe, cut"',
    '"',
    '""',
  ],
)
def test_quotes_of_the_sentence_stay(line):
  assert normalisation.unquote(line) == line


@given(lines.filter(lambda line: "\n" not in line and "\r" not in line))
def test_unquote_undoes_a_csv_writer(sentence):
  assume(sentence and normalisation.unquote(sentence) == sentence)
  assert normalisation.unquote(as_csv(sentence)) == sentence


@given(lines)
def test_cleaning_is_idempotent(line):
  cleaned = clean_or_skip(line)
  assert unicodedata.is_normalized("NFC", cleaned)
  assert cleaned == " ".join(cleaned.split())
  assume(normalisation.unquote(cleaned) == cleaned)
  assert normalisation.clean(cleaned) == cleaned


def test_cleaning_keeps_case_and_drops_the_invisible():
  assert normalisation.clean(
    "  Der\u00a0Ha\u00adse\t mag\u2028I\u0307STANBUL\n"
  ) == ("Der Hase mag İSTANBUL")
  assert normalisation.clean("\ufeffa\u200bb") == "ab"


@pytest.mark.parametrize("bad", ["\0", "\x1b", "\x85", "\ufffd", "\ud800"])
def test_control_characters_are_named(bad):
  with pytest.raises(errors.DataError, match=r"a\.text:7: character 3 is U\+"):
    normalisation.clean(f"ab{bad}", path="a.text", line=7)


def test_empty_text_is_named():
  with pytest.raises(errors.DataError, match=r"a\.text:7: an empty text"):
    normalisation.clean(" \u200b\n", path="a.text", line=7)


def test_case_follows_the_language():
  assert normalisation.upper("ışık iyi i̇", "tr") == "IŞIK İYİ İ"
  assert normalisation.lower("IŞIK İYİ", "tr") == "ışık iyi"
  assert normalisation.upper("groß ist i", "de") == "GROSS IST I"
  assert normalisation.lower("ÉTÉ I", "fr") == "été i"


@given(st.text("aeıiİIğĞş \"',."))
def test_case_of_turkish_is_its_own_inverse(line):
  upper, lower = (
    normalisation.upper(line, "tr"),
    normalisation.lower(line, "tr"),
  )
  assert normalisation.upper(lower, "tr") == upper
  assert normalisation.lower(upper, "tr") == lower


@given(lines, st.sampled_from(["de", "tr"]))
def test_changing_case_keeps_nfc(line, spoken):
  for change in (normalisation.upper, normalisation.lower):
    assert unicodedata.is_normalized("NFC", change(line, spoken))


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
