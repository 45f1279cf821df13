"""Training clips of a run, with their statistics and their order."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.data import batch_plan, corpus_info, datasets, loader


class PoseCorpus:
  """Training clips of one sign language, or of several that share a model."""

  def __init__(
    self,
    parts: Sequence[config_lib.Data],
    seed: int,
    *,
    rows: int,
    multiple: int,
    align_lengths: bool = False,
    multilingual: bool = False,
    noise: bool = False,
  ):
    """Reads the clips once.

    Args:
      parts: the settings of each language. A single one may leave its language
        empty; then the records may be of any.
      seed: of the order.
      rows: of a batch.
      multiple: of which the rows are a multiple.
      align_lengths: as in `BatchPlan`.
      multilingual: whether clips are marked with their language
        (`datasets.open_multilingual`).
      noise: as in `corpus_info.summarise`.
    """
    self.parts, self.codes = parts, [part.language for part in parts]
    self.code, self.settings = "+".join(self.codes), parts[0]
    self.reader_texts: loader.ReaderTexts | None = None  # of a reward
    example_ids = None
    if multilingual:
      self.settings = dataclasses.replace(parts[0], glosses=True)
      self.train = datasets.open_multilingual(parts, "train")
      example_ids = batch_plan.balanced_examples(
        self.train.sizes, self.settings.temperature
      )
    else:
      self.train = datasets.open_clips(self.settings, "train")
    self.summary = corpus_info.summarise(self.train, self.settings, noise=noise)
    self.info = self.summary.info
    lengths = self.summary.lengths
    if example_ids is not None:
      lengths = lengths[example_ids]
    # Larger batches than the data set would have mostly empty rows.
    most_rows = batch_plan.round_up(len(lengths), multiple)
    self.plan = batch_plan.BatchPlan(
      lengths,
      min(rows, most_rows),
      self.settings.bucket,
      seed,
      align_lengths,
      example_ids,
    )

  def describe(self) -> str:
    """Languages, size and vocabulary, in a line."""
    words, fps = len(self.info.vocabulary), self.info.fps
    return (
      f"clips       {self.code} {len(self.train):,} at {fps:g} frames a "
      f"second; vocabulary {words:,}"
    )

  def examples(self, step: int) -> list[int]:
    """The clips of a batch, by number."""
    return [int(i) for i in self.plan[step][1]]

  def batches_of(
    self, split: str, *, rows: int, multiple: int
  ) -> loader.PoseBatches:
    """Each clip of another split once, encoded as the training clips are.

    Args:
      split: e.g. `dev`, which some language has.
      rows: most of a batch.
      multiple: of which the rows are a multiple.

    Raises:
      DataError: a clip cannot be read or lacks a text.
    """
    clips = (
      datasets.open_multilingual(self.parts, split)
      if isinstance(self.train, datasets.MultilingualClips)
      else datasets.open_clips(self.settings, split)
    )
    lengths = np.array([len(clips[i]) for i in range(len(clips))], np.int32)
    plan = batch_plan.BatchPlan(
      np.minimum(lengths, self.settings.max_frames),
      min(rows, batch_plan.round_up(len(lengths), multiple)),
      self.settings.bucket,
      seed=0,
    )
    count = plan.batches_per_epoch
    return loader.PoseBatches(clips, plan, self.info, self.settings, count)

  def batches(
    self, count: int, rows_of_process: np.ndarray | None = None
  ) -> loader.PoseBatches:
    """The first `count` batches; arguments as of `loader.PoseBatches`."""
    return loader.PoseBatches(
      self.train,
      self.plan,
      self.info,
      self.settings,
      count,
      rows_of_process,
      self.reader_texts,
    )
