"""The order of examples and their batches."""

import numpy as np
import pytest

from signllm_jax.data.batch_plan import BatchPlan, balanced_examples


def _plan(n=103, batch=8, seed=0):
  lengths = np.random.default_rng(1).integers(5, 90, n).astype(np.int32)
  return BatchPlan(lengths, batch, bucket=32, seed=seed)


def test_every_example_once_an_epoch():
  plan = _plan()
  for epoch in range(3):
    start = epoch * plan.batches_per_epoch
    ids = np.concatenate(
      [plan[start + i][1] for i in range(plan.batches_per_epoch)]
    )
    np.testing.assert_array_equal(np.sort(ids), np.arange(103))


def test_order_is_a_function_of_seed_and_index():
  first, second = _plan(), _plan()
  # Read in another order: nothing may depend on what was read before.
  later = [first[i] for i in (40, 3, 17)]
  for (t, ids), index in zip(later, (40, 3, 17), strict=True):
    assert second[index][0] == t
    np.testing.assert_array_equal(second[index][1], ids)
  other = _plan(seed=1)
  assert any(not np.array_equal(first[i][1], other[i][1]) for i in range(10))
  epochs = [first[i][1].tolist() for i in range(first.batches_per_epoch)]
  later = [
    first[i + first.batches_per_epoch][1].tolist()
    for i in range(first.batches_per_epoch)
  ]
  assert epochs != later


def test_plans_read_in_turn_shuffle_an_epoch_once(monkeypatch):
  """The languages of MLSF: a shuffle for every batch would cost seconds."""
  shuffled, original = [], BatchPlan._shuffled

  def note(plan, epoch):
    shuffled.append((id(plan), epoch))
    return original(plan, epoch)

  monkeypatch.setattr(BatchPlan, "_shuffled", note)
  plans = [_plan(seed=seed) for seed in range(8)]
  for index in range(3 * plans[0].batches_per_epoch):
    for plan in plans:
      assert len(plan[index][1])
  assert len(shuffled) == len(set(shuffled)) == 8 * 3
  assert {len(plan._epochs) for plan in plans} == {2}


def test_batches_hold_one_bucket():
  plan = _plan()
  for i in range(plan.batches_per_epoch):
    t, ids = plan[i]
    assert set(-(-plan.lengths[ids] // 32) * 32) == {t}
  cells = sum(8 * plan[i][0] for i in range(plan.batches_per_epoch))
  assert plan.padding == pytest.approx(1 - plan.lengths.sum() / cells)


def test_small_corpora_are_repeated_by_temperature():
  sizes = [800, 50]
  assert balanced_examples(sizes, 1).tolist() == list(range(850))
  for temperature in (2.0, 5.0, 1e9):
    ids = balanced_examples(sizes, temperature)
    assert set(ids.tolist()) == set(range(850))
    share = (ids >= 800).sum() / (ids < 800).sum()
    assert abs(share - (50 / 800) ** (1 / temperature)) < 2e-3
    counts = np.bincount(ids)
    assert set(counts[:800]) == {1}
    assert np.ptp(counts[800:]) <= 1
