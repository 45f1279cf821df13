"""Makes glosses for corpora that have none: lemmas in upper case.

A gloss made by rule follows the spoken sentence word by word, articles
included. It is not a translation: its order and words are those of the text,
not those of the sign language. Records mark such glosses (`gloss_made`). What a
verb carries is kept: negation and person as words of their own, by
`turkish_verbs.py` and `verb_marks.py`, and a question as a final `?`. Where a
word may carry a negation that no rule decides, the gloss is unsure.

Lemmas come from simplemma, for Korean from Kiwi. Both use dictionaries that
ship with them, so a gloss depends on their versions.
"""

import functools
import re
from collections.abc import Callable
from typing import Any

import simplemma

from data_pipeline.texts import normalisation, turkish_verbs, verb_marks
from signllm_jax.core import errors, extras

# A number with its separators, or a word with inner hyphens and apostrophes.
_WORD = re.compile(r"\d+(?:[.,:]\d+)+|[^\W_]+(?:['-][^\W_]+)*")

_ENGLISH = {
  "can't": ["can", "not"],
  "won't": ["will", "not"],
  "shan't": ["shall", "not"],
  "cannot": ["can", "not"],
  "let's": ["let", "us"],
  "dunno": ["do", "not", "know"],
}
_ENGLISH_ENDINGS = {
  "n't": "not",
  "'m": "am",
  "'re": "are",
  "'ve": "have",
  "'ll": "will",
  "'d": "would",
}
# After these, 's is a verb; elsewhere it is a possessive.
_ENGLISH_IS = re.compile("s?he|it|that|this|t?here|what|where|who|how")
_ELIDED = {
  "fr": {
    "c": "ce",
    "d": "de",
    "j": "je",
    "jusqu": "jusque",
    "l": "le",
    "lorsqu": "lorsque",
    "m": "me",
    "n": "ne",
    "puisqu": "puisque",
    "qu": "que",
    "s": "se",
    "t": "te",
  },
  "it": {
    "all": "al",
    "anch": "anche",
    "c": "ci",
    "com": "come",
    "cos": "cosa",
    "d": "di",
    "dall": "dal",
    "dell": "del",
    "dov": "dove",
    "l": "il",
    "nell": "nel",
    "quell": "quello",
    "quest": "questo",
    "sull": "sul",
    "un": "una",
  },
}
# The t of a-t-il is included, though it only eases pronunciation.
_FRENCH_PRONOUN = re.compile(
  "ce|elles?|en|ils?|je|la|les?|leur|lui|moi|nous|on|t|toi|tu|vous|y"
)
# simplemma's English lemmas with one letter too many, which makes them obsolete
# or other words: thinke for thinking, singe for singing.
_OVERLONG = re.compile(
  "appeall|assaile|attache|cancell|crafte|crosse|deposite|develope|fixe|growe|"
  "guarde|labell|lense|longe|masse|mixe|modell|playe|prefixe|preferr|signall|"
  "singe|smoothe|springe|swinge|thanke|thinke|travell|winge"
)
_SIMPLEMMA = ("de", "en", "es", "fr", "it", "tr")
# Kiwi's tags of kept tokens: nouns, verbs, adjectives, auxiliaries (negation is
# one), modifiers, interjections, roots, foreign words, numbers. Particles,
# the copula (a particle in Korean grammar), endings and suffixes go.
_KOREAN_KEPT = (
  *("N", "VV", "VA", "VX", "VCN", "M"),
  *("IC", "XR", "SL", "SH", "SN", "UN", "W_"),
)
_KOREAN_PREFIX = "XPN"  # joined to the noun that follows


def complete(gloss: str, text: str, spoken: str) -> tuple[str, bool]:
  """Returns the gloss of the corpus, or one made of the text.

  Args:
    gloss: gloss of the corpus; empty if there is none.
    text: the sentence.
    spoken: language of the text (ISO 639-1).

  Returns:
    The gloss, and whether it was made: the record's `gloss_made`.

  Raises:
    DataError, UsageError: as `make_gloss`.
  """
  given = " ".join(gloss.split())
  return (given, False) if given else (make_gloss(text, spoken), True)


def make_gloss(text: str, spoken: str) -> str:
  """Makes a gloss: lemmas in upper case without punctuation.

  Args:
    text: a cleaned text in its usual casing, which marks German nouns.
    spoken: its language (ISO 639-1): de, en, es, fr, it, ko or tr.

  Raises:
    DataError: the text has no words.
    UsageError: no rules for this language, or its package is not installed.
  """
  if spoken == "ko":
    lemmas = _korean(text)
  elif spoken in _SIMPLEMMA:
    plain = text.replace("’", "'")
    words = [
      part
      for word in _WORD.findall(plain)
      for part in _SPLIT.get(spoken, _whole)(word)
    ]
    lemmas = _with_marks(words, spoken)
  else:
    raise errors.UsageError(
      f"no glosses can be made in the spoken language {spoken!r}",
      expected="one of " + ", ".join((*_SIMPLEMMA, "ko")),
    )
  if not lemmas:
    raise errors.DataError(
      f"{text!r} has no words", expected="a text to make a gloss of"
    )
  question = ["?"] if text.rstrip("\"'”’»“ ").endswith("?") else []
  return normalisation.upper(" ".join([*lemmas, *question]), spoken)


def unsure_words(text: str, spoken: str) -> list[str]:
  """Words that may carry a negation which the gloss of a text lacks.

  Only Turkish has any: elsewhere a negation is a word of its own.

  Args:
    text: as of `make_gloss`.
    spoken: its language (ISO 639-1).
  """
  if spoken != "tr":
    return []
  words = [
    normalisation.lower(part, spoken)
    for word in _WORD.findall(text.replace("’", "'"))
    for part in _turkish(word)
  ]
  lemmas = [_lemma(word, spoken) for word in words]
  return [
    word
    for word, lemma in zip(words, lemmas, strict=True)
    if turkish_verbs.is_unsure(word, lemma)
  ]


def _with_marks(words: list[str], spoken: str) -> list[str]:
  """Lemmas, with what verbs carry besides."""
  lemmas = [_lemma(word, spoken) for word in words]
  if spoken not in verb_marks.SUBJECTS:
    return lemmas
  lower = [normalisation.lower(word, spoken) for word in words]
  named = not verb_marks.SUBJECTS[spoken].isdisjoint(lower)
  found = []
  for number, (word, lemma) in enumerate(zip(lower, lemmas, strict=True)):
    if spoken == "tr":
      finite = any(
        turkish_verbs.is_finite(other, lemmas[i])
        for i, other in enumerate(lower)
        if i != number
      )
      parts = turkish_verbs.glosses(word, lemma, finite)
    else:
      before = lower[number - 1] if number else ""
      verb, pronoun = verb_marks.romance(word, lemma, spoken, before)
      parts = [pronoun, verb] if pronoun else [verb]
    if named and len(parts) > 1 and parts[0] in verb_marks.SUBJECTS[spoken]:
      parts = parts[1:]
    found += parts
  return found


def _lemma(word: str, spoken: str) -> str:
  if spoken == "it" and word.lower() in ("lo", "so"):
    return word.lower()  # simplemma: il, essere
  if spoken == "tr":
    word = normalisation.lower(word, spoken)  # simplemma takes I for i
  lemma = simplemma.lemmatize(word, lang=spoken)
  if spoken == "en":
    if lemma == "gan":  # of gone
      return "go"
    if _OVERLONG.fullmatch(lemma):
      return lemma[:-1]
  return lemma


def _whole(word: str) -> list[str]:
  return [word]


def _english(word: str) -> list[str]:
  """Expands contractions: simplemma drops the not of don't."""
  plain = word.lower()
  if plain in _ENGLISH:
    return _ENGLISH[plain]
  for ending, full in _ENGLISH_ENDINGS.items():
    if plain.endswith(ending):
      return [word[: -len(ending)], full]
  if plain.endswith("'s"):
    is_verb = _ENGLISH_IS.fullmatch(plain[:-2])
    return [word[:-2], "is"] if is_verb else [word[:-2]]
  return [word]


def _elided(word: str, spoken: str) -> list[str]:
  head, apostrophe, rest = word.partition("'")
  full = _ELIDED[spoken].get(head.lower())
  if not apostrophe or full is None:
    return [word]
  return [full, *_elided(rest, spoken)]


def _french(word: str) -> list[str]:
  """L'eau -> le eau, habitez-vous -> habitez vous, a-t-il -> a il."""
  parts = []
  for part in _elided(word, "fr"):
    head, *rest = part.split("-")
    inverted = rest and all(map(_FRENCH_PRONOUN.fullmatch, rest))
    if inverted and head.lower() != "rendez":  # a rendez-vous is a noun
      parts += [head, *(pronoun for pronoun in rest if pronoun != "t")]
    else:
      parts.append(part)
  return parts


def _italian(word: str) -> list[str]:
  return _elided(word, "it")


def _german(word: str) -> list[str]:
  return [word.removesuffix("'s")]  # geht's


def _turkish(word: str) -> list[str]:
  return [word.partition("'")[0]]  # the case ending of a name follows


_SPLIT: dict[str, Callable[[str], list[str]]] = {
  "de": _german,
  "en": _english,
  "fr": _french,
  "it": _italian,
  "tr": _turkish,
}


def _korean(text: str) -> list[str]:
  lemmas, prefix = [], ""
  for token in _kiwi().tokenize(text):
    if token.tag == _KOREAN_PREFIX:
      prefix += token.form
    elif token.tag.startswith(_KOREAN_KEPT):
      lemmas.append(prefix + token.lemma)
      prefix = ""
  return lemmas


@functools.cache
def _kiwi() -> Any:
  try:
    import kiwipiepy
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      "Korean glosses are made", "kiwipiepy", "data"
    ) from error
  return kiwipiepy.Kiwi(num_workers=1)
