"""Minimum Bayes risk: of several texts the one most like all the others.

The most probable text is often short and seldom the best. Of N candidates the
one is taken whose mean chrF against all of them is highest (Eikema & Aziz 2020;
chrF as utility: Freitag et al. 2022).
"""

import collections
from collections.abc import Sequence

import numpy as np

_ORDER = 6  # longest n-gram, as in chrF2 of sacreBLEU
_BETA = 2.0


def choose(candidates: Sequence[str]) -> int:
  """Index of the candidate of least risk; the first of equals.

  Args:
    candidates: at least one. A text that occurs twice counts twice.
  """
  counts = collections.Counter(candidates)
  texts = list(counts)
  weights = np.array([counts[text] for text in texts], np.float64)
  best = texts[int(np.argmax(chrf_of_pairs(texts) @ weights))]
  return list(candidates).index(best)


def chrf_of_pairs(texts: Sequence[str]) -> np.ndarray:
  """Sentence chrF2 [n, n] in [0, 1]: row i as hypothesis, column j reference.

  As sacreBLEU: spaces do not count, and precision and recall are means over the
  orders that both sides have.
  """
  plain = ["".join(text.split()) for text in texts]
  precision, recall, orders = np.zeros((3, len(texts), len(texts)))
  for n in range(1, _ORDER + 1):
    grams = [
      collections.Counter(text[i : i + n] for i in range(len(text) - n + 1))
      for text in plain
    ]
    columns = {gram: i for i, gram in enumerate(sorted(set().union(*grams)))}
    table = np.zeros((len(texts), len(columns)))
    for row, each in zip(table, grams, strict=True):
      for gram, count in each.items():
        row[columns[gram]] = count
    common = np.minimum(table[:, None], table).sum(-1)
    total = table.sum(1)
    used = (total[:, None] > 0) & (total > 0)
    precision += np.where(used, common / np.maximum(total[:, None], 1), 0)
    recall += np.where(used, common / np.maximum(total, 1), 0)
    orders += used
  precision /= np.maximum(orders, 1)
  recall /= np.maximum(orders, 1)
  below = _BETA**2 * precision + recall
  above = (1 + _BETA**2) * precision * recall
  return above / np.where(below > 0, below, 1)
