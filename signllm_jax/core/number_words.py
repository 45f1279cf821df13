"""Numbers in words, for texts that are spelt in letters.

Integers are written by the package num2words2 (LGPL-2.1, an extra of ours; the
older num2words needs a package without a wheel, which no lock can hold, and
loses the decimals of Italian and Turkish numbers). This module finds numbers as
people type them: with marks of thousands and decimals, ordinals, years, times
and per cent.
"""

import dataclasses
import re
import unicodedata
from collections.abc import Callable

from signllm_jax.core import errors, extras

_LONGEST = 12  # digits; more are read one by one
_APOSTROPHES = "'’"
_JOINS = tuple("-−–/:+=")  # stand between two numbers


@dataclasses.dataclass(frozen=True)
class _Rules:
  """How the numbers of a spoken language are written.

  Attributes:
    decimal: the mark of decimals; a full stop or a comma, the other one is of
      thousands.
    point: the word for that mark.
    percent: a template of "50 %".
    time: of hours and minutes.
    hour: of hours alone.
    ordinal: pattern of what follows an ordinal.
    thousands: further marks of thousands.
  """

  decimal: str
  point: str
  percent: str
  time: str
  hour: str
  ordinal: str
  thousands: str = ""


_DOT = r"\.(?=\s+\w)"  # 3. März; at the end of a text it is a full stop
_RULES = {
  "en": _Rules(
    ".", "point", "{} percent", "{} {}", "{} o clock", r"(?:st|nd|rd|th)\b"
  ),
  "de": _Rules(
    ",", "Komma", "{} Prozent", "{} Uhr {}", "{} Uhr", _DOT, _APOSTROPHES
  ),
  "fr": _Rules(
    ",",
    "virgule",
    "{} pour cent",
    "{} heures {}",
    "{} heures",
    r"(?:ers?|[rR]es?|ères?|es?|èmes?|emes?|nde?s?)\b",
    _APOSTROPHES + " ",
  ),
  "it": _Rules(
    ",", "virgola", "{} per cento", "{} e {}", "{}", "[ºª]", _APOSTROPHES
  ),
  "es": _Rules(
    ",", "coma", "{} por ciento", "{} y {}", "{}", r"(?:\.?[ºª]|er\b)", " "
  ),
  "ko": _Rules(".", "점", "{} 퍼센트", "{} 시 {} 분", "{} 시", r"\s?번째"),
  "tr": _Rules(
    ",",
    "virgül",
    "yüzde {}",
    "{} {}",
    "{}",
    rf"(?:{_DOT}|['’]?[iıuü]?nc[iıuü](?!\w))",
  ),
}
_TIME = re.compile(
  r"(?<![\d.,:])([01]?\d|2[0-4])(?::([0-5]\d)|\s?h\s?([0-5]\d)?\b)"
  r"(?![\d:])(?:\s*Uhr\b)?"
)
# Counted in Korean's own numerals.
_COUNTED = re.compile(r"\s?(?:시간|시|개|명|살|마리|잔|권)")
_TURKISH = (
  "altmış|seksen|yetmiş|milyar|milyon|doksan|sıfır|dokuz|sekiz|yirmi|dört|dörd|"
  "altı|yedi|otuz|kırk|elli|bir|iki|beş|yüz|bin|üç|on"
)


def write_out(text: str, spoken: str) -> str:
  """The text with its numbers in words.

  Args:
    text: with single spaces.
    spoken: ISO 639-1 code of its language.

  Raises:
    UsageError: the language is not known here, or the package is missing.
  """
  if not any(map(str.isdecimal, text)):
    return text
  if spoken not in _RULES:
    raise errors.UsageError(
      f"a number in a text of the language {spoken or 'unknown'!r}",
      expected="one of " + ", ".join(_RULES),
      hint="Write the number in words",
    )
  # Digits of other scripts and full-width ones as ASCII.
  text = "".join(
    str(unicodedata.decimal(c)) if c.isdecimal() else c for c in text
  )
  return _Writer(spoken, _RULES[spoken]).text(text)


class _Writer:
  """Writes the numbers of one language."""

  def __init__(self, spoken: str, rules: _Rules):
    self.spoken, self.rules = spoken, rules
    self._convert = _converter()
    thousands = (",." if rules.decimal == "." else ".,")[0] + rules.thousands
    marks = "[" + re.escape(thousands) + "]"
    other = re.escape(thousands[0])
    decimal = re.escape(rules.decimal)
    whole = rf"\d{{1,3}}(?:{marks}\d{{3}})+(?!\d)|\d+"
    self._whole = re.compile(rf"(?:{whole})$")
    self._marks = re.compile(marks)
    self._number = re.compile(
      r"(?P<percent>%\s?)?(?P<minus>(?<![\w.,])[-−](?=\d))?"
      rf"(?P<whole>{whole})(?P<more>(?:[{decimal}{other}]\d+)*)"
      rf"(?P<after>\s?%|{rules.ordinal}|{_COUNTED.pattern})?"
    )

  def text(self, text: str) -> str:
    """Replaces times, then all other numbers."""
    text = self._replace(_TIME, self._time, text)
    if self.spoken == "tr":  # 5'te: the ending is written on to the word
      text = re.sub(r"(\d)['’](?![iıuü]?nc[iıuü](?!\w))(?=\w)", r"\1\0", text)
    text = self._replace(self._number, self._of_match, text)
    return text.replace("\0 ", "").replace(" \0", "").replace("\0", "")

  def _replace(
    self, pattern: re.Pattern, write: Callable[[re.Match], str], text: str
  ) -> str:
    def spaced(match: re.Match) -> str:
      before, after = text[: match.start()][-1:], text[match.end() :][:1]
      words = write(match)
      left = " " if before.isalnum() or before in _JOINS else ""
      return left + words + (" " if after.isalnum() or after in _JOINS else "")

    return " ".join(pattern.sub(spaced, text).split())

  def _time(self, match: re.Match) -> str:
    hours, minutes = int(match[1]), match[2] or match[3]
    if match[2] is None and self.spoken != "fr":  # 14h is French alone
      return match[0]
    hour = self._cardinal(hours)
    if self.spoken == "ko" and 1 <= hours <= 12:
      hour = self._counted(hours)
    if self.spoken == "fr" and hours <= 1:
      hour = "une" if hours else "zéro"
    template = self.rules.hour if int(minutes or 0) == 0 else self.rules.time
    if self.spoken == "fr" and hours <= 1:
      template = template.replace("heures", "heure")
    if self.spoken == "en" and hours > 12 and int(minutes or 0) == 0:
      template = "{} hundred"
    minute = self._cardinal(int(minutes)) if minutes else ""
    if self.spoken == "en" and minutes and minutes[0] == "0":  # 9:05
      minute = f"oh {minute}"
    return template.format(hour, minute)

  def _of_match(self, match: re.Match) -> str:
    whole, more, after = match["whole"], match["more"], match["after"] or ""
    words = self._parts(whole, more)
    plain = not more and self._whole.fullmatch(whole)
    value = int(self._marks.sub("", whole)) if plain else -1
    if match["minus"]:
      words = self._cardinal(-1).split()[0] + " " + words
    percent = bool(match["percent"]) or after.strip() == "%"
    if percent:
      return self.rules.percent.format(words)
    if not after:
      return words
    if value < 0 or len(whole) > _LONGEST:
      return words + " " + after.strip()
    if self.spoken == "ko" and not after.strip().startswith("번째"):
      counted = self._counted(value) if 1 <= value < 100 else words
      return f"{counted} {after.strip()}"
    if _COUNTED.fullmatch(after):  # a word of another language
      return words + " " + after.strip()
    return self._ordinal(value, after)

  def _parts(self, whole: str, more: str) -> str:
    """A number with its decimals, or several with marks between them."""
    tail = re.findall(r"\d+", more)
    if not tail:
      return self._integer(whole)
    first = more[0]
    if len(tail) == 1 and first not in whole:
      number = self._integer(whole, year=False)
      return f"{number} {self.rules.point} {self._digits(tail[0])}"
    return " ".join(map(self._integer, [whole, *tail]))  # 12.03.2024

  def _integer(self, digits: str, year: bool = True) -> str:
    plain = self._marks.sub("", digits)
    if len(plain) > _LONGEST or (plain[0] == "0" and len(plain) > 1):
      return self._digits(plain)
    value = int(plain)
    four = plain == digits and 1100 <= value < 2100
    if year and four and self.spoken in ("en", "de"):
      return self._words(value, "year")
    return self._cardinal(value)

  def _digits(self, digits: str) -> str:
    return " ".join(self._cardinal(int(digit)) for digit in digits)

  def _cardinal(self, value: int) -> str:
    return self._words(value, "cardinal")

  def _counted(self, value: int) -> str:
    """A Korean numeral before what it counts."""
    if value == 1:
      return "한"
    return self._words(value, "ordinal").replace("번째", "").strip()

  def _ordinal(self, value: int, after: str) -> str:
    words = self._words(value, "ordinal")
    after = after.lower()
    if self.spoken == "fr" and value == 1 and after[0] in "rè":
      return "première"
    if after[-1:] == "ª":
      return words[:-1] + "a"
    if self.spoken == "es" and after == "er":
      return words[:-1]
    return words

  def _words(self, value: int, kind: str) -> str:
    words = self._convert(value, lang=self.spoken, to=kind)
    words = words.replace("-", " ").replace(",", "").strip()
    if self.spoken == "tr":  # written apart but on cheques
      words = " ".join(
        re.findall(rf"eksi|(?:{_TURKISH})(?:[iıuü]?nc[iıuü])?", words)
      )
    return words


def _converter() -> Callable[..., str]:
  try:
    import num2words2
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      "a number is spelt in words",
      error.name,
      "numbers",
      otherwise="write the number in words",
    ) from error
  return num2words2.num2words
