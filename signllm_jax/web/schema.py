"""What the API takes; `static/openapi.json` describes the same."""

import json
import unicodedata
from collections.abc import Sequence
from typing import NamedTuple

from signllm_jax.core import errors, languages
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.inference import text_input
from signllm_jax.web import engine as engine_lib
from signllm_jax.web import limits

MAX_TEXT = 5000  # characters
MODES = ("text", "prompt")
MAX_PARTS = 20  # of a text that is signed in several
SPEEDS = (0.5, 2.0)  # slower ones make long clips
_TEXT = (str,), "a string"
_KINDS = {
  "speed": ((int, float), "a number"),
  "smooth": ((bool,), "true or false"),
  "constant_bones": ((bool,), "true or false"),
}


class Wanted(NamedTuple):
  """A request's body."""

  text: str
  language: str | None = None
  mode: str = "text"
  model: str | None = None
  format: str = ""  # of a download
  speed: float = 1.0  # of signing; 2 is twice as fast
  smooth: bool = False
  constant_bones: bool = False


def read(body: bytes) -> Wanted:
  """The JSON object of a body: fields of `Wanted`.

  Raises:
    Problem: not such an object; names the field.
  """
  try:
    found = json.loads(body.decode())
  except (ValueError, RecursionError) as error:
    # ValueError: not UTF-8, not JSON, or a number of thousands of digits.
    reason = "too deep" if isinstance(error, RecursionError) else str(error)
    raise limits.Problem(400, "json", f"Not JSON: {reason[:200]}.") from None
  if not isinstance(found, dict):
    raise limits.Problem(422, "shape", "The body must be a JSON object.")
  if strange := sorted(set(found) - set(Wanted._fields)):
    names = ", ".join(text_input.quote(name) for name in strange[:5])
    raise limits.Problem(
      422, "fields", f"Unknown: {names}. Known: {', '.join(Wanted._fields)}."
    )
  for name, value in found.items():
    kinds, called = _KINDS.get(name, _TEXT)
    if type(value) not in kinds:
      raise limits.Problem(422, "fields", f"{name} must be {called}.")
  if "text" not in found:
    raise limits.Problem(422, "fields", "text is missing.")
  return Wanted(**found)


def choose(
  wanted: Wanted, engines: Sequence[engine_lib.Engine]
) -> engine_lib.Engine:
  """The engine of a model and a language; without them the first.

  A question may name the language: "How do I sign 'sea' in DGS?".

  Raises:
    Problem: there is none; says which there are.
  """
  names = list(dict.fromkeys(engine.name for engine in engines))
  name = names[0] if wanted.model is None else wanted.model
  if name not in names:
    known = ", ".join(names)
    raise limits.Problem(422, "model", f"model must be one of {known}.")
  found = {e.settings.language: e for e in engines if e.name == name}
  language = wanted.language
  if language is None and wanted.mode == "prompt":
    named = languages.mentioned_in(wanted.text)
    language = named[0] if len(named) == 1 else None
  if language is None:
    return next(iter(found.values()))
  try:
    code = languages.get(language).code
  except errors.UsageError as error:
    raise limits.Problem(422, "language", _sentence(str(error))) from None
  engine = found.get(code) or found.get("")  # of a run that names none
  if engine is None:
    known = " and ".join(found)
    raise limits.Problem(
      422, "language", f"This model signs {known}, not {code}."
    )
  return engine


def understand(
  wanted: Wanted, engine: engine_lib.Engine
) -> text_input.PreparedText:
  """The text for a model.

  Raises:
    Problem: it cannot be signed; says why, and names unknown characters.
  """
  slowest, fastest = SPEEDS
  if not slowest <= wanted.speed <= fastest:
    raise limits.Problem(
      422, "speed", f"speed must be from {slowest:g} to {fastest:g}."
    )
  if wanted.mode not in MODES:
    raise limits.Problem(
      422, "mode", f"mode must be one of {', '.join(MODES)}."
    )
  if len(wanted.text) > MAX_TEXT:
    raise limits.Problem(
      422,
      "too_long",
      f"The text has {len(wanted.text):,} characters; at most {MAX_TEXT:,} "
      "are taken.",
    )
  line = wanted.text
  if wanted.mode == "prompt":
    try:
      line = text_input.quoted_text(line, engine.settings)
    except errors.UsageError:
      raise limits.Problem(
        422,
        "no_quotation",
        "Put what to sign in quotation marks: How do I sign “hello”?",
      ) from None
  if not line.strip():
    raise limits.Problem(422, "empty", "The text is empty: type what to sign.")
  vocabulary = engine.info.vocabulary
  try:
    reading = text_input.prepare(text_input.TextInput(line), engine.info)
  except errors.UsageError as error:
    raise limits.Problem(
      422,
      "unreadable",
      _sentence(str(error)),
      unknown=_unknown(vocabulary, line),
    ) from None
  count = max(len(vocabulary.encode(part)) for part in reading.parts)
  if count > engine.max_tokens:
    raise limits.Problem(
      422,
      "too_long",
      f"A part of the text has {count - 1:,} {vocabulary.unit}; this model "
      f"takes at most {engine.max_tokens - 1:,}, half more than it ever learnt "
      "from.",
    )
  if len(reading.parts) > MAX_PARTS:
    raise limits.Problem(
      422,
      "too_long",
      f"The text would be signed in {len(reading.parts):,} parts; at most "
      f"{MAX_PARTS} are signed at a time. Cut it into several texts.",
    )
  spelt = vocabulary.unit == "characters"
  if spelt and (unknown := _unknown(vocabulary, reading.text)):
    raise limits.Problem(
      422,
      "unknown_characters",
      f"The model cannot spell {_listed(unknown)}. It knows "
      f"{text_input.describe_vocabulary(vocabulary).removeprefix('some of ')}.",
      unknown=unknown,
    )
  return reading


def _unknown(vocabulary: vocabulary_lib.Vocabulary, line: str) -> list[str]:
  """Each once, in the case that knows most; nobody has to know the space."""
  line = unicodedata.normalize("NFC", line)
  forms = (line, line.lower(), line.upper())
  found = min((vocabulary.unknown(form) for form in forms), key=len)
  meant = dict.fromkeys(
    token for token in found if token != vocabulary_lib.SPACE
  )
  return [_plain(token) for token in meant][:50]


def _plain(token: str) -> str:
  # json and UTF-8 both fail on lone surrogates.
  return token.encode(errors="replace").decode()


def _listed(tokens: list[str]) -> str:
  shown = [text_input.quote(token) for token in tokens[:10]]
  return ", ".join(shown) + (" and more" if len(tokens) > 10 else "")


def _sentence(message: str) -> str:
  return f"{message[0].upper()}{message[1:].rstrip('.')}."
