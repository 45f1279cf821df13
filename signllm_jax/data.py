"""Records -> statistics and batches, in the order of a `plan.Plan`."""

import dataclasses
import json
from collections.abc import Iterator, Sequence
from typing import Protocol

import grain
import numpy as np
import tqdm

from signllm_jax import clips, config, errors, skeleton, sources, text
from signllm_jax.plan import Plan, round_up

SOURCE_MULTIPLE = 8  # source ids are padded to a multiple of this


@dataclasses.dataclass(frozen=True)
class Facts:
  """What generation must know of the training split; kept with the run.

  Attributes:
    vocabulary: of the source.
    longest_source: tokens of the longest source, </s> included.
    longest: frames of the longest clip.
    fps: frames a second of the clips.
    glosses: their vocabulary, with `data.glosses`.
    longest_gloss: tokens of the longest gloss.
    examples: number of clips; 0 in runs that are older than this field.
  """

  vocabulary: text.Vocabulary
  longest_source: int
  longest: int
  fps: float
  glosses: text.Vocabulary | None = None
  longest_gloss: int = 0
  examples: int = 0


def facts_to_json(facts: dict[str, Facts]) -> str:
  """JSON of the facts of each language, by code."""
  languages = {}
  for code, each in facts.items():
    languages[code] = {
      "fps": each.fps,
      "longest": each.longest,
      "longest_source": each.longest_source,
      "tokens": each.vocabulary.tokens,
      "vocabulary": each.vocabulary.listed,
    }
    if each.examples:
      languages[code]["examples"] = each.examples
    if each.glosses is not None:
      languages[code] |= {
        "glosses": each.glosses.listed,
        "longest_gloss": each.longest_gloss,
      }
  return json.dumps({"languages": languages}, ensure_ascii=False, indent=1)


def facts_from_json(value: str) -> dict[str, Facts]:
  """Reads `facts_to_json`.

  Raises:
    DataError: not such facts.
  """
  try:
    return {
      code: Facts(
        text.Vocabulary(facts["vocabulary"], facts["tokens"]),
        int(facts["longest_source"]),
        int(facts["longest"]),
        float(facts["fps"]),
        text.Vocabulary(facts["glosses"], "words")
        if "glosses" in facts
        else None,
        int(facts.get("longest_gloss", 0)),
        int(facts.get("examples", 0)),
      )
      for code, facts in json.loads(value)["languages"].items()
    }
  except (ValueError, TypeError, KeyError, AttributeError) as error:
    raise errors.DataError(f"not the facts of a run: {error!r}") from error


@dataclasses.dataclass(frozen=True)
class Summary:
  """What one pass over the training split tells.

  Attributes:
    facts: what generation must know.
    lengths: [n] frames of each clip, at most `max_frames`.
    mean: [150] mean of true cells; [L, 150] of languages that share a model.
    scale: [] pooled standard deviation around it; or [L].
    seen: [50] bool, joints that are ever valid; or [L, 50].
  """

  facts: Facts
  lengths: np.ndarray
  mean: np.ndarray
  scale: np.ndarray
  seen: np.ndarray


def summarise(split: sources.Clips, settings: config.Data) -> Summary:
  """Reads all clips once.

  Raises:
    DataError: no clips, or no joint is ever seen.
  """
  lengths, texts, glosses, rates = [], [], [], set()
  several = isinstance(split, sources.Joined)
  language = split.languages if several else np.zeros(len(split), np.int32)
  count = np.zeros((int(language.max(initial=0)) + 1, skeleton.J))
  total = np.zeros((*count.shape, 3))
  squares = np.zeros(len(count))
  for index in tqdm.trange(len(split), unit="clip", desc="reading", delay=2):
    clip = split[index]
    lengths.append(min(len(clip), settings.max_frames))
    texts.append(sources.source_text(clip, settings))
    if settings.glosses:
      glosses.append(sources.gloss(clip))
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
  vocabulary = text.build_vocabulary(texts, settings.tokens, least)
  mean = total / np.maximum(count, 1)[..., None]
  around = squares - (mean**2 * count[..., None]).sum((1, 2))
  variance = around / (3 * count.sum(1))
  mean = mean.reshape(-1, skeleton.C).astype(np.float32)
  scale = np.sqrt(np.maximum(variance, 1e-12)).astype(np.float32)
  seen = count > 0
  return Summary(
    facts=Facts(
      vocabulary,
      longest_source=max(len(vocabulary.encode(t)) for t in texts),
      longest=max(lengths),
      fps=rates.pop(),
      glosses=text.build_vocabulary(glosses, "words") if glosses else None,
      longest_gloss=max((len(g.split()) for g in glosses), default=0),
      examples=len(lengths),
    ),
    lengths=np.array(lengths, np.int32),
    mean=mean if several else mean[0],
    scale=scale if several else scale[0],
    seen=seen if several else seen[0],
  )


class Source(Protocol):
  """Random access to the batches of a run, for grain."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> dict[str, np.ndarray]: ...


class Batches:
  """Random access to the batches of a run, for grain.

  A batch is what `pad_batch` returns and `example` [B] int32, the numbers of
  the clips, 0 in empty rows; with `data.glosses` also `gloss` [B, G] int32: ids
  of the gloss without </s>, PAD at the end; of languages that share a model
  also `language` [B] int32, the number of each. Rows that another process feeds
  are not read: but for `example` and `language` they are empty.
  """

  def __init__(
    self,
    split: sources.Clips,
    plan: Plan,
    facts: Facts,
    settings: config.Data,
    count: int,
    fed: np.ndarray | None = None,
  ):
    """Wraps what batches are made of.

    Args:
      split: the clips.
      plan: their order.
      facts: of the training split.
      settings: of the data.
      count: of batches.
      fed: [B] bool, rows to read (`partition.fed_rows`); None for all.
    """
    self._split, self._plan, self._facts = split, plan, facts
    self._settings, self._count, self._fed = settings, count, fed

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    t, ids = self._plan[index]
    rows, known = self._plan.batch_size, self._facts.glosses
    fed = np.ones(rows, bool) if self._fed is None else self._fed
    listed = [
      self._split[int(i)] if mine else None
      for i, mine in zip(ids, fed, strict=False)
    ]
    vocabulary = self._facts.vocabulary
    encoded = [
      vocabulary.encode(sources.source_text(clip, self._settings))
      if clip
      else vocabulary.encode("")
      for clip in listed
    ]
    s = round_up(self._facts.longest_source, SOURCE_MULTIPLE)
    batch = pad_batch(listed, encoded, rows, t, s)
    batch["example"] = np.zeros(rows, np.int32)
    batch["example"][: len(ids)] = ids
    if isinstance(self._split, sources.Joined):
      batch["language"] = np.zeros(rows, np.int32)
      batch["language"][: len(ids)] = self._split.languages[ids]
    if known is not None:
      g = round_up(self._facts.longest_gloss, SOURCE_MULTIPLE)
      # Without </s>: it is no sign, and CTC knows where its labels end.
      ids = [
        known.encode(sources.gloss(clip) if clip else "")[:-1][:g]
        for clip in listed
      ]
      ids += [np.zeros(0, np.int32)] * (rows - len(ids))
      batch["gloss"] = text.pad(ids, g)
    return batch


class SideBySide:
  """Batches of several languages stacked, [L, B, ...]: those of MLSF.

  Every language goes through its own epochs; its order does not depend on the
  others, only on how far its frames are padded.
  """

  def __init__(self, parts: Sequence[Source]):
    self._parts = parts

  def __len__(self) -> int:
    return min(map(len, self._parts))

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    batches = [part[index] for part in self._parts]
    t = max(batch["frames"].shape[1] for batch in batches)
    axes = {"frames": t, "valid": t}
    for name in {"source", "gloss"} & set(batches[0]):
      axes[name] = max(batch[name].shape[1] for batch in batches)

    def stretch(name: str, value: np.ndarray) -> np.ndarray:
      if name not in axes:
        return value
      missing = axes[name] - value.shape[1]  # padding is 0 in all of them
      return np.pad(value, ((0, 0), (0, missing), *[(0, 0)] * (value.ndim - 2)))

    return {
      name: np.stack([stretch(name, batch[name]) for batch in batches])
      for name in batches[0]
    }


def by_length(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
  """Batches of indices, those of like lengths together, shortest first."""
  order = np.argsort(lengths, kind="stable").tolist()
  for start in range(0, len(order), rows):
    yield order[start : start + rows]


def padded_length(batch: dict[str, np.ndarray]) -> int:
  """Of a batch's frames, or of its source where it has none."""
  frames = batch.get("frames")
  return batch["source"].shape[-1] if frames is None else frames.shape[-2]


def pad_batch(
  listed: Sequence[clips.Clip | None],
  encoded: Sequence[np.ndarray],
  rows: int,
  t: int,
  s: int,
) -> dict[str, np.ndarray]:
  """One batch of fixed shape; what is None stays empty.

  Returns:
    source [rows, s] int32; frames [rows, t, 150] float32; valid [rows, t, 50]
    bool; length [rows] int32, 0 in rows that are empty.
  """
  frames = np.zeros((rows, t, skeleton.C), np.float32)
  valid = np.zeros((rows, t, skeleton.J), bool)
  length = np.zeros(rows, np.int32)
  for row, clip in enumerate(listed):
    if clip is None:
      continue
    n = min(len(clip), t)
    frames[row, :n] = clip.frames[:n].reshape(n, skeleton.C)
    valid[row, :n] = clip.valid[:n]
    length[row] = n
  filled = [ids[:s] for ids in encoded]
  filled += [np.array([text.EOS], np.int32)] * (rows - len(filled))
  return {
    "source": text.pad(filled, s),
    "frames": frames,
    "valid": valid,
    "length": length,
  }


def stream(
  batches: Source, start: int, settings: config.Data
) -> Iterator[dict[str, np.ndarray]]:
  """Batches from `start` on, read ahead by threads or processes."""
  dataset = grain.MapDataset.source(batches)[start:]
  if settings.workers:
    return iter(
      dataset.to_iter_dataset().mp_prefetch(
        grain.MultiprocessingOptions(
          num_workers=settings.workers,
          per_worker_buffer_size=settings.prefetch,
        )
      )
    )
  return iter(
    dataset.to_iter_dataset(
      grain.ReadOptions(
        num_threads=settings.threads, prefetch_buffer_size=settings.prefetch
      )
    )
  )
