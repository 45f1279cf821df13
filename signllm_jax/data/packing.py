"""Rows that hold several short pairs, so that little of a batch is padding."""

from collections.abc import Sequence

import numpy as np

_OPEN_ROWS = 512  # rows that a pair may still join


def pack(
  sources: Sequence[int],
  targets: Sequence[int],
  row: tuple[int, int],
  seed: int,
) -> list[np.ndarray]:
  """Packs pairs into rows, first fit decreasing.

  Args:
    sources: [n] tokens of each source.
    targets: [n] tokens of each target.
    row: tokens of a row's sources and targets; no pair is longer.
    seed: of the order of equally long pairs.

  Returns:
    The pairs of each row; every pair once.
  """
  lengths = np.stack([sources, targets], 1)
  shuffled = np.random.default_rng([seed, 2]).permutation(len(lengths))
  share = (lengths / row).max(1)
  order = shuffled[np.argsort(-share[shuffled], kind="stable")]
  rows: list[list[int]] = []
  room = np.zeros((0, 2), np.int64)  # of the open rows, the last ones
  for i in order:
    fits = (room >= lengths[i]).all(1)
    at = int(fits.argmax()) if fits.any() else len(room)
    if at == len(room):
      rows.append([])
      room = np.concatenate([room, [row]])[-_OPEN_ROWS:]
      at = len(room) - 1
    rows[len(rows) - len(room) + at].append(int(i))
    room[at] -= lengths[i]
  return [np.array(each) for each in rows]


def concatenate(
  sequences: Sequence[np.ndarray], rows: Sequence[np.ndarray]
) -> list[np.ndarray]:
  """The ids of each row: those of its sequences, one after another."""
  return [np.concatenate([sequences[i] for i in ids]) for ids in rows]
