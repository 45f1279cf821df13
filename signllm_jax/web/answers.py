"""What the API gives; `static/openapi.json` describes the same."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from signllm_jax.core import clips, errors, languages
from signllm_jax.inference import long_text, sequences, text_input
from signllm_jax.web import engine as engine_lib

DIGITS = 5  # after the point, of a coordinate; shoulders are 1/3 apart


async def head(
  engine: engine_lib.Engine, reading: text_input.PreparedText
) -> dict[str, Any]:
  """What an answer says first."""
  true = None
  if engine.truth:
    found = await asyncio.to_thread(engine.truth.find, reading.text)
    if found:
      split, clip = found
      true = {
        "split": split,
        "fps": clip.fps,
        "length": len(clip),
        "frames": frames(clip),
      }
  return {
    "model": engine.name,
    "language": engine.settings.language,
    "text": reading.text,
    "notes": reading.notes,
    "fps": engine.info.fps,
    "true": true,
  }


async def lines(
  head: dict[str, Any],
  first: engine_lib.Part,
  rest: AsyncIterator[engine_lib.Part],
) -> AsyncIterator[str]:
  """A signing as lines of JSON."""
  yield _line(head)
  part, at = first, 0
  while part is not None:
    if len(part.clip):
      numbers = frames(part.clip)
      yield _line({"type": "frames", "first": at, "frames": numbers})
      at += len(part.clip)
    if part.whole:
      yield _line({"type": "end", **tail(part.whole)})
    try:
      part = await anext(rest, None)
    except errors.NonFiniteError as error:  # too late for another status
      problem = {"code": "non_finite", "detail": str(error)}
      yield _line({"type": "error", **problem})
      return


def _line(value: dict[str, Any]) -> str:
  return json.dumps(value, separators=(",", ":")) + "\n"


def tail(whole: long_text.SignedText) -> dict[str, Any]:
  """What an answer says when all frames are there."""
  return {
    "length": len(whole.clip),
    "finished": whole.finished,
    "gloss": whole.clip.gloss,
    "tokens": _tokens(whole.spans),
    "parts": [segment._asdict() for segment in whole.segments],
  }


def describe(engine: engine_lib.Engine) -> dict[str, Any]:
  """A language of a model."""
  code = engine.settings.language
  known = languages.LANGUAGES.get(code)
  return {
    "code": code,
    "name": known.name if known else code,
    "spoken": known.spoken if known else "",
    "source": engine.settings.source,
    "tokens": engine.info.vocabulary.unit,
    "knows": text_input.describe_vocabulary(engine.info.vocabulary),
    "fps": engine.info.fps,
    "max_tokens": engine.max_tokens - 1,
    "timed": engine.timed,
    "examples": engine.truth.examples if engine.truth else [],
  }


def frames(clip: clips.Clip) -> list[list[float | None]]:
  """150 numbers a frame, null for a joint that is missing."""
  # In double precision, or rounding leaves a float32's odd digits.
  numbers = np.round(clip.frames.astype(np.float64), DIGITS)
  shown: list[list[Any]] = numbers.reshape(len(clip), -1).tolist()
  for t, joint in np.argwhere(~clip.valid).tolist():
    shown[t][3 * joint : 3 * joint + 3] = [None, None, None]
  return shown


def _tokens(
  spans: tuple[sequences.Span, ...] | None,
) -> list[dict[str, object]] | None:
  """When each token is signed, in frames; null if the model does not know."""
  if spans is None:
    return None
  return [span._asdict() for span in spans]
