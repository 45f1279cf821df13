"""Vocabulary, lengths and statistics of a training split."""

import dataclasses
import json
from typing import Annotated, Any

import msgspec
import numpy as np
import tqdm

from signllm_jax import config
from signllm_jax.core import errors, foreign_files, limits
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import datasets
from signllm_jax.data.noise_moments import NoiseMoments
from signllm_jax.data.pose_moments import PoseMoments


@dataclasses.dataclass(frozen=True)
class CorpusInfo:
  """Properties of the training split that inference needs; saved with a run.

  Attributes:
    vocabulary: of the source.
    longest_source: tokens of the longest source, </s> included.
    longest_clip: frames of the longest clip.
    fps: frames per second of the clips.
    gloss_vocabulary: with `data.glosses`.
    longest_gloss: tokens of the longest gloss.
    num_clips: 0 in runs that are older than this field.
  """

  vocabulary: vocabulary_lib.Vocabulary
  longest_source: int
  longest_clip: int
  fps: float
  gloss_vocabulary: vocabulary_lib.Vocabulary | None = None
  longest_gloss: int = 0
  num_clips: int = 0


def to_json(infos: dict[str, CorpusInfo]) -> str:
  """Encodes the info of each language, by code, as JSON."""
  languages = {}
  for code, info in infos.items():
    languages[code] = {
      "fps": info.fps,
      "longest": info.longest_clip,
      "longest_source": info.longest_source,
      "tokens": info.vocabulary.unit,
      "vocabulary": info.vocabulary.entries,
    }
    if info.num_clips:
      languages[code]["examples"] = info.num_clips
    if info.gloss_vocabulary is not None:
      languages[code] |= {
        "glosses": info.gloss_vocabulary.entries,
        "longest_gloss": info.longest_gloss,
      }
  return json.dumps({"languages": languages}, ensure_ascii=False, indent=1)


def from_json(value: str) -> dict[str, CorpusInfo]:
  """Decodes the JSON of `to_json`.

  Raises:
    DataError: it has another form.
  """
  return from_values(foreign_files.parse_json(value))


class _Language(msgspec.Struct):
  """The stored info of a language."""

  vocabulary: list[str]
  tokens: str
  longest_source: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_TEXT)]
  longest: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_FRAMES)]
  fps: Annotated[float, msgspec.Meta(ge=limits.MIN_FPS, le=limits.MAX_FPS)]
  glosses: list[str] | None = None
  longest_gloss: Annotated[int, msgspec.Meta(ge=0, le=limits.MAX_TEXT)] = 0
  examples: Annotated[int, msgspec.Meta(ge=0)] = 0


class _Corpora(msgspec.Struct):
  languages: dict[str, _Language]


def from_values(values: Any) -> dict[str, CorpusInfo]:
  """The info that the JSON object of `to_json` describes.

  Raises:
    DataError: it has another form, or numbers out of range.
  """
  try:
    stored = msgspec.convert(values, _Corpora)
  except (msgspec.ValidationError, RecursionError) as error:
    raise errors.DataError(f"not the info of corpora: {error}") from error
  return {
    code: CorpusInfo(
      vocabulary_lib.Vocabulary(each.vocabulary, each.tokens),
      each.longest_source,
      each.longest,
      each.fps,
      None
      if each.glosses is None
      else vocabulary_lib.Vocabulary(each.glosses, "words"),
      each.longest_gloss,
      each.examples,
    )
    for code, each in stored.languages.items()
  }


@dataclasses.dataclass(frozen=True)
class CorpusSummary:
  """Info and pose statistics of a training split.

  Attributes:
    info: what inference needs.
    lengths: [n] frames of each clip, at most `max_frames`.
    mean: [C] mean over valid joints; [L, C] of languages sharing a model.
    scale: [] pooled standard deviation around it; or [L].
    seen: [J] bool, joints that are valid in some frame; or [L, J].
    bones: [K] mean length of each bone, left and right together, 0 if it was
      never seen; or [L, K].
    noise: for a generative decoder.
  """

  info: CorpusInfo
  lengths: np.ndarray
  mean: np.ndarray
  scale: np.ndarray
  seen: np.ndarray
  bones: np.ndarray
  noise: NoiseMoments | None = None


def summarise(
  split: datasets.Clips, settings: config.Data, *, noise: bool = False
) -> CorpusSummary:
  """Reads all clips once; returns their vocabulary, lengths and statistics.

  Args:
    split: of the data set.
    settings: of the data.
    noise: whether a generative decoder needs the moments for its noise.

  Raises:
    DataError: no clips, no valid joint, or different frame rates.
  """
  lengths, texts, glosses, rates = [], [], [], set()
  multilingual = isinstance(split, datasets.MultilingualClips)
  languages = (
    split.languages if multilingual else np.zeros(len(split), np.int32)
  )
  skeleton = skeleton_lib.get(settings.skeleton)
  count = int(languages.max(initial=0)) + 1
  moments = PoseMoments(count, skeleton, noise=noise)
  for index in tqdm.trange(len(split), unit="clip", desc="reading", delay=2):
    clip = split[index]
    lengths.append(min(len(clip), settings.max_frames))
    texts.append(datasets.source_text(clip, settings))
    if settings.glosses:
      glosses.append(datasets.gloss_text(clip))
    rates.add(clip.fps)
    moments.add(clip, languages[index])
  _check(moments, rates, settings.folder)
  vocabulary = vocabulary_lib.build_vocabulary(
    texts, settings.tokens, settings.min_count
  )
  info = CorpusInfo(
    vocabulary,
    longest_source=max(len(vocabulary.encode(text)) for text in texts),
    longest_clip=max(lengths),
    fps=rates.pop(),
    gloss_vocabulary=vocabulary_lib.build_vocabulary(glosses, "words")
    if glosses
    else None,
    longest_gloss=max((len(gloss.split()) for gloss in glosses), default=0),
    num_clips=len(lengths),
  )
  mean, scale = moments.mean_and_scale()
  of_noise = moments.noise()

  def own(values: np.ndarray) -> np.ndarray:
    return values if multilingual else values[0]

  return CorpusSummary(
    info,
    np.array(lengths, np.int32),
    mean=own(mean),
    scale=own(scale),
    seen=own(moments.count > 0),
    bones=own(moments.bone_lengths()),
    noise=None if of_noise is None else NoiseMoments(*map(own, of_noise)),
  )


def _check(moments: PoseMoments, rates: set[float], folder: str) -> None:
  """Refuses a split without poses or with several frame rates."""
  if not moments.count.any(1).all():
    raise errors.DataError(
      "the training split has no clip with a visible joint", path=folder
    )
  if len(rates) > 1:
    raise errors.DataError(
      f"clips of several frame rates: {sorted(rates)}",
      path=folder,
      expected="one rate",
      hint="Resample when you build the records",
    )
