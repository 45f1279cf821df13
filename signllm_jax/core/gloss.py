"""Glosses as tokens: marked with their sign language, cleaned for scores.

A marked token is `<CODE_GLOSS>`, such as `<ASL_HELLO>`, so that equal glosses
of two languages never mix (SignLLM, Text2LangGloss). The code ends at the first
underscore, which no code has, and the brackets are the first and the last
character: glosses may hold underscores and brackets themselves.
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
    gloss: tokens with spaces between.
    code: of the sign language.

  Raises:
    UsageError: no such language.
  """
  code = languages.get(code).code
  return " ".join(f"<{code}_{token}>" for token in gloss.split())


def ask(text: str, code: str) -> str:
  """What a model of several languages reads: the one asked for, then a text."""
  return f"<{languages.get(code).code}> {text}"


def plain(gloss: str) -> str:
  """Marked tokens without their marks: the inverse of `mark`.

  Raises:
    DataError: as `unmark`.
  """
  return " ".join(unmark(token)[1] for token in gloss.split())


def unmark(token: str) -> tuple[str, str]:
  """The code and the gloss of one marked token: the inverse of `mark`.

  Raises:
    DataError: not such a token, or of no known language.
  """
  match = _MARKED.fullmatch(token)
  if match is None or match[1] not in languages.LANGUAGES:
    raise errors.DataError(
      f"{token!r} is not a gloss marked with its language",
      expected="<CODE_GLOSS> with one of " + ", ".join(languages.LANGUAGES),
    )
  return match[1], match[2]


def clean_phoenix(gloss: str) -> str:
  """A gloss of RWTH-PHOENIX-Weather 2014T as published scores take it.

  Annotations go; of words the prefixes loc- and cl-, the suffix -PLUSPLUS and
  a final RAUM; WIE AUSSEHEN and spelt letters are joined; ZEIGEN becomes
  ZEIGEN-BILDSCHIRM; a plain upper-case word that is repeated is kept once (one
  with a hyphen or +, such as IN-KOMMEND, stays repeated). TRAUM becomes T, as
  it does there. On the training split this gives the 1,085 words of
  Progressive Transformers' vocabulary, in its order of frequency.
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
