"""Texts as a model can spell them: numbers in words, bare letters."""

import unicodedata

from signllm_jax.core import number_words
from signllm_jax.core import vocabulary as vocabulary_lib


def prepare(
  line: str, vocabulary: vocabulary_lib.Vocabulary, spoken: str
) -> str:
  """The text with what the model can spell; other models get it as it is.

  Numbers are written out where the model lacks one of their digits, and letters
  that it lacks lose their accents where it has the letter without.

  Args:
    line: with single spaces, in NFC.
    vocabulary: of the model.
    spoken: ISO 639-1 code of the text's language; "" if unknown.

  Raises:
    UsageError: a number cannot be written out.
  """
  if vocabulary.unit != "characters":
    return line
  known = set(vocabulary.entries)
  if any(c.isdecimal() and c not in known for c in line):
    line = number_words.write_out(line, spoken)

  def cases(letter: str) -> set[str]:
    return {letter, letter.lower(), letter.upper()}

  def spelt(letter: str) -> str:
    bare = unicodedata.normalize("NFD", letter)[0]
    if bare == letter or cases(letter) & known or not cases(bare) & known:
      return letter
    return bare

  return unicodedata.normalize("NFC", "".join(map(spelt, line)))
