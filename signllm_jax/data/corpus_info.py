"""What one pass over the training split tells: vocabulary and statistics."""

import dataclasses
import json

import numpy as np
import tqdm

from signllm_jax import config
from signllm_jax.core import errors, skeleton
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import datasets


@dataclasses.dataclass(frozen=True)
class CorpusInfo:
  """What generation must know of the training split; kept with the run.

  Attributes:
    vocabulary: of the source.
    longest_source: tokens of the longest source, </s> included.
    longest_clip: frames of the longest clip.
    fps: frames a second of the clips.
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
  """JSON of the info of each language, by code."""
  languages = {}
  for code, each in infos.items():
    languages[code] = {
      "fps": each.fps,
      "longest": each.longest_clip,
      "longest_source": each.longest_source,
      "tokens": each.vocabulary.unit,
      "vocabulary": each.vocabulary.entries,
    }
    if each.num_clips:
      languages[code]["examples"] = each.num_clips
    if each.gloss_vocabulary is not None:
      languages[code] |= {
        "glosses": each.gloss_vocabulary.entries,
        "longest_gloss": each.longest_gloss,
      }
  return json.dumps({"languages": languages}, ensure_ascii=False, indent=1)


def from_json(value: str) -> dict[str, CorpusInfo]:
  """Reads `to_json`.

  Raises:
    DataError: it is not such JSON.
  """
  try:
    return {
      code: CorpusInfo(
        vocabulary_lib.Vocabulary(info["vocabulary"], info["tokens"]),
        int(info["longest_source"]),
        int(info["longest"]),
        float(info["fps"]),
        vocabulary_lib.Vocabulary(info["glosses"], "words")
        if "glosses" in info
        else None,
        int(info.get("longest_gloss", 0)),
        int(info.get("examples", 0)),
      )
      for code, info in json.loads(value)["languages"].items()
    }
  except (ValueError, TypeError, KeyError, AttributeError) as error:
    raise errors.DataError(f"not the corpora of a run: {error!r}") from error


@dataclasses.dataclass(frozen=True)
class CorpusSummary:
  """What one pass over the training split tells.

  Attributes:
    info: what generation must know.
    lengths: [n] frames of each clip, at most `max_frames`.
    mean: [150] mean of true cells; [L, 150] of languages that share a model.
    scale: [] pooled standard deviation around it; or [L].
    seen: [50] bool, joints that are ever valid; or [L, 50].
  """

  info: CorpusInfo
  lengths: np.ndarray
  mean: np.ndarray
  scale: np.ndarray
  seen: np.ndarray


def summarise(split: datasets.Clips, settings: config.Data) -> CorpusSummary:
  """Reads all clips once.

  Raises:
    DataError: no clips, or no joint is ever seen.
  """
  lengths, texts, glosses, rates = [], [], [], set()
  several = isinstance(split, datasets.MultilingualClips)
  language = split.languages if several else np.zeros(len(split), np.int32)
  count = np.zeros((int(language.max(initial=0)) + 1, skeleton.J))
  total = np.zeros((*count.shape, 3))
  squares = np.zeros(len(count))
  for index in tqdm.trange(len(split), unit="clip", desc="reading", delay=2):
    clip = split[index]
    lengths.append(min(len(clip), settings.max_frames))
    texts.append(datasets.source_text(clip, settings))
    if settings.glosses:
      glosses.append(datasets.gloss_text(clip))
    rates.add(clip.fps)
    # One broken record must not spoil the statistics of all; the step that
    # reads it says so by name.
    true = clip.valid & np.isfinite(clip.frames).all(-1)
    frames = np.where(true[..., None], clip.frames.astype(np.float64), 0)
    count[language[index]] += true.sum(0)
    total[language[index]] += frames.sum(0)
    squares[language[index]] += (frames**2).sum()
  if not count.any(1).all():
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
  least = settings.min_count
  vocabulary = vocabulary_lib.build_vocabulary(texts, settings.tokens, least)
  mean = total / np.maximum(count, 1)[..., None]
  around = squares - (mean**2 * count[..., None]).sum((1, 2))
  variance = around / (3 * count.sum(1))
  mean = mean.reshape(-1, skeleton.C).astype(np.float32)
  scale = np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)
  seen = count > 0
  return CorpusSummary(
    info=CorpusInfo(
      vocabulary,
      longest_source=max(len(vocabulary.encode(t)) for t in texts),
      longest_clip=max(lengths),
      fps=rates.pop(),
      gloss_vocabulary=vocabulary_lib.build_vocabulary(glosses, "words")
      if glosses
      else None,
      longest_gloss=max((len(g.split()) for g in glosses), default=0),
      num_clips=len(lengths),
    ),
    lengths=np.array(lengths, np.int32),
    mean=mean if several else mean[0],
    scale=scale if several else scale[0],
    seen=seen if several else seen[0],
  )
