"""The training clips of a run, summarised and put in order."""

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
    matched: bool = False,
    joined: bool = False,
  ):
    """Reads the clips once.

    Args:
      parts: the settings of each language; of one alone the language may be
        empty, then the records may be of any. Several are marked, with their
        glosses (`datasets.open_multilingual`).
      seed: of the order.
      rows: of a batch.
      multiple: what they are a multiple of.
      matched: whether other languages go beside it.
      joined: whether clips are marked with their language.
    """
    self.parts, self.codes = parts, [part.language for part in parts]
    self.code, self.settings = "+".join(self.codes), parts[0]
    places = None
    if joined:
      self.settings = dataclasses.replace(parts[0], glosses=True)
      self.train = datasets.open_multilingual(parts, "train")
      places = batch_plan.balanced_examples(
        self.train.sizes, self.settings.temperature
      )
    else:
      self.train = datasets.open_clips(self.settings, "train")
    self.summary = corpus_info.summarise(self.train, self.settings)
    self.info = self.summary.info
    lengths = self.summary.lengths
    if places is not None:
      lengths = lengths[places]
    # A data set smaller than a batch would be mostly empty rows.
    enough = batch_plan.round_up(len(lengths), multiple)
    self.plan = batch_plan.BatchPlan(
      lengths,
      min(rows, enough),
      self.settings.bucket,
      seed,
      matched,
      places,
    )

  def describe(self) -> str:
    """What is learnt from."""
    words, fps = len(self.info.vocabulary), self.info.fps
    return (
      f"clips       {self.code} {len(self.train):,} at {fps:g} frames a "
      f"second; vocabulary {words:,}"
    )

  def batches(
    self, count: int, fed: np.ndarray | None = None
  ) -> loader.PoseBatches:
    """The first `count` batches; of them the rows `fed` alone."""
    return loader.PoseBatches(
      self.train, self.plan, self.info, self.settings, count, fed
    )
