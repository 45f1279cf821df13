"""Makes prompts of texts, such as "How do I sign 'good morning'?".

`prompt_templates/<language>.txt` holds the templates of a spoken language, a
line each, with `{}` for the text. Templates do not name the sign language,
which records and requests hold in a field of their own. So they serve all sign
languages of one spoken language (German has two).
"""

import functools
import hashlib
import pathlib
import unicodedata

from signllm_jax.core import errors

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
  return before + text + after
