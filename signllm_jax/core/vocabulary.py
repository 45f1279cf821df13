"""Vocabularies: tokens of words, characters or glosses, and their ids."""

import collections
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from signllm_jax.core import errors

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
TOKEN_UNITS = ("words", "characters", "words+characters")

SPACE = "▁"  # space between characters; start of a spelt word


def tokenize(text: str, unit: str) -> list[str]:
  """Splits a text, in NFC, into words, or into characters and SPACE.

  With `words+characters` all tokens are words: which of them are spelt depends
  on the vocabulary (`Vocabulary.tokenize`).
  """
  words = unicodedata.normalize("NFC", text).split()
  return list(SPACE.join(words)) if unit == "characters" else words


def _spell(word: str) -> list[str]:
  """Spells a word: `▁ ▁c ▁a ▁t`; so letters differ from one-letter words."""
  return [SPACE, *(SPACE + character for character in word)]


class Vocabulary:
  """Tokens in the order of their ids; the four special tokens come first.

  Sequences end with </s>, as in Progressive Transformers. A special token in a
  text is an ordinary word: typed `<s>` does not become id BOS.

  With `words+characters`, words outside the vocabulary are spelt in characters.
  Characters that no training text contains become <unk>.

  Attributes:
    entries: all tokens, by id.
    unit: one of TOKEN_UNITS.
  """

  def __init__(self, entries: Sequence[str], unit: str):
    if unit not in TOKEN_UNITS:
      raise errors.DataError(
        f"a vocabulary of {unit!r}",
        expected="one of " + ", ".join(TOKEN_UNITS),
      )
    if tuple(entries[: len(SPECIALS)]) != SPECIALS:
      raise errors.DataError(
        f"a vocabulary starts with {list(entries[:4])}",
        expected=str(list(SPECIALS)),
      )
    self.entries = tuple(entries)
    self.unit = unit
    first = len(SPECIALS)
    self._ids = {t: i for i, t in enumerate(self.entries[first:], first)}

  def __len__(self) -> int:
    return len(self.entries)

  def tokenize(self, text: str) -> list[str]:
    """Splits a text into tokens, whether or not the vocabulary has them."""
    words = tokenize(text, self.unit)
    if self.unit != "words+characters":
      return words
    return [
      token
      for word in words
      for token in ([word] if self._has_word(word) else _spell(word))
    ]

  def _has_word(self, word: str) -> bool:
    # A typed word must not be taken for a spelt character.
    return word in self._ids and not word.startswith(SPACE)

  def count_spelt(self, text: str) -> int:
    """Number of words of a text that `words+characters` spells."""
    if self.unit != "words+characters":
      return 0
    return sum(not self._has_word(w) for w in tokenize(text, self.unit))

  def encode(self, text: str) -> np.ndarray:
    """Ids [S] int32 of a text, with </s> at the end."""
    ids = [self._ids.get(token, UNK) for token in self.tokenize(text)]
    return np.array([*ids, EOS], np.int32)

  def decode(self, ids: Iterable[int]) -> str:
    """Text of the ids before </s>, in NFC and with single spaces."""
    tokens = []
    for i in ids:
      if i == EOS:
        break
      if i not in (PAD, BOS):
        tokens.append(self.entries[i])
    if self.unit == "words":
      return " ".join(tokens)
    if self.unit == "characters":
      return "".join(tokens).replace(SPACE, " ")
    return "".join(
      " " if t == SPACE else t[1:] if t.startswith(SPACE) else " " + t
      for t in tokens
    ).strip()

  def unknown(self, text: str) -> list[str]:
    """Tokens of a text that the vocabulary does not have."""
    return [t for t in self.tokenize(text) if t not in self._ids]


def build_vocabulary(
  texts: Iterable[str], unit: str, min_count: int = 1
) -> Vocabulary:
  """Builds a vocabulary by frequency, most frequent first, ties by code point.

  Args:
    texts: of the training split.
    unit: one of TOKEN_UNITS. With `words+characters` the characters of all
      words precede the words. A model learns them from the spelt words, those
      rarer than `min_count`: with 1 there are none.
    min_count: rarer tokens are left out, except characters for spelling.
  """
  counts = collections.Counter(
    token for text in texts for token in tokenize(text, unit)
  )
  spelling = []
  if unit == "words+characters":
    spelt: collections.Counter[str] = collections.Counter()
    for word, n in counts.items():
      for token in _spell(word):
        spelt[token] += n
    spelling = _by_frequency(spelt)
    counts = collections.Counter(
      {w: n for w, n in counts.items() if not w.startswith(SPACE)}
    )
  frequent = [t for t in _by_frequency(counts) if counts[t] >= min_count]
  return Vocabulary([*SPECIALS, *spelling, *frequent], unit)


def _by_frequency(counts: collections.Counter[str]) -> list[str]:
  return sorted(counts, key=lambda token: (-counts[token], token))


def pad(sequences: Sequence[np.ndarray], length: int) -> np.ndarray:
  """Stacks sequences as ids [B, length] int32, with PAD at the end."""
  out = np.full((len(sequences), length), PAD, np.int32)
  for row, ids in enumerate(sequences):
    out[row, : len(ids)] = ids
  return out
