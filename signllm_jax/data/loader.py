"""Batches of fixed shapes, in the order of a `batch_plan.BatchPlan`."""

from collections.abc import Iterator, Sequence
from typing import Protocol

import grain
import numpy as np

from signllm_jax import config
from signllm_jax.core import clips, skeleton
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import corpus_info, datasets
from signllm_jax.data.batch_plan import BatchPlan, round_up

SOURCE_MULTIPLE = 8  # source ids are padded to a multiple of this


class BatchSource(Protocol):
  """Random access to the batches of a run, for grain."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> dict[str, np.ndarray]: ...


class PoseBatches:
  """Random access to the batches of a run, for grain.

  A batch is what `pad_batch` returns and `example` [B] int32, the numbers of
  the clips, 0 in empty rows; with `data.glosses` also `gloss` [B, G] int32: ids
  of the gloss without </s>, PAD at the end; of languages that share a model
  also `language` [B] int32, the number of each. Rows that another process feeds
  are not read: but for `example` and `language` they are empty.
  """

  def __init__(
    self,
    split: datasets.Clips,
    plan: BatchPlan,
    info: corpus_info.CorpusInfo,
    settings: config.Data,
    count: int,
    fed: np.ndarray | None = None,
  ):
    """Wraps what batches are made of.

    Args:
      split: the clips.
      plan: their order.
      info: of the training split.
      settings: of the data.
      count: of batches.
      fed: [B] bool, rows to read (`sharding.fed_rows`); None for all.
    """
    self._split, self._plan, self._info = split, plan, info
    self._settings, self._count, self._fed = settings, count, fed

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    t, ids = self._plan[index]
    rows, known = self._plan.batch_size, self._info.gloss_vocabulary
    fed = np.ones(rows, bool) if self._fed is None else self._fed
    listed = [
      self._split[int(i)] if mine else None
      for i, mine in zip(ids, fed, strict=False)
    ]
    vocabulary = self._info.vocabulary
    encoded = [
      vocabulary.encode(datasets.source_text(clip, self._settings))
      if clip
      else vocabulary.encode("")
      for clip in listed
    ]
    s = round_up(self._info.longest_source, SOURCE_MULTIPLE)
    batch = pad_batch(listed, encoded, rows, t, s)
    batch["example"] = np.zeros(rows, np.int32)
    batch["example"][: len(ids)] = ids
    if isinstance(self._split, datasets.MultilingualClips):
      batch["language"] = np.zeros(rows, np.int32)
      batch["language"][: len(ids)] = self._split.languages[ids]
    if known is not None:
      g = round_up(self._info.longest_gloss, SOURCE_MULTIPLE)
      # Without </s>: it is no sign, and CTC knows where its labels end.
      ids = [
        known.encode(datasets.gloss_text(clip) if clip else "")[:-1][:g]
        for clip in listed
      ]
      ids += [np.zeros(0, np.int32)] * (rows - len(ids))
      batch["gloss"] = vocabulary_lib.pad(ids, g)
    return batch


class StackedBatches:
  """Batches of several languages stacked, [L, B, ...]: those of MLSF.

  Every language goes through its own epochs; its order does not depend on the
  others, only on how far its frames are padded.
  """

  def __init__(self, parts: Sequence[BatchSource]):
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


def group_by_length(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
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
  filled += [np.array([vocabulary_lib.EOS], np.int32)] * (rows - len(filled))
  return {
    "source": vocabulary_lib.pad(filled, s),
    "frames": frames,
    "valid": valid,
    "length": length,
  }


def stream(
  batches: BatchSource, start: int, settings: config.Data
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
