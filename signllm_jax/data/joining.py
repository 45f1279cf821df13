"""Pairs of texts and glosses, joined in twos.

A joined pair is the text of both and the gloss of both. Where there are few
pairs, models learn from other contexts, lengths and positions of a word (Nguyen
et al. 2021, arXiv 2105.01691).
"""

from collections.abc import Sequence

import numpy as np

# Tokens that a joined source and gloss save: </s> and the mark, and </s>.
_SAVED = np.array([2, 1])


def draw(
  lengths: np.ndarray,
  languages: np.ndarray,
  longest: tuple[int, int],
  share: float,
  seed: Sequence[int],
) -> list[np.ndarray]:
  """Draws which examples are joined.

  Args:
    lengths: [n, 2] tokens of each source and gloss, with </s>.
    languages: [n] number of each one's language; one is not joined to another.
    longest: tokens of a joined source and gloss, at most.
    share: of the examples that are joined, where they are not too long.
    seed: of the draw.

  Returns:
    Numbers of one or two examples each; every example once.
  """
  random = np.random.default_rng(seed)
  order = random.permutation(len(lengths))
  order = order[np.argsort(languages[order], kind="stable")]
  # What is drawn begins a pair, which has two examples, or stays alone.
  begins = random.random(len(order)) < share / (2 - share)
  units, at = [], 0
  while at < len(order):
    two = order[at : at + 2]
    joins = (
      begins[at]
      and len(two) == 2
      and languages[two[0]] == languages[two[1]]
      and (lengths[two].sum(0) - _SAVED <= longest).all()
    )
    units.append(two if joins else two[:1])
    at += len(units[-1])
  return units


def source(parts: Sequence[np.ndarray]) -> np.ndarray:
  """Joins sources, each a mark, its words and </s>: one mark and one </s>."""
  words = [part[1:-1] for part in parts]
  return np.concatenate([parts[0][:1], *words, parts[0][-1:]])


def gloss(parts: Sequence[np.ndarray]) -> np.ndarray:
  """Joins glosses, each with </s> at its end: one </s>."""
  return np.concatenate([*[part[:-1] for part in parts], parts[0][-1:]])
