"""Makes prompts of texts, such as "How do I sign 'good morning'?".

`prompt_templates/<language>.txt` holds the templates of a spoken language, a
line each, with `{}` for the text. Templates do not name the sign language,
which records and requests hold in a field of their own. So they serve all sign
languages of one spoken language (German has two).
"""

import functools
import hashlib
import pathlib
import re
import unicodedata

from signllm_jax.core import errors

# The marks of the templates, and those within them.
_MARKS = {
  "de": (("„", "“"), ("‚", "‘")),
  "en": (("'", "'"), ('"', '"')),
  "es": (("«", "»"), ("“", "”")),
  "fr": (("«", "»"), ("“", "”")),
  "it": (("«", "»"), ("“", "”")),
}
_OTHER_MARKS = (("“", "”"), ("‘", "’"))
_PAIRS = (
  *(('"', '"'), ("'", "'"), ("“", "”"), ("„", "“"), ("„", "”")),
  *(("«", "»"), ("»", "«"), ("‘", "’"), ("‚", "‘"), ("「", "」")),
)
_KOREAN_CONSONANTS = "013678lmnr"  # digits and letters that are read with one
_FOLDER = pathlib.Path(__file__).with_name("prompt_templates")


def has_templates(spoken: str) -> bool:
  """Whether there are templates of a spoken language (ISO 639-1)."""
  return (_FOLDER / f"{spoken}.txt").is_file()


@functools.cache
def templates(spoken: str) -> tuple[str, ...]:
  """The templates of a spoken language (ISO 639-1).

  Raises:
    UsageError: there are none.
    DataError: a line is not a template; the message names it.
  """
  path = _FOLDER / f"{spoken}.txt"
  if not has_templates(spoken):
    known = sorted(file.stem for file in _FOLDER.glob("*.txt"))
    raise errors.UsageError(
      f"no prompts in the spoken language {spoken!r}",
      expected="one of " + ", ".join(known),
      hint=f"Write templates into {path}",
    )
  lines = path.read_text(encoding="utf-8").splitlines()
  for number, line in enumerate(lines, 1):
    plain = " ".join(unicodedata.normalize("NFC", line).split())
    if line.count("{}") != 1 or line != plain:
      raise errors.DataError(
        f"{line!r} is not a template",
        path=path,
        line=number,
        expected="one {}, single spaces and NFC",
      )
  return tuple(lines)


def make_prompt(text: str, spoken: str, name: str, seed: int = 0) -> str:
  """Fills a template, chosen by the seed and the clip's name, with a text.

  The choice is the same on every platform and does not depend on other clips.

  Args:
    text: a cleaned text.
    spoken: its language (ISO 639-1).
    name: name of the clip, unique in its split.
    seed: seed of the choice.

  Raises:
    UsageError: no templates in this language.
  """
  choices = templates(spoken)
  digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
  chosen = choices[int.from_bytes(digest[:8], "big") % len(choices)]
  before, after = chosen.split("{}")
  if not after:  # "Sign the following: {}"
    return before + text
  return before + _fitted(text, spoken) + _after(after, text, spoken)


def _fitted(text: str, spoken: str) -> str:
  """A text as it stands between the quotation marks of a template.

  Marks around all of it go, those within become the inner marks of the
  language, and a full stop at its end goes: the sentence is the template's.
  """
  for opening, closing in _PAIRS:
    inner = text[1:-1].strip()
    if (
      len(text) > 2
      and text[0] == opening
      and text[-1] == closing
      and inner
      and not {opening, closing} & set(inner)
    ):
      text = inner
      break
  outer, inner = _MARKS.get(spoken, _OTHER_MARKS)
  for opening, closing in dict.fromkeys((outer, ('"', '"'))):
    if (opening, closing) == ('"', '"') and outer != ("“", "”"):
      continue  # straight marks differ from the template's
    body = f"[^{opening}{closing}]*"
    # A mark that opens and closes may be an apostrophe within a word.
    before, behind = (r"(?<!\w)", r"(?!\w)") if opening == closing else ("", "")
    text = re.sub(
      f"{before}{opening}({body}){closing}{behind}",
      rf"{inner[0]}\1{inner[1]}",
      text,
    )
  bare = text.removesuffix(".")
  return bare if bare and bare[-1] not in ".…?!" else text


def _after(after: str, text: str, spoken: str) -> str:
  """The template after a text: Korean's 라고 is 이라고 after a consonant."""
  if spoken != "ko" or not after.startswith("”라"):
    return after
  letters = [c for c in text if c.isalnum()]
  last = letters[-1] if letters else ""
  if "가" <= last <= "힣":
    consonant = (ord(last) - ord("가")) % 28 > 0
  else:
    consonant = last.lower() in _KOREAN_CONSONANTS
  return f"”이{after[1:]}" if last and consonant else after
