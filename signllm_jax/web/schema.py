"""What the API takes and gives; `openapi.json` beside it describes the same."""

import json
import re
import unicodedata
from typing import Any, NamedTuple

import numpy as np

from signllm_jax import clips, errors, intake, languages, text
from signllm_jax.web import engine as engine_lib
from signllm_jax.web import limits, timing

MAX_TEXT = 5000  # characters
MODES = ("text", "prompt")
DIGITS = 5  # after the point, of a coordinate; shoulders are 1/3 apart
# What a question puts in quotation marks; an apostrophe within it stays.
_QUOTED = re.compile(
  r"""["“”„«»]([^"“”„«»]+)["“”„«»]|(?<!\w)['‘‚](.+)['’‘](?!\w)"""
)


class Wanted(NamedTuple):
  """A request's body."""

  text: str
  language: str | None = None
  mode: str = "text"
  model: str | None = None
  format: str = ""  # of a download


def read(body: bytes) -> Wanted:
  """The JSON object of a body: fields of `Wanted`, all of them strings.

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
    names = ", ".join(intake.show(name) for name in strange[:5])
    raise limits.Problem(
      422, "fields", f"Unknown: {names}. Known: {', '.join(Wanted._fields)}."
    )
  for name, value in found.items():
    if not isinstance(value, str):
      raise limits.Problem(422, "fields", f"{name} must be a string.")
  if "text" not in found:
    raise limits.Problem(422, "fields", "text is missing.")
  return Wanted(**found)


def understand(wanted: Wanted, engine: engine_lib.Engine) -> intake.Reading:
  """The text for a model.

  Raises:
    Problem: it cannot be signed; says why, and names unknown characters.
  """
  notes = _check_language(wanted.language, engine.config.data.language)
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
  line = _quoted(wanted.text) if wanted.mode == "prompt" else wanted.text
  if not line.strip():
    raise limits.Problem(422, "empty", "The text is empty: type what to sign.")
  vocabulary = engine.facts.vocabulary
  count = len(vocabulary.encode(line))
  if count > engine.max_tokens:
    raise limits.Problem(
      422,
      "too_long",
      f"The text has {count - 1:,} {vocabulary.tokens}; this model takes at "
      f"most {engine.max_tokens - 1:,}, half more than it ever learnt from. "
      "Sign it in parts.",
    )
  try:
    reading = intake.understand(intake.Typed(line), engine.facts)
  except errors.UsageError as error:
    raise limits.Problem(
      422,
      "unreadable",
      _sentence(str(error)),
      unknown=_unknown(vocabulary, line),
    ) from None
  spelt = vocabulary.tokens == "characters"
  if spelt and (unknown := _unknown(vocabulary, reading.text)):
    raise limits.Problem(
      422,
      "unknown_characters",
      f"The model cannot spell {_listed(unknown)}. It knows "
      f"{intake.describe(vocabulary).removeprefix('some of ')}.",
      unknown=unknown,
    )
  return intake.Reading(reading.text, (*notes, *reading.notes))


def _check_language(asked: str | None, own: str) -> tuple[str, ...]:
  if asked is None:
    return ()
  try:
    code = languages.get(asked).code
  except errors.UsageError as error:
    raise limits.Problem(422, "language", _sentence(str(error))) from None
  if not own:
    return (f"the model names no language; {code} is not checked",)
  if code != own:
    raise limits.Problem(
      422, "language", f"This model signs {own}, not {code}."
    )
  return ()


def _quoted(question: str) -> str:
  found = _QUOTED.search(question)
  if found is None:
    raise limits.Problem(
      422,
      "no_quotation",
      "Put what to sign in quotation marks: How do I sign “hello”?",
    )
  return found[1] or found[2]


def _unknown(vocabulary: text.Vocabulary, line: str) -> list[str]:
  """Each once; in the case that knows most, spaces spelt out."""
  line = unicodedata.normalize("NFC", line)
  forms = (line, line.lower(), line.upper())
  found = min((vocabulary.unknown(form) for form in forms), key=len)
  return [_plain(token) for token in dict.fromkeys(found)][:50]


def _plain(token: str) -> str:
  # json and UTF-8 both fail on lone surrogates.
  return " " if token == "▁" else token.encode(errors="replace").decode()


def _listed(tokens: list[str]) -> str:
  shown = ["the space" if t == " " else intake.show(t) for t in tokens[:10]]
  return ", ".join(shown) + (" and more" if len(tokens) > 10 else "")


def _sentence(message: str) -> str:
  return f"{message[0].upper()}{message[1:].rstrip('.')}."


def frames(clip: clips.Clip) -> list[list[float | None]]:
  """150 numbers a frame, null for a joint that is missing."""
  # In double precision, or rounding leaves a float32's odd digits.
  numbers = np.round(clip.frames.astype(np.float64), DIGITS)
  shown: list[list[Any]] = numbers.reshape(len(clip), -1).tolist()
  for t, joint in np.argwhere(~clip.valid).tolist():
    shown[t][3 * joint : 3 * joint + 3] = [None, None, None]
  return shown


def tokens(
  spans: tuple[timing.Span, ...] | None,
) -> list[dict[str, object]] | None:
  """When each token is signed, in frames; null if the model does not know."""
  if spans is None:
    return None
  return [
    {"token": span.token, "start": span.start, "end": span.end}
    for span in spans
  ]
