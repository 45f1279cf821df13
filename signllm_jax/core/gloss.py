"""Gloss tokens: marked with their sign language, cleaned for scoring.

A marked token is `<CODE_GLOSS>`, such as `<ASL_HELLO>`, so that equal glosses
of two languages stay distinct (SignLLM, Text2LangGloss). No code contains an
underscore: the code ends at the first one. The brackets are the first and the
last character. So glosses may contain underscores and brackets.
"""

import itertools
import re

from signllm_jax.core import errors, languages

_MARKED = re.compile(r"<([^_]+)_(\S+)>")
_ANNOTATION = re.compile(r"__\S*__")  # e.g. __ON__, __EMP__, __??BERG__
_PREFIX = re.compile(r"(?:^|(?<=-))(?:loc|cl)-")
_REGION = re.compile(r"(?<=[A-Z])RAUM$")  # NORDRAUM, but RAUM itself stays
_SPELT = re.compile(r"[A-Z]|SCH|NN")
_PLAIN = re.compile(r"[A-Z]+")


def mark(gloss: str, code: str) -> str:
  """Marks every token of a gloss, e.g. `<ASL_HELLO> <ASL_WORLD>`.

  Args:
    gloss: tokens separated by spaces.
    code: of the sign language.

  Raises:
    UsageError: no such language.
  """
  code = languages.get(code).code
  return " ".join(f"<{code}_{token}>" for token in gloss.split())


def prepend_language(text: str, code: str) -> str:
  """Prepends the target language, `<GSL> guten abend`, for shared models."""
  return f"<{languages.get(code).code}> {text}"


def strip_marks(gloss: str) -> str:
  """Removes the marks of all tokens: the inverse of `mark`.

  Raises:
    DataError: as `parse_token`.
  """
  return " ".join(parse_token(token)[1] for token in gloss.split())


def parse_token(token: str) -> tuple[str, str]:
  """Splits a marked token into language code and gloss.

  Raises:
    DataError: the token is not marked, or its language is unknown.
  """
  match = _MARKED.fullmatch(token)
  if match is None or match[1] not in languages.LANGUAGES:
    raise errors.DataError(
      f"{token!r} is not a gloss marked with its language",
      expected="<CODE_GLOSS> with one of " + ", ".join(languages.LANGUAGES),
    )
  return match[1], match[2]


def clean_phoenix(gloss: str) -> str:
  """Cleans a gloss of RWTH-PHOENIX-Weather 2014T as in published scores.

  Removed are annotations, the prefixes loc- and cl-, the suffix -PLUSPLUS and a
  final RAUM. WIE AUSSEHEN and spelt letters are joined; ZEIGEN becomes
  ZEIGEN-BILDSCHIRM. Of a repeated plain upper-case word one is kept; words with
  a hyphen or +, such as IN-KOMMEND, stay repeated. TRAUM becomes T, as in the
  original. On the training split this yields the 1,085 words of Progressive
  Transformers' vocabulary, in its order of frequency.
  """
  words = []
  for word in gloss.split():
    if _ANNOTATION.fullmatch(word):
      continue
    word = _PREFIX.sub("", word).removesuffix("-PLUSPLUS")
    word = _REGION.sub("", word)
    if word == "ZEIGEN":
      word = "ZEIGEN-BILDSCHIRM"
    if word == "AUSSEHEN" and words and words[-1] == "WIE":
      words[-1] = "WIE-AUSSEHEN"
    elif word:
      words.append(word)
  joined = []
  for spelt, group in itertools.groupby(words, _is_spelt):
    run = list(group)
    joined += ["+".join(run)] if spelt else run
  return " ".join(
    word
    for i, word in enumerate(joined)
    if i == 0 or word != joined[i - 1] or not _PLAIN.fullmatch(word)
  )


def _is_spelt(word: str) -> bool:
  return _SPELT.fullmatch(word) is not None
