"""How far the glosses of a corpus agree where it has a text several times.

People who gloss a recording choose differently, so no model can equal them. The
agreement of two glosses of one text is a height to compare scores with.
"""

import collections
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import gloss
from signllm_jax.data import text_gloss_corpus
from signllm_jax.evaluation.metrics import metric


class Agreement(NamedTuple):
  """Glosses of repeated texts, each beside another of its text."""

  texts: int  # that occur more than once
  glosses: list[str]
  others: list[str]
  weights: np.ndarray  # [n] of each gloss; those of a text add up to 1

  def score(self, of: metric.Metric) -> float:
    """The score of the glosses against the others; every text counts once."""
    sums = of.sums(self.glosses, self.others)
    return float(of.finish((sums * self.weights[:, None]).sum(0)))


def find(pairs: Sequence[text_gloss_corpus.Pair]) -> Agreement | None:
  """The repeated texts of a training split; None without any.

  Every gloss is compared with the next one of its text, the last with the
  first.
  """
  of_text = collections.defaultdict(list)
  for pair in pairs:
    of_text[pair.source].append(gloss.strip_marks(pair.gloss))
  repeated = [lines for lines in of_text.values() if len(lines) > 1]
  if not repeated:
    return None
  return Agreement(
    len(repeated),
    [line for lines in repeated for line in lines],
    [line for lines in repeated for line in [*lines[1:], lines[0]]],
    np.concatenate([np.full(len(lines), 1 / len(lines)) for lines in repeated]),
  )
