"""Best of several samples, ranked by a model that reads poses."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import errors
from signllm_jax.inference import display, pose_reader, sequences
from signllm_jax.inference import producer as producer_lib

MAX_SAMPLES = 64


class RankedSamples(NamedTuple):
  """The samples of a text."""

  text: str
  scores: np.ndarray  # [samples] `Reader.likelihoods`, of the first one first
  kept: int  # index of the sample that was kept


class BestOf:
  """Signs each text several times and keeps the best (`Producer.samples`).

  The samples are those of a generative decoder, or of a Gaussian policy around
  a regression decoder (section 6). Among those that ended by themselves, the
  one with the highest likelihood of the text under a reader is kept.

  Attributes:
    ranked: the samples of each text, in the order of signing.
  """

  def __init__(
    self,
    producer: producer_lib.Producer,
    judge: pose_reader.Reader,
    samples: int,
    std: float,
    seed: int = 0,
  ):
    """Wraps a producer.

    Args:
      producer: signs the texts.
      judge: reads the samples; trained at the producer's frame rate.
      samples: of each text, 2 to `MAX_SAMPLES`.
      std: of the policy around a regression decoder, in normalised units
        (`config.rl.std`).
      seed: of the noise.

    Raises:
      UsageError: another number of samples, or a std that is not positive.
    """
    if not 2 <= samples <= MAX_SAMPLES:
      raise errors.UsageError(
        f"{samples} samples", expected=f"2 to {MAX_SAMPLES}"
      )
    if not producer.stochastic and not 0 < std <= 1:
      raise errors.UsageError(
        f"samples with a standard deviation of {std:g}",
        expected="above 0, at most 1 (that of the poses themselves)",
      )
    self.ranked: list[RankedSamples] = []
    self._producer, self._judge = producer, judge
    self._count, self._std, self._seed = samples, std, seed

  def batches(
    self, texts: Sequence[str]
  ) -> Iterator[list[sequences.ProducedSequence]]:
    """The best sample of each text; as `producer.Producer.batches`."""
    for batch in self._producer.samples(
      texts, self._count, self._std, self._seed
    ):
      yield [self._best(samples) for samples in batch]

  def table(self) -> str:
    """The mean token likelihood of each text, kept sample beside the first."""
    lines = ["likelihood of the text from the sample kept, and from the first"]
    for text, scores, kept in self.ranked:
      best, first = np.exp(scores[[kept, 0]])
      lines.append(f"{best:10.1%} {first:8.1%}  {display.quote(text)}")
    return "\n".join(lines)

  def _best(
    self, samples: Sequence[sequences.ProducedSequence]
  ) -> sequences.ProducedSequence:
    produced = [sample.clip for sample in samples]
    texts = [clip.text for clip in produced]
    scores = self._judge.likelihoods(produced, texts)
    ended = np.array([sample.finished for sample in samples])
    kept = int(np.argmax(np.where(ended, scores, scores - 1e6)))
    self.ranked.append(RankedSamples(texts[0], scores, kept))
    return samples[kept]
