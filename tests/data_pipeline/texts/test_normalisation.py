"""Repair of the texts of corpora, and case by language."""

import csv
import io
import unicodedata

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from data_pipeline.texts import normalisation
from signllm_jax.core import errors

# Letters that compose, quotes and spaces, more often than by chance.
lines = st.text(
  st.sampled_from("aeİıß \"',.\t\u0301\u0307\u00a0") | st.characters()
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
