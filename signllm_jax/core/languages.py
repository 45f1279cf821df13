"""The table of sign languages.

A new language is added by one more `Language` in `LANGUAGES`, nowhere else.
Source: SignLLM (arXiv 2405.10718), Prompt2Sign's languages and corpora.
"""

import dataclasses
import re
import unicodedata

from signllm_jax.core import errors


@dataclasses.dataclass(frozen=True)
class Language:
  """A sign language and the spoken language its texts are written in."""

  code: str  # short name in flags, records and gloss marks
  name: str  # English name of the sign language
  iso639_3: str  # code of the sign language
  spoken: str  # ISO 639-1 code of the spoken language of its texts
  corpus: str  # corpus behind Prompt2Sign's part in this language
  aliases: tuple[str, ...] = ()  # names besides code and English name

  @property
  def config_name(self) -> str:
    """Name of the configuration in dataset registries, e.g. `lsf_ch`."""
    return self.code.lower().replace("-", "_")


LANGUAGES: dict[str, Language] = {
  language.code: language
  for language in (
    Language("ASL", "American Sign Language", "ase", "en", "How2Sign"),
    Language(
      "GSL",
      "German Sign Language",
      "gsg",
      "de",
      "RWTH-PHOENIX-Weather-2014T",
      ("DGS", "Deutsche Gebärdensprache", "Deutscher Gebärdensprache"),
    ),
    Language(
      "DSGS",
      "Swiss German Sign Language",
      "sgg",
      "de",
      "SignSuisse",
      (
        "Deutschschweizer Gebärdensprache",
        "Deutschschweizerische Gebärdensprache",
        "Deutschschweizerischer Gebärdensprache",
      ),
    ),
    Language(
      "LSF-CH",
      "French Sign Language of Switzerland",
      "ssr",
      "fr",
      "SignSuisse",
      (
        "LSF",
        "Swiss French Sign Language",
        "langue des signes française",
        "langue des signes de Suisse romande",
      ),
    ),
    Language(
      "LIS-CH",
      "Italian Sign Language of Switzerland",
      "slf",
      "it",
      "SignSuisse",
      ("LIS", "Swiss Italian Sign Language", "lingua dei segni italiana"),
    ),
    Language(
      "LSA",
      "Argentine Sign Language",
      "aed",
      "es",
      "LSA64",
      ("Argentinian Sign Language", "lengua de señas argentina"),
    ),
    Language(
      "KSL",
      "Korean Sign Language",
      "kvk",
      "ko",
      "KSL",
      ("한국 수어", "한국수어", "한국 수화"),
    ),
    Language(
      "TSL",
      "Turkish Sign Language",
      "tsm",
      "tr",
      "AUTSL",
      (
        "TİD",
        "TID",
        "Türk İşaret Dili",
        "Türk işaret dilinde",
        "Türk işaret diliyle",
      ),
    ),
  )
}


_WORDS = {"LIS"}  # codes that are words in lower case
_ENDING = "(?:de|da|den|dan|te|ta|ten|tan)"  # of Turkish, after TİD
_QUOTED = re.compile("'[^']*'|\"[^\"]*\"|“[^”]*”|„[^“”]*[“”]|«[^»]*»|‘[^’]*’")


def get(code: str) -> Language:
  """Looks up a language by its code (`ASL`, `asl`, `lsf_ch`, `dgs`, `tid`).

  Raises:
    UsageError: no such language; the message lists the known codes.
  """
  named = code.upper().replace("_", "-").replace("İ", "I")
  language = LANGUAGES.get(named) or next(
    (each for each in LANGUAGES.values() if named in each.aliases), None
  )
  if language is None:
    raise errors.UsageError(
      f"unknown sign language {code!r}",
      expected="one of " + ", ".join(LANGUAGES),
    )
  return language


def spoken_with(code: str) -> str:
  """The spoken language (ISO 639-1) of a sign language; "" if it is unknown."""
  language = LANGUAGES.get(code)
  return language.spoken if language else ""


def mentioned_in(text: str) -> list[str]:
  """Finds the sign languages mentioned in a text, in order; returns codes.

  "How do you sign 'sea' in Swiss German Sign Language?" mentions DSGS but not
  German Sign Language, whose name is part of that name. Codes are found in any
  case and with an ending (`tid`, `TID'de`, `KSL로`), in lower case not between
  quotation marks, where the text to sign stands.
  """
  names = {
    name: language.code
    for language in LANGUAGES.values()
    for name in (language.code, language.name, *language.aliases)
  }
  text, mentions = unicodedata.normalize("NFC", text), []
  quoted = [match.span() for match in _QUOTED.finditer(text)]
  for name in sorted(names, key=len, reverse=True):
    # Korean particles are written on to a name, Turkish endings to some codes.
    end = "" if "가" <= name[-1] <= "힣" else rf"(?:{_ENDING})?(?![^\W가-힣])"
    # LIS is a language, but "lis" is French for "read".
    case = re.NOFLAG if name in _WORDS else re.IGNORECASE
    pattern = re.compile(rf"(?<!\w){re.escape(name)}{end}", case)
    for match in pattern.finditer(text):
      at = match.start()
      lower = name.isupper() and not match[0][: len(name)].isupper()
      if not (lower and any(start <= at < stop for start, stop in quoted)):
        mentions.append((at, names[name]))
    text = pattern.sub(lambda match: " " * len(match[0]), text)
  return list(dict.fromkeys(code for _, code in sorted(mentions)))
