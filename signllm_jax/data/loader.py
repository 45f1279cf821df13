"""Batches of fixed shapes, in the order of a `batch_plan.BatchPlan`."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import grain
import numpy as np
from absl import flags

from signllm_jax import config
from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data import corpus_info, datasets
from signllm_jax.data.batch_plan import BatchPlan, round_up

SOURCE_MULTIPLE = 8  # source ids are padded to a multiple of this
_READY = 8  # batches that are read ahead


class BatchSource(Protocol):
  """Random access to the batches of a run, for grain."""

  def __len__(self) -> int: ...

  def __getitem__(self, index: int) -> dict[str, np.ndarray]: ...


class ReaderTexts(NamedTuple):
  """How the texts of clips are given to a model that reads poses."""

  vocabulary: vocabulary_lib.Vocabulary
  settings: config.Data  # of the reader
  longest: int  # tokens; longer texts are cut

  def encode(
    self, listed: Sequence[clips_lib.Clip | None], rows: int
  ) -> np.ndarray:
    """Ids [rows, S] of the texts of clips; those of no clip are empty."""
    texts = [
      datasets.source_text(clip, self.settings) if clip else ""
      for clip in listed
    ]
    texts += [""] * (rows - len(texts))
    s = round_up(self.longest, SOURCE_MULTIPLE)
    ids = [self.vocabulary.encode(text)[:s] for text in texts]
    return vocabulary_lib.pad(ids, s)


class PoseBatches:
  """Random access to the batches of a corpus of clips.

  A batch has the arrays of `pad_batch` and `example` [B] int32, the ids of the
  clips, 0 in empty rows. With `data.glosses` it has `gloss` [B, G] int32: ids
  without </s>, PAD at the end. With languages that share a model it has
  `language` [B] int32, the number of each. Rows of other processes are not
  read: all their arrays but `example` and `language` are those of empty rows.
  """

  def __init__(
    self,
    split: datasets.Clips,
    plan: BatchPlan,
    info: corpus_info.CorpusInfo,
    settings: config.Data,
    count: int,
    rows_of_process: np.ndarray | None = None,
    reader_texts: ReaderTexts | None = None,
  ):
    """Prepares the batches.

    Args:
      split: the clips.
      plan: their order.
      info: of the training split.
      settings: of the data.
      count: number of batches.
      rows_of_process: [B] bool, rows to read; None for all.
      reader_texts: adds `read` [B, S], the texts' ids in its vocabulary.
    """
    self._reader_texts = reader_texts
    self._split, self._plan, self._info = split, plan, info
    self._settings, self._count = settings, count
    self._rows_of_process = rows_of_process

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    t, ids = self._plan[index]
    rows, gloss_vocabulary = self._plan.batch_size, self._info.gloss_vocabulary
    to_read = self._rows_of_process
    if to_read is None:
      to_read = np.ones(rows, bool)
    clips = [
      self._split[int(i)] if read else None
      for i, read in zip(ids, to_read, strict=False)
    ]
    vocabulary = self._info.vocabulary
    sources = [
      vocabulary.encode(
        datasets.source_text(clip, self._settings) if clip else ""
      )
      for clip in clips
    ]
    s = round_up(self._info.longest_source, SOURCE_MULTIPLE)
    skeleton = skeleton_lib.get(self._settings.skeleton)
    batch = pad_batch(clips, sources, rows, t, s, skeleton)
    batch["example"] = np.zeros(rows, np.int32)
    batch["example"][: len(ids)] = ids
    if isinstance(self._split, datasets.MultilingualClips):
      batch["language"] = np.zeros(rows, np.int32)
      batch["language"][: len(ids)] = self._split.languages[ids]
    if self._reader_texts is not None:
      batch["read"] = self._reader_texts.encode(clips, rows)
    if gloss_vocabulary is not None:
      g = round_up(self._info.longest_gloss, SOURCE_MULTIPLE)
      # Without </s>: it is not a sign, and CTC needs no end token.
      glosses = [
        gloss_vocabulary.encode(datasets.gloss_text(clip) if clip else "")[:-1]
        for clip in clips
      ]
      glosses = [gloss[:g] for gloss in glosses]
      glosses += [np.zeros(0, np.int32)] * (rows - len(glosses))
      batch["gloss"] = vocabulary_lib.pad(glosses, g)
    return batch


class StackedBatches:
  """Batches of several languages, stacked as [L, B, ...] for MLSF.

  Every language has its own epochs. The other languages do not change its
  order, only the padding of its frames.
  """

  def __init__(self, parts: Sequence[BatchSource]):
    self._parts = parts

  def __len__(self) -> int:
    return min(map(len, self._parts))

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    batches = [part[index] for part in self._parts]
    t = max(batch["frames"].shape[1] for batch in batches)
    lengths = {"frames": t, "valid": t}
    for name in {"source", "gloss"} & set(batches[0]):
      lengths[name] = max(batch[name].shape[1] for batch in batches)

    def pad(name: str, value: np.ndarray) -> np.ndarray:
      if name not in lengths:
        return value
      missing = lengths[name] - value.shape[1]  # all of these are padded with 0
      return np.pad(value, ((0, 0), (0, missing), *[(0, 0)] * (value.ndim - 2)))

    return {
      name: np.stack([pad(name, batch[name]) for batch in batches])
      for name in batches[0]
    }


def group_by_length(lengths: Sequence[int], rows: int) -> Iterator[list[int]]:
  """Groups indices of similar lengths into batches, shortest first."""
  order = np.argsort(lengths, kind="stable").tolist()
  for start in range(0, len(order), rows):
    yield order[start : start + rows]


def padded_length(batch: dict[str, np.ndarray]) -> int:
  """Padded length of a batch's frames, or of its source if it has none."""
  frames = batch.get("frames")
  return batch["source"].shape[-1] if frames is None else frames.shape[-2]


def pad_batch(
  clips: Sequence[clips_lib.Clip | None],
  sources: Sequence[np.ndarray],
  rows: int,
  t: int,
  s: int,
  skeleton: Skeleton,
) -> dict[str, np.ndarray]:
  """Pads clips and sources to one batch of fixed shape.

  Args:
    clips: those of the first rows; None makes an empty row.
    sources: ids of each clip's source.
    rows: of the batch; the last ones are empty.
    t: frames of the batch.
    s: source ids of the batch.
    skeleton: of the clips; J joints, C numbers a frame.

  Returns:
    source [rows, s] int32; frames [rows, t, C] float32; valid [rows, t, J]
    bool; length [rows] int32, 0 in empty rows.
  """
  frames = np.zeros((rows, t, skeleton.num_values), np.float32)
  valid = np.zeros((rows, t, skeleton.num_joints), bool)
  length = np.zeros(rows, np.int32)
  for row, clip in enumerate(clips):
    if clip is None:
      continue
    n = min(len(clip), t)
    frames[row, :n] = clip.frames[:n].reshape(n, skeleton.num_values)
    valid[row, :n] = clip.valid[:n]
    length[row] = n
  source = [ids[:s] for ids in sources]
  source += [np.array([vocabulary_lib.EOS], np.int32)] * (rows - len(source))
  return {
    "source": vocabulary_lib.pad(source, s),
    "frames": frames,
    "valid": valid,
    "length": length,
  }


def stream(
  batches: BatchSource, start: int, settings: config.Data
) -> Iterator[dict[str, np.ndarray]]:
  """Iterates over batches from `start`, prefetched by threads or processes.

  Raises:
    DataError: a record is damaged.
    StorageError: a reader process ended.
  """
  dataset = grain.MapDataset.source(batches)[start:]
  if settings.workers:
    if not flags.FLAGS.is_parsed():  # from Python; grain reads its own flags
      flags.FLAGS.mark_as_parsed()
    prefetched = dataset.to_iter_dataset().mp_prefetch(
      grain.MultiprocessingOptions(
        num_workers=settings.workers, per_worker_buffer_size=_READY
      )
    )
    return _watched(iter(prefetched))
  return iter(
    dataset.to_iter_dataset(
      grain.ReadOptions(
        num_threads=settings.threads, prefetch_buffer_size=_READY
      )
    )
  )


def _watched(
  prefetched: Iterator[dict[str, np.ndarray]],
) -> Iterator[dict[str, np.ndarray]]:
  """Reports the end of a reader process."""
  try:
    yield from prefetched
  except RuntimeError as error:
    if "terminated unexpectedly" not in str(error):
      raise
    raise errors.StorageError(
      f"a process that reads the data ended: {error}",
      hint="Was it killed, or out of memory? Start again with the same "
      "command; --config.data.workers=0 reads in threads",
    ) from error
