"""The training clips of one sign language, summarised and put in order."""

from signllm_jax import config as config_lib
from signllm_jax import data, plan, sources


class Corpus:
  """The training clips of one sign language, summarised and put in order."""

  def __init__(
    self,
    code: str,
    settings: config_lib.Data,
    seed: int,
    *,
    rows: int,
    multiple: int,
    matched: bool,
  ):
    """Reads the clips once.

    Args:
      code: of the language; empty if the records may be of any.
      settings: with the folder of this corpus alone.
      seed: of the order.
      rows: of a batch.
      multiple: what they are a multiple of.
      matched: whether other languages go beside it.
    """
    self.code, self.codes = code, [code]
    self.settings = settings
    self.train = sources.open_clips(settings, "train")
    self.summary = data.summarise(self.train, settings)
    self.facts = self.summary.facts
    # A data set smaller than a batch would be mostly empty rows.
    enough = plan.round_up(len(self.train), multiple)
    self.plan = plan.Plan(
      self.summary.lengths, min(rows, enough), settings.bucket, seed, matched
    )

  def describe(self) -> str:
    """What is learnt from."""
    words, fps = len(self.facts.vocabulary), self.facts.fps
    return (
      f"clips       {self.code} {len(self.train):,} at {fps:g} frames a "
      f"second; vocabulary {words:,}"
    )

  def batches(self, count: int) -> data.Batches:
    """The first `count` batches."""
    return data.Batches(self.train, self.plan, self.facts, self.settings, count)
