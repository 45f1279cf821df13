"""Negation and person of Turkish words, which their lemmas drop.

A Turkish verb carries both in its endings ("okumadım", I did not read). The
rules are those of regular forms: the stem, voices ("yapıl-"), ability
("oku-ya-", "oku-yabil-"), the negation -me-, a tense or a form such as -meyen
or -meden, the person. Ability itself is not kept. Where a word may carry a
negation that no rule decides, it is unsure.
"""

import itertools
import re

import simplemma

_Endings = tuple[tuple[re.Pattern[str], str], ...]

_VOICES = (
  r"(?:(?:[ıiuü]?[ln]|[ıiuü]ş|[dt][ıiuü]r|t|[aeıiuü]r){1,2}(?=y?[ae]?m))?"
)
_PAST = r"[dt][ıiuü](?:m|n|k|n[ıiuü]z|l[ae]r)?"
_IF = r"s[ae](?:m|n|k|n[ıi]z|l[ae]r)?(?:yd[ıi].*)?"
# What follows the stem of a verb that is negated: -me- and its tense.
_NEGATIVE = re.compile(
  rf"{_VOICES}(?:y?[ae])?m(?:[ıiuü]yor.*|[ae](?:"
  rf"z(?:s[ıi]n(?:[ıi]z)?|l[ae]r|ken|{_PAST}|{_IF}|m[ıi]ş.*)?"
  rf"|y[ıi]z|y[ıi]n(?:[ıi]z)?|s[ıi]n(?:l[ae]r)?|y[ae]y[ıi]m|y[ae]l[ıi]m"
  rf"|{_PAST}|d[ıi]ğ.*|{_IF}|m[ıi]ş.*|m[ae]l[ıi].*|y[ae]c[ae][kğ].*"
  r"|y[ae]n.*|y[ıi]nc[ae]|y[ıi]p|y[ae]r[ae]k|d[ae]n"
  r"|m[ae](?:k.*|s[ıi].*)?))"
)
# The same that may be a noun: okumam, my reading or I do not read.
_MAY_BE_NOUN = re.compile(r"(?:y?[ae])?m[ae]m?")
_ABLE = r"(?:y?[ae]b[ıi]l)?"
_POSITIVE = re.compile(
  rf"{_ABLE}(?:[ıiuü]?yor.*|{_PAST}|m[ıiuü]ş.*|y?[ae]c[ae][kğ].*"
  rf"|[aeıiuü]?r(?:[ıiuü]m|[ıiuü]z|s[ıiuü]n.*|l[ae]r|{_PAST}|{_IF})?"
  rf"|{_IF}|m[ae]l[ıi].*)"
)
_TENSE = r".*(?:yor|m[ıiuü]ş|[ae]c[ae]ğ|[aeıiuü]?r|m[ae]l[ıi]y)"
_PERSONS: _Endings = (
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])m"), "ben"),
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])k"), "biz"),
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])n[ıiuü]z"), "siz"),
  (re.compile(r".*(?:[dt][ıiuü]|s[ae])n"), "sen"),
  (re.compile(rf"{_TENSE}[ıiuü]m"), "ben"),
  (re.compile(r".*m[ae]m|.*y[ae]y[ıi]m"), "ben"),  # gelmem, gelmeyeyim
  (re.compile(rf"{_TENSE}[ıiuü]z"), "biz"),
  (re.compile(r".*m[ae]y[ıi]z|.*y[ae]l[ıi]m"), "biz"),
  (re.compile(r"(?!.*m[ae]s[ıi]n).*s[ıiuü]n[ıiuü]z"), "siz"),
  (re.compile(r"(?!.*m[ae]s[ıi]n).*s[ıiuü]n"), "sen"),
)
# After a noun or adjective: hastayım, değilsin.
_BEING: _Endings = (
  (re.compile(r"y[ıiuü]m"), "ben"),
  (re.compile(r"y[ıiuü]z"), "biz"),
  (re.compile(r"s[ıiuü]n[ıiuü]z"), "siz"),
  (re.compile(r"s[ıiuü]n"), "sen"),
)
_AFTER_NOT: _Endings = (
  (re.compile("im"), "ben"),
  (re.compile("iz"), "biz"),
  (re.compile("ler"), "onlar"),
)
_QUESTION = re.compile(r"m[ıiuü](?:y[ıiuü][mz]|s[ıiuü]n(?:[ıiuü]z)?)?")
# A verb that the dictionary does not know, with its negation.
_UNKNOWN = re.compile(
  r"(.{2,}?)(m[ae]m[ıi]ş.*|m[ae]d[ıi].*|m[ıiuü]yor.*|m[ae]y[ae]c[ae][kğ].*)"
)
# Beside these, a form in -me or -mem is a noun: gelmem lazım, yüzme güzeldir.
_PREDICATE = re.compile(
  r"lazım|gerek\w*|yasak|zor|kolay|güzel|iyi|kötü|\w+[dt][ıiuü]r"
)
# Endings that may be a negation after whatever stem.
_DOUBTFUL = re.compile(
  r"(.{2,}?)(?:m[ae]z(?:s[ıi]n.*|l[ae]r|d[ıi].*|s[ae].*)?|m[ae]m|m[ae]y[ıi]z"
  r"|m[ae]s[ıi]n(?:l[ae]r)?|m[ae]y[ae]n.*|m[ae]d[ıi].*|m[ıiuü]yor.*)"
)


def glosses(word: str, lemma: str, finite: bool) -> list[str]:
  """Glosses of a Turkish word, in lower case.

  Args:
    word: in lower case.
    lemma: of it, by the dictionary.
    finite: whether another word of the sentence is a finite verb; okuma is a
      noun beside one (reading), else an order (do not read).

  Returns:
    Pronoun, lemma and `değil`, as far as they are there.
  """
  if word.startswith("değil"):  # no verb: değilim, değildik
    rest = word.removeprefix("değil")
    return [*_person(rest, (*_AFTER_NOT, *_PERSONS)), "değil"]
  if _QUESTION.fullmatch(word):
    return [*_person(word[2:], _BEING), "mi"]
  if word == lemma and (unknown := _UNKNOWN.fullmatch(word)):
    lemma = unknown[1]
  rest = _rest(word, lemma)
  if _is_negative(rest, finite):
    return [*_person(rest, _PERSONS), lemma, "değil"]
  if _POSITIVE.fullmatch(rest):
    return [*_person(rest, _PERSONS), lemma]
  return [*_person(rest, _BEING), lemma]


def is_finite(word: str, lemma: str) -> bool:
  """Whether a word is a finite form of a verb, or a predicate like one."""
  rest = _rest(word, lemma)
  return bool(
    _PREDICATE.fullmatch(word)
    or _POSITIVE.fullmatch(rest)
    or _is_negative(rest, finite=True)
  )


def is_unsure(word: str, lemma: str) -> bool:
  """Whether a word may carry a negation that its glosses lack.

  Args:
    word: in lower case.
    lemma: of it, by the dictionary.
  """
  if "değil" in glosses(word, lemma, finite=False) or _QUESTION.fullmatch(word):
    return False
  match = _DOUBTFUL.fullmatch(word)
  return bool(match) and (match[1] == lemma or _is_verb(match[1]))


def _is_verb(stem: str) -> bool:
  """Whether the dictionary knows the infinitive of a stem."""
  infinitives = (f"{stem}mak", f"{stem}mek")
  return any(simplemma.lemmatize(x, lang="tr") != x for x in infinitives)


def _rest(word: str, lemma: str) -> str:
  """What follows the stem of a word; empty if its lemma is no stem of it.

  git- becomes gid- before a vowel, ye- becomes yi-, anla- anlı- before -yor.
  """
  stems = [lemma]
  if lemma.endswith("t"):
    stems.append(f"{lemma[:-1]}d")
  if lemma in ("ye", "de"):
    stems.append(f"{lemma[:-1]}i")
  for stem in stems:
    if len(stem) > 1 and word.startswith(stem) and word != stem:
      return word[len(stem) :]
  if lemma[-1:] in ("a", "e") and word.startswith(lemma[:-1]):
    narrowed = word[len(lemma) - 1 :]
    if re.match(r"[ıiuü]yor", narrowed):
      return narrowed
  return ""


def _is_negative(rest: str, finite: bool) -> bool:
  if _MAY_BE_NOUN.fullmatch(rest):
    able = rest[0] != "m"  # yapamam, never a noun
    return able or not finite
  return bool(_NEGATIVE.fullmatch(rest))


def _person(rest: str, endings: _Endings) -> list[str]:
  """The pronoun of the first ending that fits, if one does."""
  found = (person for pattern, person in endings if pattern.fullmatch(rest))
  return list(itertools.islice(found, 1))
