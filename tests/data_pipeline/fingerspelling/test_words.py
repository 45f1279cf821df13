"""The fingerspelling word lists: spelling, order and letter coverage."""

import collections
import string
import unicodedata

import pytest
from helpers.paths import ROOT

WORDS = ROOT / "data_pipeline/fingerspelling/words"
LATIN = string.ascii_lowercase

# Spoken language (ISO 639-1): its letters and the fewest words in its list.
LISTS = {
  "cs": (LATIN + "čďňřšťž", 300),
  "de": (LATIN + "äöüß", 1000),
  "el": ("αβγδεζηθικλμνξοπρστυφχψω", 300),  # bare, without final sigma
  "en": (LATIN, 2600),
  "es": (LATIN + "ñ", 500),
  "et": (LATIN + "äõöüšž", 300),
  "fr": (LATIN, 600),
  "hr": ("abcčćdđefghijklmnoprsštuvzž", 300),
  "it": (LATIN, 500),
  "lt": ("aąbcčdeęėfghiįyjklmnoprsštuųūvzž", 300),
  "pt": (LATIN + "ç", 500),
  "sk": (LATIN + "áäéíóúýčďľĺňŕšťžô", 300),
  "sv": (LATIN + "åäö", 300),
  "tr": ("abcçdefgğhıijklmnoöprsştuüvyz", 1000),
  "uk": ("абвгґдеєжзиіїйклмнопрстуфхцчшщьюя", 300),
}
# Letters that the language writes in foreign names only.
FOREIGN = {"et": "cqwxy"}
LEAST_WORDS_PER_LETTER = {"en": 60}  # 15 elsewhere

per_list = pytest.mark.parametrize("code", sorted(LISTS))


def read(code: str) -> list[str]:
  return (WORDS / f"{code}.txt").read_bytes().decode("utf-8").split("\n")[:-1]


def test_every_list_has_a_row_here():
  assert {path.stem for path in WORDS.glob("*.txt")} == set(LISTS)


@per_list
def test_one_word_a_line_ending_in_a_newline(code):
  text = (WORDS / f"{code}.txt").read_bytes().decode("utf-8")
  assert text.endswith("\n")
  assert text.split() == read(code)


@per_list
def test_words_use_only_the_alphabet(code):
  letters = set(LISTS[code][0])
  assert [word for word in read(code) if not set(word) <= letters] == []


@per_list
def test_words_are_composed_and_lower_case(code):
  for word in read(code):
    assert unicodedata.is_normalized("NFC", word), word
    assert all(letter.islower() for letter in word), word


@per_list
def test_words_have_two_to_ten_letters(code):
  assert [word for word in read(code) if not 2 <= len(word) <= 10] == []


@per_list
def test_words_are_unique_and_sorted_by_code_point(code):
  words = read(code)
  assert words == sorted(set(words))


@per_list
def test_list_is_long_enough(code):
  assert len(read(code)) >= LISTS[code][1]


@per_list
def test_every_letter_occurs_in_enough_words(code):
  counts = collections.Counter(
    letter for word in read(code) for letter in set(word)
  )
  least = LEAST_WORDS_PER_LETTER.get(code, 15)
  letters = set(LISTS[code][0]) - set(FOREIGN.get(code, ""))
  rare = {x: counts[x] for x in letters if counts[x] < least}
  assert rare == {}
