"""Normalises texts of corpora for records.

Casing is kept, since it marks German nouns and proper names. `upper` and
`lower` follow the rules of the language: Turkish has two letters where other
languages have I and i.
"""

import os
import unicodedata

from signllm_jax.core import errors

_REPLACEMENT = "\ufffd"  # marks a character that a decoder has lost


def clean(
  text: str, *, path: str | os.PathLike | None = None, line: int | None = None
) -> str:
  """Normalises a text: NFC, single spaces, no CSV quotes; casing is kept.

  Invisible format characters (soft hyphen, zero-width space, marks of writing
  direction, byte order mark) are removed. Control characters other than white
  space, lone surrogates and U+FFFD are errors: the file is damaged or was read
  in a wrong encoding.

  Args:
    text: a sentence or word.
    path: its file, for the message.
    line: its line in the file, from 1.

  Raises:
    DataError: the text has such a character, or is empty.
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
  visible = "".join(c for c in text if unicodedata.category(c) != "Cf")
  # Spaces first: trailing white space must not hide the closing quote.
  unquoted = unquote(" ".join(unicodedata.normalize("NFC", visible).split()))
  cleaned = " ".join(unquoted.split())
  if not cleaned:
    raise errors.DataError(
      "an empty text", path=path, line=line, expected="a sentence or word"
    )
  return cleaned


def unquote(line: str) -> str:
  """Removes the quotes of a CSV writer, which half of Prompt2Sign's lines have.

  A CSV writer quotes a field that holds a comma or a quote, and doubles the
  quotes within. Only such a line is changed: in `"Stop!"` and
  `"Yes," he said, "now."` the quotes belong to the sentence. A sentence that is
  one quotation with a comma cannot be told from a field and loses its quotes.
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
    # Lower-casing İ by the rule of another language gives i and a dot.
    text = text.replace("i\u0307", "i").replace("i", "İ")
  return unicodedata.normalize("NFC", text.upper())


def lower(text: str, spoken: str) -> str:
  """Lower case in a spoken language (ISO 639-1), in NFC; inverts `upper`."""
  text = unicodedata.normalize("NFC", text)
  if spoken == "tr":
    text = text.replace("İ", "i").replace("I", "ı")
  return unicodedata.normalize("NFC", text.lower())
