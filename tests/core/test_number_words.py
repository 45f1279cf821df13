"""Numbers as people type them, in words of seven languages."""

import sys

import pytest

from signllm_jax.core import errors, number_words

WRITTEN = {
  "en": {
    "room 42": "room forty two",
    "1984": "nineteen eighty four",
    "in 2024.": "in twenty twenty four.",
    "1,234": "one thousand two hundred and thirty four",
    "3.14": "three point one four",
    "-0.05": "minus zero point zero five",
    "21st of May": "twenty first of May",
    "14:30": "fourteen thirty",
    "9:05": "nine oh five",
    "50%": "fifty percent",
    "B2B": "B two B",
    "3-5": "three - five",
    "007": "zero zero seven",
    "1.2.3": "one two three",
    "4２": "forty two",  # one digit of full width
  },
  "de": {
    "21": "einundzwanzig",
    "1984": "neunzehnhundertvierundachtzig",
    "am 3. März": "am dritte März",
    "Es sind 3.": "Es sind drei.",
    "3,14": "drei Komma eins vier",
    "1'234.50": "eintausendzweihundertvierunddreißig Komma fünf null",
    "12.03.2024": "zwölf null drei zweitausendvierundzwanzig",
    "14:30 Uhr": "vierzehn Uhr dreißig",
  },
  "fr": {
    "71": "soixante et onze",
    "1re": "première",
    "2e": "deuxième",
    "1 234 567": "un million deux cent trente quatre mille cinq cent soixante "
    "sept",
    "14h30": "quatorze heures trente",
    "1h": "une heure",
  },
  "it": {
    "3,14": "tre virgola uno quattro",
    "1.234": "milleduecentotrentaquattro",
    "1ª": "prima",
    "14:30": "quattordici e trenta",
  },
  "es": {
    "22": "veintidós",
    "3er piso": "tercer piso",
    "50 %": "cincuenta por ciento",
  },
  "ko": {
    "42": "사십이",
    "3시 30분": "세 시 삼십 분",
    "20명": "스무 명",
    "14:30": "십사 시 삼십 분",
    "3번째": "세 번째",
  },
  "tr": {
    "1984": "bin dokuz yüz seksen dört",
    "1984'te": "bin dokuz yüz seksen dörtte",
    "4'üncü": "dördüncü",
    "3. sınıf": "üçüncü sınıf",
    "%50": "yüzde elli",
    "3,14": "üç virgül bir dört",
  },
}


@pytest.mark.parametrize(
  ("spoken", "text", "words"),
  [(code, *pair) for code, pairs in WRITTEN.items() for pair in pairs.items()],
)
def test_numbers_are_written_out(spoken, text, words):
  assert number_words.write_out(text, spoken) == words


@pytest.mark.parametrize("spoken", WRITTEN)
def test_no_digit_and_no_word_is_lost(spoken):
  for number in [*range(120), 1000, 1905, 2007, 10**6, 123456789012, 10**15]:
    words = number_words.write_out(f"a {number} b", spoken).split()
    assert words[0] == "a" and words[-1] == "b" and len(words) > 2
    assert not any(c.isdigit() or c in "-,." for c in "".join(words))


def test_numbers_differ_in_words():
  for spoken in WRITTEN:
    written = {number_words.write_out(str(n), spoken) for n in range(1000)}
    assert len(written) == 1000


def test_text_without_numbers_stays():
  assert number_words.write_out("Hello, world.", "xx") == "Hello, world."


def test_a_language_that_is_not_known():
  with pytest.raises(errors.UsageError, match="Write the number in words"):
    number_words.write_out("pokoj 42", "cs")


def test_without_the_package(monkeypatch):
  monkeypatch.setitem(sys.modules, "num2words2", None)
  with pytest.raises(errors.UsageError, match=r"signllm-jax\[numbers\]"):
    number_words.write_out("room 42", "en")
