"""The training clips of a run, summarised and put in order."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.data import batch_plan, corpus_facts, loader, sources


class Corpus:
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
        glosses (`sources.open_joined`).
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
      self.train = sources.open_joined(parts, "train")
      places = batch_plan.listing(self.train.sizes, self.settings.temperature)
    else:
      self.train = sources.open_clips(self.settings, "train")
    self.summary = corpus_facts.summarise(self.train, self.settings)
    self.facts = self.summary.facts
    lengths = self.summary.lengths
    if places is not None:
      lengths = lengths[places]
    # A data set smaller than a batch would be mostly empty rows.
    enough = batch_plan.round_up(len(lengths), multiple)
    self.plan = batch_plan.Plan(
      lengths,
      min(rows, enough),
      self.settings.bucket,
      seed,
      matched,
      places,
    )

  def describe(self) -> str:
    """What is learnt from."""
    words, fps = len(self.facts.vocabulary), self.facts.fps
    return (
      f"clips       {self.code} {len(self.train):,} at {fps:g} frames a "
      f"second; vocabulary {words:,}"
    )

  def batches(
    self, count: int, fed: np.ndarray | None = None
  ) -> loader.Batches:
    """The first `count` batches; of them the rows `fed` alone."""
    return loader.Batches(
      self.train, self.plan, self.facts, self.settings, count, fed
    )
