"""Affixes: the beginnings and endings that the words of a vocabulary share.

A rare word is known by them: `nordwestlichen` begins as `nordwesten` and ends
as `örtlichen`.
"""

import hashlib
from collections.abc import Iterator

import numpy as np

from signllm_jax.core import vocabulary as vocabulary_lib

BEGINNINGS = (2, 3, 4, 5, 6)  # letters
ENDINGS = (3, 4)


class Affixes:
  """Affixes of each token, numbered; equal and hashed by their content.

  Attributes:
    ids: [V, F] int32, by token id; PAD where a token is too short for such an
      affix, has it alone, or is no word.
    known: the affixes, by number.
  """

  def __init__(self, vocabulary: vocabulary_lib.Vocabulary):
    """Finds the affixes that at least two words have."""
    found = [_affixes(word) for word in _words(vocabulary)]
    self.known = vocabulary_lib.build_vocabulary(
      (" ".join(filter(None, affixes)) for affixes in found),
      "words",
      min_count=2,
    )
    numbers = {affix: i for i, affix in enumerate(self.known.entries)}
    self.ids = np.array(
      [
        [numbers.get(each, vocabulary_lib.PAD) for each in row] for row in found
      ],
      np.int32,
    )
    self._digest = hashlib.sha256(self.ids.tobytes()).digest()

  def __eq__(self, other: object) -> bool:
    return isinstance(other, Affixes) and self._digest == other._digest

  def __hash__(self) -> int:
    return hash(self._digest)


def _words(vocabulary: vocabulary_lib.Vocabulary) -> Iterator[str]:
  """The word of each token; empty for special tokens and characters."""
  for i, token in enumerate(vocabulary.entries):
    special = i < len(vocabulary_lib.SPECIALS)
    spelt = token.startswith(vocabulary_lib.SPACE)
    yield "" if special or spelt else token.casefold()


def _affixes(word: str) -> list[str]:
  """The affixes of a word, with a hyphen; empty where the word is shorter."""
  beginnings = [word[:n] + "-" if len(word) >= n else "" for n in BEGINNINGS]
  endings = ["-" + word[-n:] if len(word) >= n else "" for n in ENDINGS]
  return beginnings + endings
