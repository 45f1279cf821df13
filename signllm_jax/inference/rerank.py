"""Best of several samples, ranked by a model that reads poses."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import numpy as np

from signllm_jax.core import errors
from signllm_jax.inference import display, pose_reader, sequences
from signllm_jax.inference import producer as producer_lib

MAX_SAMPLES = 64


class RankedSamples(NamedTuple):
  """The samples of a text."""

  text: str
  scores: np.ndarray  # [samples] `Reader.likelihoods`; the model's own is first
  kept: int  # index of the sample that was kept


class BestOf:
  """Signs each text several times by a Gaussian policy and keeps the best.

  The first sample of a text is the model's own sequence; in the others every
  pose is sampled around the model's (section 6). Among the samples that ended
  by themselves, the one with the highest likelihood of the text under a reader
  is kept.

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
      std: of the policy, in normalised units (`config.rl.std`).
      seed: of the noise.

    Raises:
      UsageError: another number of samples, or a std that is not positive.
    """
    if not 2 <= samples <= MAX_SAMPLES:
      raise errors.UsageError(
        f"{samples} samples", expected=f"2 to {MAX_SAMPLES}"
      )
    if not 0 < std <= 1:
      raise errors.UsageError(
        f"samples with a standard deviation of {std:g}",
        expected="above 0, at most 1 (that of the poses themselves)",
      )
    self.ranked: list[RankedSamples] = []
    self._producer, self._judge, self._std = producer, judge, std
    self._keys = list(jax.random.split(jax.random.key(seed), samples - 1))

  def batches(
    self, texts: Sequence[str]
  ) -> Iterator[list[sequences.ProducedSequence]]:
    """The best sample of each text; as `producer.Producer.batches`."""
    for batch in self._producer.samples(texts, self._std, self._keys):
      yield [self._best(samples) for samples in batch]

  def table(self) -> str:
    """The mean token likelihood of each text, kept sample beside the own."""
    lines = ["likelihood of the text from the sample kept, and from the own"]
    for text, scores, kept in self.ranked:
      best, own = np.exp(scores[[kept, 0]])
      lines.append(f"{best:10.1%} {own:8.1%}  {display.quote(text)}")
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
