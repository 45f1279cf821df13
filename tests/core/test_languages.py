"""The table of languages, and their names in what people ask."""

import unicodedata

import pytest

from signllm_jax.core import languages


@pytest.mark.parametrize("code", languages.LANGUAGES)
def test_a_language_is_found_by_each_of_its_names(code):
  language = languages.LANGUAGES[code]
  for name in (language.code, language.name, *language.aliases):
    asked = f"How do I sign 'sea' in {name}?"
    assert languages.mentioned_in(asked) == [code], name
    decomposed = unicodedata.normalize("NFD", asked)
    assert languages.mentioned_in(decomposed) == [code], name


@pytest.mark.parametrize(
  ("asked", "codes"),
  [
    ("How do you sign 'sea' in swiss german sign language?", ["DSGS"]),
    ("Is it the same in DGS and in ASL?", ["GSL", "ASL"]),
    ("Comment signe-t-on « je lis » en LSF ?", ["LSF-CH"]),
    ("'안녕'을 한국수어로 어떻게 해요?", ["KSL"]),
    ("“deniz” Türk İşaret Dili'nde nasıl?", ["TSL"]),
    ("How do I sign 'basl' and 'tsl'?", []),
    ("how do i sign 'sea' in asl?", ["ASL"]),
    ("tid dilinde deniz nasıl?", ["TSL"]),
    ("TID'de deniz nasıl gösterilir?", ["TSL"]),
    ("Tidde “deniz” nasıl?", ["TSL"]),
    ("TÜRK İŞARET DİLİ’nde nasıl?", ["TSL"]),
    ("türk işaret dilinde nasıl?", ["TSL"]),
    ("KSL로 '안녕'을 어떻게 해요?", ["KSL"]),
    ("auf dgs und lsf-ch", ["GSL", "LSF-CH"]),
    ("Je lis un livre", []),
    ("Wie gebärdet man „asl“ in DGS?", ["GSL"]),
    ("", []),
  ],
)
def test_names_within_names_and_words_are_told_apart(asked, codes):
  assert languages.mentioned_in(asked) == codes


@pytest.mark.parametrize(
  ("code", "found"),
  [("tid", "TSL"), ("TİD", "TSL"), ("Dgs", "GSL"), ("lsf_ch", "LSF-CH")],
)
def test_a_language_is_got_by_its_codes_in_any_case(code, found):
  assert languages.get(code).code == found
