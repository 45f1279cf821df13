"""Words, characters and glosses -> ids, and the vocabularies behind them."""

import collections
import unicodedata
from collections.abc import Iterable, Sequence

import numpy as np

from signllm_jax import errors

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")

_SPACE = "▁"  # stands for the space between words in a character vocabulary


def tokenize(text: str, tokens: str) -> list[str]:
  """Splits NFC text into words, or into characters with a sign for spaces."""
  words = unicodedata.normalize("NFC", text).split()
  return words if tokens == "words" else list(_SPACE.join(words))


class Vocabulary:
  """Tokens in the order of their ids; the four specials come first.

  Sequences end with </s>, as in Progressive Transformers.
  """

  def __init__(self, listed: Sequence[str], tokens: str):
    if tuple(listed[: len(SPECIALS)]) != SPECIALS:
      raise errors.DataError(
        f"a vocabulary starts with {list(listed[:4])}",
        expected=str(list(SPECIALS)),
      )
    self.listed = tuple(listed)
    self.tokens = tokens
    self._ids = {token: i for i, token in enumerate(self.listed)}

  def __len__(self) -> int:
    return len(self.listed)

  def encode(self, text: str) -> np.ndarray:
    """Ids [S] int32 of a text, </s> at the end."""
    ids = [self._ids.get(token, UNK) for token in tokenize(text, self.tokens)]
    return np.array([*ids, EOS], np.int32)

  def unknown(self, text: str) -> list[str]:
    """The tokens of a text that the vocabulary does not have."""
    return [t for t in tokenize(text, self.tokens) if t not in self._ids]


def build_vocabulary(
  texts: Iterable[str], tokens: str, min_count: int = 1
) -> Vocabulary:
  """Counts tokens; the most frequent come first, ties in code point order."""
  counts = collections.Counter(
    token for text in texts for token in tokenize(text, tokens)
  )
  listed = sorted(
    (token for token, n in counts.items() if n >= min_count),
    key=lambda token: (-counts[token], token),
  )
  return Vocabulary([*SPECIALS, *listed], tokens)


def pad(sequences: Sequence[np.ndarray], length: int) -> np.ndarray:
  """Ids [B, length] int32, PAD at the end."""
  out = np.full((len(sequences), length), PAD, np.int32)
  for row, ids in enumerate(sequences):
    out[row, : len(ids)] = ids
  return out
