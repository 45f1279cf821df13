"""Texts as corpora publish them -> texts as records hold them.

Casing stays as it is: German nouns and proper names carry meaning. Where
something must be compared or shown in one case, `upper` and `lower` follow the
language, since Turkish has two letters where others have I and i.
"""

import os
import unicodedata

from signllm_jax.core import errors

_REPLACEMENT = "\ufffd"  # stands where a decoder has already lost a character


def clean(
  text: str, *, path: str | os.PathLike | None = None, line: int | None = None
) -> str:
  """The text in NFC, single spaces, without CSV quotes; casing is kept.

  Invisible format characters (soft hyphen, zero-width space, marks of writing
  direction, byte order mark) are removed. Control characters other than white
  space are refused: they mean that the file was read in a wrong encoding or is
  damaged. So are lone surrogates and U+FFFD.

  Args:
    text: a sentence or word.
    path: the file it comes from, for the message.
    line: its line there, from 1.

  Raises:
    DataError: such a character; or nothing is left.
  """
  for column, character in enumerate(text, 1):
    kind = unicodedata.category(character)
    if (kind == "Cc" and character not in "\t\n\v\f\r") or (
      kind == "Cs" or character == _REPLACEMENT
    ):
      raise errors.DataError(
        f"character {column} is U+{ord(character):04X}",
        path=path,
        line=line,
        expected="text without control characters",
        hint="Check the encoding of the file; it must be UTF-8",
      )
  seen = "".join(c for c in text if unicodedata.category(c) != "Cf")
  # Spaces first: a line's end must not hide its closing quote.
  unquoted = unquote(" ".join(unicodedata.normalize("NFC", seen).split()))
  cleaned = " ".join(unquoted.split())
  if not cleaned:
    raise errors.DataError(
      "an empty text", path=path, line=line, expected="a sentence or word"
    )
  return cleaned


def unquote(line: str) -> str:
  """Undoes the quotes of a CSV writer, which half of Prompt2Sign's lines have.

  A writer quotes a field that holds a comma or a quote, and doubles the quotes
  within. Only a line that is just so is changed: `"Stop!"` and
  `"Yes," he said, "now."` are left as they are, their quotes belong to the
  sentence. A sentence that is one whole quotation with a comma in it looks the
  same as a field and loses its quotes.
  """
  inner = line[1:-1]
  bare = inner.replace('""', "")
  is_field = len(line) > 2 and line[0] == line[-1] == '"' and '"' not in bare
  if is_field and ("," in inner or '"' in inner):
    return inner.replace('""', '"')
  return line


def upper(text: str, spoken: str) -> str:
  """Upper case in a spoken language (ISO 639-1), in NFC.

  Turkish i becomes İ and ı becomes I; German ß becomes SS, as in the glosses
  of RWTH-PHOENIX-Weather.
  """
  if spoken == "tr":
    # What lower-casing İ by another language's rule leaves: i and a dot.
    text = text.replace("i\u0307", "i").replace("i", "İ")
  return unicodedata.normalize("NFC", text.upper())


def lower(text: str, spoken: str) -> str:
  """Lower case in a spoken language (ISO 639-1), in NFC; the inverse rules."""
  text = unicodedata.normalize("NFC", text)
  if spoken == "tr":
    text = text.replace("İ", "i").replace("I", "ı")
  return unicodedata.normalize("NFC", text.lower())
