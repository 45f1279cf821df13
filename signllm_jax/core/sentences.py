"""Long texts in parts: sentences, then clauses, then words.

For the spoken languages of `languages.LANGUAGES`: Latin letters and Hangul,
with the full-width marks of Chinese and Japanese besides.
"""

import itertools
import re
from collections.abc import Callable, Iterator

# Marks that end a sentence, and what may close behind them.
_END = re.compile(r"""([.!?…]+|[。！？｡]+)["'”’»)\]」』]*""")
_CLAUSE = re.compile(r"[,;:–—،、，；：]+(?=\s)|[、，；：]")
_OPENING = "¿¡\"'“„«‹([「『"
_NEAR = 24  # characters around a mark that decide
_HANGUL = re.compile(r"[\uac00-\ud7a3]")
# A full stop after these ends no sentence. Single letters (z. B., J. Smith) and
# numbers of one or two digits (am 3. März, 3. sınıf) are told by their form.
_SHORT = re.compile(
  "dr|mr|mrs|ms|prof|st|nr|no|bzw|ca|vgl|evtl|ggf|inkl|dipl|hr|fr|mme|mlle|"
  "sig|dott|sra|srta|ud|uds|avda|vs|al|örn|doç|sn|yrd",
  re.IGNORECASE,
)


def split(
  line: str, size: Callable[[str], int], limit: int, *, words: bool = False
) -> list[str]:
  """A text in parts that a model can sign, in order; nothing is left out.

  A text that fits stays whole. Else its sentences are parts; one that does not
  fit is cut at commas and other clause marks, and then between words. A word
  that does not fit stays whole.

  Args:
    line: with single spaces.
    size: tokens of a part.
    limit: tokens a part may have.
    words: every word is a part of its own, for models that know no space.
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
    clauses = _packed(_cut(sentence, _CLAUSE), size, limit)
    for clause in clauses:
      fits = size(clause) <= limit
      parts += [clause] if fits else _packed(clause.split(), size, limit)
  return parts


def _packed(
  pieces: list[str], size: Callable[[str], int], limit: int
) -> list[str]:
  """Neighbours together, as many as fit."""
  packed: list[str] = []
  for piece in pieces:
    longer = f"{packed[-1]} {piece}" if packed else piece
    if packed and size(longer) <= limit:
      packed[-1] = longer
    else:
      packed.append(piece)
  return packed


def _cut(line: str, mark: re.Pattern) -> list[str]:
  ends = [match.end() for match in mark.finditer(line)]
  return _slices(line, ends)


def _sentences(line: str) -> list[str]:
  # A text in lower case throughout tells nothing by its letters.
  cased = line != line.lower()
  return _slices(line, list(_ends(line, cased)))


def _ends(line: str, cased: bool) -> Iterator[int]:
  for match in _END.finditer(line):
    start, end = match.span()
    before, after = line[max(start - _NEAR, 0) : start], line[end : end + _NEAR]
    wide = match[1][0] in "。！？｡"
    # In Korean the space is often left out.
    hangul = _HANGUL.fullmatch(before[-1:]) and _HANGUL.match(after)
    if not (wide or hangul or not after or after[0].isspace()):
      continue  # 3.5, signs.org
    first = after.lstrip().lstrip(_OPENING)[:1]
    if cased and first.islower() and match[1] != "。":
      continue  # z.B. im Norden; “Wirklich?” fragte sie
    if match[1] == "." and _abbreviates(before):
      continue
    yield end


def _abbreviates(before: str) -> bool:
  """Whether the last word is one that a full stop belongs to."""
  word = before.split()[-1] if before.split() else ""
  last = word.rsplit(".", 1)[-1].lstrip(_OPENING)
  if last.isdigit():
    return len(last) <= 2
  return (len(last) == 1 and last.isalpha()) or bool(_SHORT.fullmatch(last))


def _slices(line: str, ends: list[int]) -> list[str]:
  borders = [0, *ends, len(line)]
  parts = [
    line[start:end].strip() for start, end in itertools.pairwise(borders)
  ]
  return [part for part in parts if part]
