"""Builds the responses of the API (`schema`)."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Sequence
from typing import Any, get_args

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, languages
from signllm_jax.core.skeleton import SIDES, Skeleton
from signllm_jax.inference import display, long_text, text_input
from signllm_jax.visualization import themes
from signllm_jax.web import download, figure_info, info_schema, jobs, schema
from signllm_jax.web import engine as engine_lib

DECIMALS = 5  # of a coordinate; shoulders are 1/3 apart


async def start(
  engine: engine_lib.Engine,
  prepared: text_input.PreparedText,
  task: jobs.SigningTask,
) -> dict[str, Any]:
  """The fields that `schema.Signing` and `schema.StartLine` share."""
  true = None
  if engine.truth:
    match = await asyncio.to_thread(engine.truth.find, prepared.text)
    if match:
      split, clip = match
      true = schema.TrueClip(
        split=split, fps=clip.fps, length=len(clip), frames=frames(clip)
      )
  return {
    "model": engine.name,
    "language": engine.settings.language,
    "text": prepared.text,
    "notes": list(prepared.notes),
    "seed": task.seed if engine.stochastic else None,
    "fps": engine.info.fps,
    "true": true,
  }


def end(signed: long_text.SignedText) -> dict[str, Any]:
  """The fields that `schema.Signing` and `schema.EndLine` share."""
  tokens = None
  if signed.spans is not None:
    tokens = [schema.Token(**span._asdict()) for span in signed.spans]
  return {
    "length": len(signed.clip),
    "finished": signed.finished,
    "gloss": signed.clip.gloss,
    "tokens": tokens,
    "parts": [schema.Part(**part._asdict()) for part in signed.segments],
  }


async def stream(
  first_line: schema.StartLine,
  first_chunk: jobs.Chunk,
  chunks: AsyncIterator[jobs.Chunk],
) -> AsyncIterator[bytes]:
  """Lines of JSON of a signing, as its frames are produced.

  Args:
    first_line: the line before all frames.
    first_chunk: the first frames.
    chunks: all later ones.
  """
  yield _line(first_line)
  chunk, sent = first_chunk, 0
  while chunk is not None:
    if len(chunk.clip):
      yield _line(schema.FramesLine(first=sent, frames=frames(chunk.clip)))
      sent += len(chunk.clip)
    if chunk.signed:
      yield _line(schema.EndLine(**end(chunk.signed)))
    try:
      chunk = await anext(chunks, None)
    except errors.NonFiniteError as error:  # the status is already sent
      yield _line(schema.ErrorLine(code="non_finite", detail=str(error)))
      return


def _line(line: schema.StreamLine) -> bytes:
  return msgspec.json.encode(line) + b"\n"


def info(engines: Sequence[engine_lib.Engine]) -> info_schema.Info:
  """Describes the models, the file formats and the skeleton."""
  by_name = itertools.groupby(engines, lambda engine: engine.name)
  return info_schema.Info(
    models=[_model(name, list(of_model)) for name, of_model in by_name],
    formats=[
      info_schema.FormatInfo(format=suffix, name=name)
      for suffix, (name, _) in download.FORMATS.items()
    ],
    modes=list(get_args(schema.Mode)),
    max_text=schema.MAX_TEXT,
    skeleton=_skeleton(engines[0].producer.skeleton),
    themes=figure_info.of_themes(),
  )


def _skeleton(skeleton: Skeleton) -> info_schema.Skeleton:
  return info_schema.Skeleton(
    name=skeleton.name,
    dims=skeleton.dims,
    joints=list(skeleton.joints),
    limbs=[(parent, child) for parent, child, _ in skeleton.limbs],
    hands={side: skeleton.hand(side) for side in SIDES[::-1]},
    colours=info_schema.Colours(
      bone=themes.LIGHT["bone"],
      right=list(themes.RIGHT),
      left=list(themes.LEFT),
    ),
    figure=figure_info.of_skeleton(skeleton),
  )


def _model(
  name: str, engines: Sequence[engine_lib.Engine]
) -> info_schema.Model:
  """Describes a model by its engines, one a language."""
  return info_schema.Model(
    name=name,
    stochastic=engines[0].stochastic,
    languages=[_language(engine) for engine in engines],
    skeleton=_skeleton(engines[0].producer.skeleton),
  )


def _language(engine: engine_lib.Engine) -> info_schema.Language:
  """Describes one language of a model."""
  code = engine.settings.language
  language = languages.LANGUAGES.get(code)
  fields: dict[str, Any] = {  # checked when the model was trained
    "source": engine.settings.source,
    "tokens": engine.info.vocabulary.unit,
  }
  return info_schema.Language(
    code=code,
    name=language.name if language else code,
    spoken=languages.spoken_with(code),
    knows=display.describe(engine.info.vocabulary),
    fps=engine.info.fps,
    max_tokens=engine.max_tokens - 1,
    timed=engine.timed,
    examples=engine.truth.examples if engine.truth else [],
    **fields,
  )


def frames(clip: clips.Clip) -> list[list[float | None]]:
  """C numbers a frame, null for a joint that is missing."""
  dims = clip.skeleton.dims
  # In double precision, or rounding leaves a float32's odd digits.
  rounded = np.round(clip.frames.astype(np.float64), DECIMALS)
  values: list[list[Any]] = rounded.reshape(len(clip), -1).tolist()
  for t, joint in np.argwhere(~clip.valid).tolist():
    values[t][dims * joint : dims * (joint + 1)] = [None] * dims
  return values
