"""Pairs in shared rows."""

import numpy as np

from signllm_jax.data import packing


def test_every_pair_is_in_one_row_that_holds_it():
  random = np.random.default_rng(0)
  sources = random.integers(1, 40, 700)
  targets = random.integers(1, 20, 700)
  rows = packing.pack(sources, targets, (64, 32), seed=3)
  assert sorted(np.concatenate(rows).tolist()) == list(range(700))
  for ids in rows:
    assert sources[ids].sum() <= 64
    assert targets[ids].sum() <= 32
  filled = max(sources.sum() / 64, targets.sum() / 32) / len(rows)
  assert filled > 0.9


def test_the_rows_depend_on_the_seed_alone():
  lengths = [5, 5, 5, 5, 5, 5, 9]
  one, same, other = (
    [row.tolist() for row in packing.pack(lengths, lengths, (10, 10), seed)]
    for seed in (1, 1, 2)
  )
  assert one == same
  assert one != other


def test_a_pair_may_fill_a_row():
  assert [len(row) for row in packing.pack([8, 8], [1, 8], (8, 8), 0)] == [1, 1]
