"""Glosses: marks, PHOENIX's cleaning, and glosses made of texts."""

import collections

import pytest
from helpers.paths import DATA
from hypothesis import given
from hypothesis import strategies as st

from signllm_jax.core import errors, gloss, languages

PHOENIX = DATA / "phoenix14t_gloss"

tokens = st.text(min_size=1).filter(lambda t: t.split() == [t])


def test_marked_token_carries_the_language():
  assert gloss.mark("HELLO WORLD", "ASL") == "<ASL_HELLO> <ASL_WORLD>"
  assert gloss.mark("BONJOUR", "lsf_ch") == "<LSF-CH_BONJOUR>"
  assert gloss.parse_token("<LIS-CH_CIAO_A>") == ("LIS-CH", "CIAO_A")
  assert gloss.mark("", "ASL") == ""


@given(
  st.lists(tokens | st.sampled_from(["A_B", "<", ">", "<ASL_A>", "_"])),
  st.sampled_from(list(languages.LANGUAGES)),
)
def test_unmark_is_the_inverse_of_mark(glosses, code):
  marked = gloss.mark(" ".join(glosses), code).split()
  assert [gloss.parse_token(token) for token in marked] == [
    (code, token) for token in glosses
  ]


def test_no_code_has_what_ends_a_code():
  assert not any("_" in code for code in languages.LANGUAGES)


@pytest.mark.parametrize(
  "token", ["HELLO", "<HELLO>", "<XYZ_A>", "<ASL_>", "<ASL_A", "<ASL_A B>", ""]
)
def test_other_tokens_are_refused(token):
  with pytest.raises(errors.DataError, match="marked with its language"):
    gloss.parse_token(token)


def test_mark_refuses_an_unknown_language():
  with pytest.raises(errors.UsageError, match="XYZ"):
    gloss.mark("A", "XYZ")


@pytest.mark.parametrize(
  ("raw", "cleaned"),
  [
    ("__ON__ LIEB ZUSCHAUER __??loc-NORD__ ABEND", "LIEB ZUSCHAUER ABEND"),
    ("loc-NORD cl-KOMMEN neg-cl-KOMMEN", "NORD KOMMEN neg-KOMMEN"),
    ("loc-MINUS-PLUSPLUS SUEDRAUM RAUM", "MINUS SUED RAUM"),
    ("WETTER WIE AUSSEHEN MORGEN", "WETTER WIE-AUSSEHEN MORGEN"),
    ("G U NN E R SCH H TAG", "G+U+NN+E+R+SCH+H TAG"),
    ("REGEN REGEN __PU__ loc-REGEN TAG", "REGEN TAG"),
    ("IN-KOMMEND IN-KOMMEND S+H S+H", "IN-KOMMEND IN-KOMMEND S+H S+H"),
    ("ZEIGEN ZEIGEN-BILDSCHIRM", "ZEIGEN-BILDSCHIRM ZEIGEN-BILDSCHIRM"),
    ("__OFF__", ""),
  ],
)
def test_phoenix_cleaning(raw, cleaned):
  assert gloss.clean_phoenix(raw) == cleaned
  assert gloss.clean_phoenix(cleaned) == cleaned


def test_phoenix_vocabularies_are_those_of_the_literature():
  if not PHOENIX.is_dir():
    pytest.skip(f"no PHOENIX-14T glosses in {PHOENIX}")
  lines = (PHOENIX / "train.gloss").read_text(encoding="utf-8").splitlines()
  assert len({word for line in lines for word in line.split()}) == 1232
  counts = collections.Counter(
    word for line in lines for word in gloss.clean_phoenix(line).split()
  )
  assert len(counts) + 4 == 1089
  # Places of Progressive Transformers' list where another reading differs.
  assert counts["IN-KOMMEND"] > counts["BLEIBEN"] > counts["UND"]
  assert counts["ZEIGEN-BILDSCHIRM"] > counts["WEITER"]
  assert counts["SEHEN"] > counts["IM-VERLAUF"] > counts["VIER"]
