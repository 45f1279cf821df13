"""Words, characters and glosses -> ids, and the vocabularies behind them."""

import collections
import os
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from signllm_jax.core import errors

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")
KINDS = ("words", "characters", "words+characters")  # of tokens

SPACE = "▁"  # the space between characters; the start of a spelt word


def decode_line(line: bytes, path: str | os.PathLike, number: int) -> str:
  """A line of a file as text.

  Raises:
    DataError: it is not UTF-8; names file, line and byte.
  """
  try:
    return line.decode()
  except UnicodeDecodeError as error:
    raise errors.DataError(
      f"byte {error.start + 1} is not UTF-8",
      path=path,
      line=number,
      expected="UTF-8",
    ) from error


def tokenize(text: str, tokens: str) -> list[str]:
  """Splits NFC text into words, or into characters with a sign for spaces.

  Which words of `words+characters` are spelt depends on the vocabulary: here
  they are all words, `Vocabulary.tokenize` spells.
  """
  words = unicodedata.normalize("NFC", text).split()
  return list(SPACE.join(words)) if tokens == "characters" else words


def _spell(word: str) -> list[str]:
  """A word in characters: `▁ ▁c ▁a ▁t`, apart from words of one letter."""
  return [SPACE, *(SPACE + character for character in word)]


class Vocabulary:
  """Tokens in the order of their ids; the four specials come first.

  Sequences end with </s>, as in Progressive Transformers. No text can spell a
  special: `<s>` in a text is a word like any other.

  With `words+characters` a word that is not listed is spelt in characters. It
  is <unk> in a character that no text had when the vocabulary was built.
  """

  def __init__(self, listed: Sequence[str], tokens: str):
    if tokens not in KINDS:
      raise errors.DataError(
        f"a vocabulary of {tokens!r}", expected="one of " + ", ".join(KINDS)
      )
    if tuple(listed[: len(SPECIALS)]) != SPECIALS:
      raise errors.DataError(
        f"a vocabulary starts with {list(listed[:4])}",
        expected=str(list(SPECIALS)),
      )
    self.listed = tuple(listed)
    self.tokens = tokens
    first = len(SPECIALS)
    self._ids = {t: i for i, t in enumerate(self.listed[first:], first)}

  def __len__(self) -> int:
    return len(self.listed)

  def tokenize(self, text: str) -> list[str]:
    """The tokens of a text, whether or not the vocabulary has them."""
    tokens = tokenize(text, self.tokens)
    if self.tokens != "words+characters":
      return tokens
    return [
      token
      for word in tokens
      for token in ([word] if self._has_word(word) else _spell(word))
    ]

  def _has_word(self, word: str) -> bool:
    # A typed word must not pass for a character.
    return word in self._ids and not word.startswith(SPACE)

  def encode(self, text: str) -> np.ndarray:
    """Ids [S] int32 of a text, </s> at the end."""
    ids = [self._ids.get(token, UNK) for token in self.tokenize(text)]
    return np.array([*ids, EOS], np.int32)

  def decode(self, ids: Iterable[int]) -> str:
    """The text of ids up to </s>, in NFC and with single spaces."""
    tokens = []
    for i in ids:
      if i == EOS:
        break
      if i not in (PAD, BOS):
        tokens.append(self.listed[i])
    if self.tokens == "words":
      return " ".join(tokens)
    if self.tokens == "characters":
      return "".join(tokens).replace(SPACE, " ")
    return "".join(
      " " if t == SPACE else t[1:] if t.startswith(SPACE) else " " + t
      for t in tokens
    ).strip()

  def unknown(self, text: str) -> list[str]:
    """The tokens of a text that the vocabulary does not have."""
    return [t for t in self.tokenize(text) if t not in self._ids]


def build_vocabulary(
  texts: Iterable[str], tokens: str, min_count: int = 1
) -> Vocabulary:
  """Counts tokens; the most frequent come first, ties in code point order.

  Args:
    texts: of the training split.
    tokens: one of KINDS. `words+characters` lists the characters of all words
      before the words. A model learns them from the words it reads spelt, those
      rarer than `min_count`: with 1 there are none.
    min_count: rarer tokens are left out; characters to spell with never are.
  """
  counts = collections.Counter(
    token for text in texts for token in tokenize(text, tokens)
  )
  spelling = []
  if tokens == "words+characters":
    spelt: collections.Counter[str] = collections.Counter()
    for word, n in counts.items():
      for token in _spell(word):
        spelt[token] += n
    spelling = _by_frequency(spelt)
    counts = collections.Counter(
      {w: n for w, n in counts.items() if not w.startswith(SPACE)}
    )
  listed = [t for t in _by_frequency(counts) if counts[t] >= min_count]
  return Vocabulary([*SPECIALS, *spelling, *listed], tokens)


def _by_frequency(counts: collections.Counter[str]) -> list[str]:
  return sorted(counts, key=lambda token: (-counts[token], token))


def pad(sequences: Sequence[np.ndarray], length: int) -> np.ndarray:
  """Ids [B, length] int32, PAD at the end."""
  out = np.full((len(sequences), length), PAD, np.int32)
  for row, ids in enumerate(sequences):
    out[row, : len(ids)] = ids
  return out
