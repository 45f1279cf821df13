"""Vocabulary, lengths and statistics of a training split."""

import dataclasses
import json
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np
import tqdm

from signllm_jax import config
from signllm_jax.core import (
  bones,
  clips,
  errors,
  foreign_files,
  hand_space,
  limits,
)
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import datasets


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


class CoordinateMoments(NamedTuple):
  """Moments of the coordinates of a generative decoder (`core.hand_space`).

  Gaps of a clip are filled. Joints that a clip never shows are at the mean in
  the correlations, which are thus those of one set of vectors, and count in no
  mean and no deviation. With a leading axis L for languages sharing a model.
  """

  mean: np.ndarray  # [C] in canonical units
  deviation: np.ndarray  # [C] likewise
  correlation: np.ndarray  # [C, C], positive semi-definite


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
    log_lengths: [2, K] mean and standard deviation over clips of the logarithm
      of a bone's median length, 0 if it was never seen; or [L, 2, K].
    coordinates: of `core.hand_space`, without gaps.
  """

  info: CorpusInfo
  lengths: np.ndarray
  mean: np.ndarray
  scale: np.ndarray
  seen: np.ndarray
  bones: np.ndarray
  log_lengths: np.ndarray
  coordinates: CoordinateMoments


class _PoseMoments:
  """Sums over the valid joints and limbs of clips, for each language apart."""

  def __init__(self, languages: int, skeleton: skeleton_lib.Skeleton):
    joints, values = skeleton.num_joints, skeleton.num_values
    self._skeleton = skeleton
    self.count = np.zeros((languages, joints))
    self._total = np.zeros((languages, *skeleton.shape))
    self._squares = np.zeros(languages)
    self._limbs = np.zeros((2, languages, len(skeleton.limbs)))
    self._logs = np.zeros((3, languages, skeleton.num_bones))
    self._coordinates = np.zeros((3, languages, values, values))

  def add(self, clip: clips.Clip, language: int) -> None:
    """Adds a clip of the language of this number."""
    # A broken record must not spoil the statistics of all clips; the training
    # step that reads it reports it by name.
    valid = clip.valid & np.isfinite(clip.frames).all(-1)
    frames = np.where(valid[..., None], clip.frames.astype(np.float64), 0)
    self.count[language] += valid.sum(0)
    self._total[language] += frames.sum(0)
    self._squares[language] += (frames**2).sum()
    lengths = bones.limb_lengths(frames, self._skeleton)
    shown = bones.limbs_visible(valid, self._skeleton) & (lengths > 0)
    self._limbs[:, language] += shown.sum(0), (lengths * shown).sum(0)
    medians = bones.median_lengths(frames, valid, self._skeleton)
    logs = np.log(np.where(medians > 0, medians, 1))
    self._logs[:, language] += medians > 0, logs, logs**2
    filled, known = hand_space.of_clips(frames, valid, self._skeleton)
    flat = filled.reshape(len(filled), -1)
    shown = known.repeat(self._skeleton.dims).astype(np.float64)
    total = np.outer(flat.sum(0), shown)
    counts = len(flat) * np.outer(shown, shown)
    self._coordinates[:, language] += flat.T @ flat, total, counts

  def mean_and_scale(self) -> tuple[np.ndarray, np.ndarray]:
    """Mean [L, C] and pooled standard deviation [L], float32."""
    mean = self._total / np.maximum(self.count, 1)[..., None]
    centred = self._squares - (mean**2 * self.count[..., None]).sum((1, 2))
    variance = centred / (self._skeleton.dims * self.count.sum(1))
    scale = np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)
    flat = mean.reshape(-1, self._skeleton.num_values)
    return flat.astype(np.float32), scale

  def coordinates(self) -> CoordinateMoments:
    """Moments with a leading axis L, float32."""
    products, totals, counts = self._coordinates
    own = np.diagonal(counts, axis1=1, axis2=2)  # [L, C]
    mean = np.diagonal(totals, axis1=1, axis2=2) / np.maximum(own, 1)
    # Sums of (x - mean) (y - mean) over the clips that show both.
    column, row = mean[:, :, None], mean[:, None]
    centred = products - totals * row - totals.mT * column
    centred += counts * column * row
    squares = np.maximum(np.diagonal(centred, axis1=1, axis2=2), 1e-12)
    root = np.sqrt(squares)
    moments = (
      mean,
      root / np.sqrt(np.maximum(own, 1)),
      centred / root[:, :, None] / root[:, None],
    )
    return CoordinateMoments(*(x.astype(np.float32) for x in moments))

  def bone_lengths(self) -> np.ndarray:
    """Means [L, K] of bone lengths, float32; 0 if never seen."""
    numbers = np.arange(self._skeleton.num_bones)
    limbs_of_bone = self._skeleton.limb_bones[:, None] == numbers
    count, total = self._limbs @ limbs_of_bone
    return (total / np.maximum(count, 1)).astype(np.float32)

  def log_lengths(self) -> np.ndarray:
    """Mean and deviation [L, 2, K] of the logs of clips' bone lengths."""
    count, total, squares = self._logs
    count = np.maximum(count, 1)
    mean = total / count
    variance = np.maximum(squares / count - mean**2, 0)
    return np.stack([mean, np.sqrt(variance)], 1).astype(np.float32)


def summarise(split: datasets.Clips, settings: config.Data) -> CorpusSummary:
  """Reads all clips once; returns their vocabulary, lengths and statistics.

  Raises:
    DataError: no clips, no valid joint, or different frame rates.
  """
  lengths, texts, glosses, rates = [], [], [], set()
  multilingual = isinstance(split, datasets.MultilingualClips)
  languages = (
    split.languages if multilingual else np.zeros(len(split), np.int32)
  )
  skeleton = skeleton_lib.get(settings.skeleton)
  moments = _PoseMoments(int(languages.max(initial=0)) + 1, skeleton)
  for index in tqdm.trange(len(split), unit="clip", desc="reading", delay=2):
    clip = split[index]
    lengths.append(min(len(clip), settings.max_frames))
    texts.append(datasets.source_text(clip, settings))
    if settings.glosses:
      glosses.append(datasets.gloss_text(clip))
    rates.add(clip.fps)
    moments.add(clip, languages[index])
  if not moments.count.any(1).all():
    raise errors.DataError(
      "the training split has no clip with a visible joint",
      path=settings.folder,
    )
  if len(rates) > 1:
    raise errors.DataError(
      f"clips of several frame rates: {sorted(rates)}",
      path=settings.folder,
      expected="one rate",
      hint="Resample when you build the records",
    )
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

  def own(values: np.ndarray) -> np.ndarray:
    return values if multilingual else values[0]

  return CorpusSummary(
    info,
    np.array(lengths, np.int32),
    mean=own(mean),
    scale=own(scale),
    seen=own(moments.count > 0),
    bones=own(moments.bone_lengths()),
    log_lengths=own(moments.log_lengths()),
    coordinates=CoordinateMoments(*map(own, moments.coordinates())),
  )
