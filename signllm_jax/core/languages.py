"""The sign languages: one table, the only place a language is entered.

A ninth language is one more `Language` line in `LANGUAGES`.
Source: SignLLM (arXiv 2405.10718), Prompt2Sign's languages and corpora.
"""

import dataclasses
import re
import unicodedata

from signllm_jax.core import errors


@dataclasses.dataclass(frozen=True)
class Language:
  """A sign language and the spoken language its texts are written in."""

  code: str  # short name used everywhere: flags, records, gloss markers
  name: str  # English name of the sign language
  iso639_3: str  # code of the sign language
  spoken: str  # ISO 639-1 code of the spoken language around it
  corpus: str  # corpus behind Prompt2Sign's part in this language
  others: tuple[str, ...] = ()  # what people call it besides code and name

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
      ("TİD", "Türk İşaret Dili", "Türk işaret dilinde", "Türk işaret diliyle"),
    ),
  )
}


def get(code: str) -> Language:
  """The language of a code (`ASL`, `asl` and `lsf_ch` all work).

  Raises:
    UsageError: no such language; the message lists the known codes.
  """
  language = LANGUAGES.get(code.upper().replace("_", "-"))
  if language is None:
    raise errors.UsageError(
      f"unknown sign language {code!r}",
      expected="one of " + ", ".join(LANGUAGES),
    )
  return language


def named_in(text: str) -> list[str]:
  """Codes of the sign languages that a text names, in the order it does.

  "How do you sign 'sea' in Swiss German Sign Language?" names DSGS, and not the
  language whose name is within that one's.
  """
  names = {
    name: language.code
    for language in LANGUAGES.values()
    for name in (language.code, language.name, *language.others)
  }
  text, found = unicodedata.normalize("NFC", text), []
  for name in sorted(names, key=len, reverse=True):
    # LIS is a language, "lis" is French for "read".
    case = re.NOFLAG if name.isupper() else re.IGNORECASE
    # Korean words end in particles: a name may go on.
    end = "" if "가" <= name[-1] <= "힣" else r"(?!\w)"
    pattern = re.compile(rf"(?<!\w){re.escape(name)}{end}", case)
    found += [(each.start(), names[name]) for each in pattern.finditer(text)]
    text = pattern.sub(lambda each: " " * len(each[0]), text)
  return list(dict.fromkeys(code for _, code in sorted(found)))
