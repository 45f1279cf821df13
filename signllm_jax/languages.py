"""The sign languages: one table, the only place a language is entered.

A ninth language is one more `Language` line in `LANGUAGES`.
Source: SignLLM (arXiv 2405.10718), Prompt2Sign's languages and corpora.
"""

import dataclasses

from signllm_jax import errors


@dataclasses.dataclass(frozen=True)
class Language:
  """A sign language and the spoken language its texts are written in."""

  code: str  # short name used everywhere: flags, records, gloss markers
  name: str  # English name of the sign language
  iso639_3: str  # code of the sign language
  spoken: str  # ISO 639-1 code of the spoken language around it
  corpus: str  # corpus behind Prompt2Sign's part in this language

  @property
  def config_name(self) -> str:
    """Name of the configuration in dataset registries, e.g. `lsf_ch`."""
    return self.code.lower().replace("-", "_")


LANGUAGES: dict[str, Language] = {
  language.code: language
  for language in (
    Language("ASL", "American Sign Language", "ase", "en", "How2Sign"),
    Language(
      "GSL", "German Sign Language", "gsg", "de", "RWTH-PHOENIX-Weather-2014T"
    ),
    Language("DSGS", "Swiss German Sign Language", "sgg", "de", "SignSuisse"),
    Language(
      "LSF-CH", "French Sign Language of Switzerland", "ssr", "fr", "SignSuisse"
    ),
    Language(
      "LIS-CH",
      "Italian Sign Language of Switzerland",
      "slf",
      "it",
      "SignSuisse",
    ),
    Language("LSA", "Argentine Sign Language", "aed", "es", "LSA64"),
    Language("KSL", "Korean Sign Language", "kvk", "ko", "KSL"),
    Language("TSL", "Turkish Sign Language", "tsm", "tr", "AUTSL"),
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
