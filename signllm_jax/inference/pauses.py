"""Pauses between the parts of a text: after spelt words and after sentences.

A text has them in units of a pause between words; a request says how long one
is.
"""

import itertools
from collections.abc import Callable, Sequence

from signllm_jax.core import errors, sentences

SECONDS = 0.25  # between words that are spelt
FULL_STOP = 3.0  # times as long at the end of a sentence
LONGEST = 5.0  # seconds between words


def after_parts(
  line: str,
  parts: Sequence[str],
  spellable: Callable[[str], str],
  *,
  spelt: bool,
) -> list[float]:
  """The pause after each part: 1 after a spelt word, FULL_STOP, or 0.

  Args:
    line: the text as it was typed, with its punctuation.
    parts: of what the model reads of it, in order and without loss.
    spellable: what the model reads of a sentence.
    spelt: whether each part is a word that is spelt.
  """

  def words(text: str) -> int:
    return len(spellable(text).split())

  ends = set(itertools.accumulate(sentences.sentence_lengths(line, words)))
  counts = itertools.accumulate(len(part.split()) for part in parts)
  return [FULL_STOP if n in ends else float(spelt) for n in counts]


def between(rests: Sequence[float], kept: Sequence[bool]) -> tuple[float, ...]:
  """The longest pause between each two parts that are kept."""
  found: list[float] = []
  for rest, keep in zip(rests, kept, strict=True):
    if keep:
      found.append(rest)
    elif found:
      found[-1] = max(found[-1], rest)
  return tuple(found[:-1])


def check(seconds: float) -> None:
  """Checks the length of a pause between words.

  Raises:
    UsageError: it is negative or too long.
  """
  if not 0 <= seconds <= LONGEST:
    raise errors.UsageError(
      f"a pause of {seconds:g} seconds", expected=f"0 to {LONGEST:g}"
    )


def in_seconds(
  texts: Sequence[Sequence[float]], seconds: float
) -> list[tuple[float, ...]]:
  """The pauses of texts in seconds, for one between words of so many."""
  return [tuple(seconds * rest for rest in text) for text in texts]
