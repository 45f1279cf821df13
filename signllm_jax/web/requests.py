"""Reads requests: the JSON, the model that answers, and the text to sign."""

import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any, NoReturn, TypeVar

import msgspec
from msgspec import UNSET

from signllm_jax.core import errors, foreign_files, languages
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.inference import (
  display,
  questions,
  text_input,
  text_signer,
)
from signllm_jax.web import engine as engine_lib
from signllm_jax.web import limits, schema

MAX_PARTS = 20  # of a text that is signed in several
_MAX_LISTED = 50  # unknown tokens in an answer
_MAX_SHOWN = 10  # of them in a message
_KINDS = {  # of JSON schema
  "number": "a number",
  "integer": "a whole number",
  "boolean": "true or false",
}
_CODES = ("speed", "mode", "format")  # fields whose limits have a code

Request = TypeVar("Request", bound=schema.SignRequest)


def decode(body: bytes, kind: type[Request]) -> Request:
  """Decodes and validates a body.

  Raises:
    RequestError: it is not JSON, or not such a request; names the field.
  """
  try:
    # Not by msgspec: it takes a lone surrogate for a fault of the JSON.
    value = json.loads(
      body.decode(),
      object_pairs_hook=foreign_files.distinct,
      parse_float=_number,
    )
  except (ValueError, RecursionError) as error:
    # ValueError: not UTF-8, not JSON, a key twice, or thousands of digits.
    reason = "too deep" if isinstance(error, RecursionError) else str(error)
    raise limits.RequestError(
      400, "json", f"Not JSON: {reason[:200]}."
    ) from None
  if not isinstance(value, dict):
    raise limits.RequestError(422, "shape", "The body must be a JSON object.")
  known = kind.__struct_fields__
  if unknown := sorted(set(value) - set(known)):
    names = ", ".join(display.quote(name) for name in unknown[:5])
    raise limits.RequestError(
      422, "fields", f"Unknown: {names}. Known: {', '.join(known)}."
    )
  try:
    return msgspec.convert(value, kind)
  except msgspec.ValidationError as error:
    _refuse(str(error), value, kind)


def _number(text: str) -> float | int:
  """A number; an integer where it has no fraction, as JSON Schema takes it."""
  value = float(text)
  return int(value) if value.is_integer() else value


def _refuse(fault: str, value: dict[str, Any], kind: type[Request]) -> NoReturn:
  """Raises the RequestError that says msgspec's message in plain words."""
  name = re.findall(r"`(?:\$\.)?(\w+)`$", fault)[0]
  code = name if name in _CODES else "fields"
  if fault.startswith("Object missing required field"):
    raise limits.RequestError(422, code, f"{name} is missing.")
  field = msgspec.json.schema_components([kind])[1][kind.__name__][
    "properties"
  ][name]
  if "got `" in fault:
    expected = _KINDS.get(field.get("type", ""), "a string")
    raise limits.RequestError(422, "fields", f"{name} must be {expected}.")
  if name == "text":
    _check_length(value["text"])
  if "enum" in field:
    expected = f"one of {', '.join(field['enum'])}"
  else:
    expected = f"from {field['minimum']:.10g} to {field['maximum']:.10g}"
  raise limits.RequestError(422, code, f"{name} must be {expected}.")


def _check_length(text: str) -> None:
  if len(text) > schema.MAX_TEXT:
    raise limits.RequestError(
      422,
      "too_long",
      f"The text has {len(text):,} characters; at most {schema.MAX_TEXT:,} "
      "are taken.",
    )
  if not text.strip():
    raise limits.RequestError(
      422, "empty", "The text is empty: type what to sign."
    )


def choose_engine(
  request: schema.SignRequest, engines: Sequence[engine_lib.Engine]
) -> engine_lib.Engine:
  """The engine of a model and a language; without them the first.

  A question may name the language: "How do I sign 'sea' in DGS?".

  Raises:
    RequestError: there is none; says which there are.
  """
  models = list(dict.fromkeys(engine.name for engine in engines))
  model = models[0] if request.model is UNSET else request.model
  if model not in models:
    raise limits.RequestError(
      422, "model", f"model must be one of {', '.join(models)}."
    )
  by_language = {e.settings.language: e for e in engines if e.name == model}
  language = request.language
  if language is UNSET and request.mode == "prompt":
    mentioned = languages.mentioned_in(request.text)
    language = mentioned[0] if len(mentioned) == 1 else UNSET
  if language is UNSET:
    return next(iter(by_language.values()))
  try:
    code = languages.get(language).code
  except errors.UsageError as error:
    raise limits.RequestError(422, "language", _sentence(str(error))) from None
  engine = by_language.get(code) or by_language.get("")  # "": names none
  if engine is None:
    signed = " and ".join(by_language)
    raise limits.RequestError(
      422, "language", f"This model signs {signed}, not {code}."
    )
  return engine


def choose_seed(request: schema.SignRequest, engine: engine_lib.Engine) -> int:
  """The seed of a clip: 0 by default, and of every deterministic model."""
  if request.seed is UNSET or not engine.stochastic:
    return 0
  return request.seed


def prepare_text(
  request: schema.SignRequest, engine: engine_lib.Engine
) -> text_input.PreparedText:
  """Prepares the text of a request for a model.

  Raises:
    RequestError: it cannot be signed; says why, and names unknown characters.
  """
  text = _text_to_sign(request, engine)
  vocabulary = engine.info.vocabulary
  try:
    prepared = text_input.prepare(
      text_input.TextInput(text),
      engine.info,
      languages.spoken_with(engine.settings.language),
    )
  except errors.UsageError as error:
    raise limits.RequestError(
      422,
      "unreadable",
      _sentence(str(error)),
      unknown=_unknown(vocabulary, text),
    ) from None
  _check_parts(prepared.parts, engine)
  spelt = vocabulary.unit == "characters"
  if spelt and (unknown := _unknown(vocabulary, prepared.text)):
    known = display.describe(vocabulary)
    raise limits.RequestError(
      422,
      "unknown_characters",
      f"The model cannot spell {_listed(unknown)}. It knows "
      f"{known.removeprefix('some of ')}.",
      unknown=unknown,
    )
  if request.seed is not UNSET and not engine.stochastic:
    notes = (*prepared.notes, text_signer.SEED_NOTE)
    return prepared._replace(notes=notes)
  return prepared


def _text_to_sign(
  request: schema.SignRequest, engine: engine_lib.Engine
) -> str:
  """The text, or what a question has in quotation marks."""
  text = request.text
  if request.mode == "prompt":
    try:
      text = questions.quoted_text(text, engine.settings)
    except errors.UsageError:
      raise limits.RequestError(
        422,
        "no_quotation",
        "Put what to sign in quotation marks: How do I sign “hello”?",
      ) from None
  _check_length(text)
  return text


def _check_parts(parts: Sequence[str], engine: engine_lib.Engine) -> None:
  vocabulary = engine.info.vocabulary
  longest = max(parts, key=lambda part: len(vocabulary.encode(part)))
  tokens = len(vocabulary.encode(longest)) - 1
  if tokens >= engine.max_tokens:
    found, unit = f"{tokens:,} {vocabulary.unit}", ""
    if vocabulary.unit == "words+characters":
      words, spelt = len(longest.split()), vocabulary.count_spelt(longest)
      found = (
        f"{words:,} words, of which {spelt:,} are unknown and spelt: "
        f"{tokens:,} words and letters"
      )
      unit = " of them"
    raise limits.RequestError(
      422,
      "too_long",
      f"A part of the text has {found}; this model takes at most "
      f"{engine.max_tokens - 1:,}{unit}, {engine_lib.LENGTH_MARGIN:g} times "
      "the longest text of training.",
    )
  if len(parts) > MAX_PARTS:
    raise limits.RequestError(
      422,
      "too_long",
      f"The text would be signed in {len(parts):,} parts; at most {MAX_PARTS} "
      "are signed at a time. Cut it into several texts.",
    )


def _unknown(vocabulary: vocabulary_lib.Vocabulary, text: str) -> list[str]:
  """Unknown tokens, each once, in the case that has fewest; never the space."""
  text = unicodedata.normalize("NFC", text)
  turkish = text.replace("İ", "i").replace("I", "ı")
  cases = (text, text.lower(), turkish.lower(), text.upper())
  unknown = min((vocabulary.unknown(case) for case in cases), key=len)
  tokens = dict.fromkeys(t for t in unknown if t != vocabulary_lib.SPACE)
  return [limits.valid_unicode(token) for token in tokens][:_MAX_LISTED]


def _listed(tokens: list[str]) -> str:
  shown = [display.quote(token) for token in tokens[:_MAX_SHOWN]]
  return ", ".join(shown) + (" and more" if len(tokens) > _MAX_SHOWN else "")


def _sentence(message: str) -> str:
  return f"{message[0].upper()}{message[1:].rstrip('.')}."
