"""Splits long texts into sentences, then clauses, then words.

Covers the spoken languages of `languages.LANGUAGES` (Latin script and Hangul)
and the full-width punctuation of Chinese and Japanese.
"""

import itertools
import re
from collections.abc import Callable, Iterator

# Marks that end a sentence, with closing quotes and brackets.
_SENTENCE_END = re.compile(r"""([.!?…]+|[。！？｡]+)["'”’»)\]」』]*""")
_CLAUSE_END = re.compile(r"[,;:–—،、，；：]+(?=\s)|[、，；：]")
_OPENING = "¿¡\"'“„«‹([「『"
_CONTEXT = 24  # characters looked at on either side of a mark
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
# Abbreviations: a full stop after them ends no sentence. Single letters (z. B.,
# J. Smith) and numbers of one or two digits (am 3. März, 3. sınıf) are
# recognised by their form.
_ABBREVIATION = re.compile(
  "dr|mr|mrs|ms|prof|st|nr|no|bzw|ca|vgl|evtl|ggf|inkl|dipl|hr|fr|mme|mlle|"
  "sig|dott|sra|srta|ud|uds|avda|vs|al|örn|doç|sn|yrd",
  re.IGNORECASE,
)


def split(
  line: str, size: Callable[[str], int], limit: int, *, words: bool = False
) -> list[str]:
  """Splits a text into parts that fit a model, in order and without loss.

  A text that fits stays whole. Otherwise it is split into sentences; a sentence
  that does not fit is split at clause marks, then between words. A word that
  does not fit stays whole.

  Args:
    line: text with single spaces.
    size: counts the tokens of a part.
    limit: maximum number of tokens of a part.
    words: split at every word, for models whose vocabulary has no space.
  """
  if words:
    return line.split()
  if size(line) <= limit:
    return [line]
  parts = []
  for sentence in _sentences(line):
    if size(sentence) <= limit:
      parts.append(sentence)
      continue
    for clause in _pack(_clauses(sentence), size, limit):
      fits = size(clause) <= limit
      parts += [clause] if fits else _pack(clause.split(), size, limit)
  return parts


def sentence_lengths(
  line: str, words: Callable[[str], int] = lambda part: len(part.split())
) -> list[int]:
  """The number of words of each sentence of a text.

  Args:
    line: text with single spaces.
    words: counts those of a sentence.
  """
  return [words(sentence) for sentence in _sentences(line)]


def _pack(
  pieces: list[str], size: Callable[[str], int], limit: int
) -> list[str]:
  """Joins neighbouring pieces, as many as fit."""
  packed: list[str] = []
  for piece in pieces:
    longer = f"{packed[-1]} {piece}" if packed else piece
    if packed and size(longer) <= limit:
      packed[-1] = longer
    else:
      packed.append(piece)
  return packed


def _clauses(line: str) -> list[str]:
  ends = [match.end() for match in _CLAUSE_END.finditer(line)]
  return _slices(line, ends)


def _sentences(line: str) -> list[str]:
  # In a text all in lower case, case does not mark a sentence's start.
  cased = line != line.lower()
  return _slices(line, list(_sentence_ends(line, cased)))


def _sentence_ends(line: str, cased: bool) -> Iterator[int]:
  for match in _SENTENCE_END.finditer(line):
    start, end = match.span()
    before = line[max(start - _CONTEXT, 0) : start]
    after = line[end : end + _CONTEXT]
    full_width = match[1][0] in "。！？｡"
    # Korean texts often omit the space after a sentence.
    hangul = _HANGUL.fullmatch(before[-1:]) and _HANGUL.match(after)
    if not (full_width or hangul or not after or after[0].isspace()):
      continue  # 3.5, signs.org
    first = after.lstrip().lstrip(_OPENING)[:1]
    if cased and first.islower() and match[1] != "。":
      continue  # z.B. im Norden; “Wirklich?” fragte sie
    if match[1] == "." and _ends_in_abbreviation(before):
      continue
    yield end


def _ends_in_abbreviation(before: str) -> bool:
  """Whether the full stop belongs to the last word."""
  word = before.split()[-1] if before.split() else ""
  last = word.rsplit(".", 1)[-1].lstrip(_OPENING)
  if last.isdigit():
    return len(last) <= 2
  return (len(last) == 1 and last.isalpha()) or bool(
    _ABBREVIATION.fullmatch(last)
  )


def _slices(line: str, ends: list[int]) -> list[str]:
  borders = [0, *ends, len(line)]
  parts = [
    line[start:end].strip() for start, end in itertools.pairwise(borders)
  ]
  return [part for part in parts if part]
