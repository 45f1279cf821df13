"""Texts as questions, such as "How do I sign 'good morning'?".

The templates stand in `prompt_templates/<language>.txt`, one a line, with `{}`
in the place of the text. They do not name the sign language: records and
requests carry it in a field of their own, and a template then serves all sign
languages around one spoken language (German has two).
"""

import functools
import hashlib
import pathlib
import unicodedata

from signllm_jax.core import errors

_FOLDER = pathlib.Path(__file__).with_name("prompt_templates")


@functools.cache
def templates(spoken: str) -> tuple[str, ...]:
  """The templates of a spoken language (ISO 639-1).

  Raises:
    UsageError: there are none.
    DataError: a line is not a template; names it.
  """
  path = _FOLDER / f"{spoken}.txt"
  if not path.is_file():
    known = sorted(each.stem for each in _FOLDER.glob("*.txt"))
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
  """Sets a text into a template chosen by the seed and the clip's name.

  The choice is the same on every platform and in every process, and does not
  depend on the other clips.

  Args:
    text: a cleaned text.
    spoken: its language (ISO 639-1).
    name: of the clip, unique in its split.
    seed: another seed, another choice.

  Raises:
    UsageError: no templates in this language.
  """
  choices = templates(spoken)
  digest = hashlib.sha256(f"{seed} {name}".encode()).digest()
  chosen = choices[int.from_bytes(digest[:8], "big") % len(choices)]
  before, after = chosen.split("{}")
  return before + text + after


def find_text(prompt: str, spoken: str) -> str | None:
  """The text inside a prompt; None if no template made it.

  The inverse of `make_prompt` for texts that are not empty. It is exact: of
  two templates, one's beginning or end never fits the other's.

  Raises:
    UsageError: no templates in this language.
  """
  for template in templates(spoken):
    before, after = template.split("{}")
    length = len(prompt) - len(before) - len(after)
    if length > 0 and prompt.startswith(before) and prompt.endswith(after):
      return prompt[len(before) : len(before) + length]
  return None
