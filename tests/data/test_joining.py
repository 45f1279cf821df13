"""Pairs of texts and glosses that are joined in twos."""

import numpy as np

from signllm_jax.data import joining

_LENGTHS = np.random.default_rng(0).integers(3, 30, (600, 2))
_LANGUAGES = np.arange(600) % 2


def _draw(share: float = 0.6, longest: int = 60, seed: int = 1):
  limits = longest, longest
  return joining.draw(_LENGTHS, _LANGUAGES, limits, share, [seed])


def test_every_example_is_in_one_pair_of_its_language():
  units = _draw()
  assert sorted(np.concatenate(units).tolist()) == list(range(600))
  assert all(len(set(_LANGUAGES[unit].tolist())) == 1 for unit in units)


def test_the_share_of_joined_examples_is_what_was_asked_for():
  shares = [
    sum(len(unit) for unit in _draw(seed=seed) if len(unit) == 2) / 600
    for seed in range(20)
  ]
  assert abs(np.mean(shares) - 0.6) < 0.02
  assert all(len(unit) == 1 for unit in _draw(0.0))


def test_a_joined_pair_is_not_longer_than_the_limit():
  units = _draw(longest=30)
  assert {len(unit) for unit in units} == {1, 2}
  for unit in units:
    if len(unit) == 2:
      source, gloss = _LENGTHS[unit].sum(0)
      assert source - 2 <= 30
      assert gloss - 1 <= 30


def test_the_draw_depends_on_the_seed_alone():
  one, same, other = (
    [unit.tolist() for unit in _draw(seed=seed)] for seed in (1, 1, 2)
  )
  assert one == same
  assert one != other


def test_a_joined_pair_reads_as_one():
  mark, end = 7, 1
  texts = np.array([mark, 20, 21, end]), np.array([mark, 30, end])
  assert joining.source(texts).tolist() == [mark, 20, 21, 30, end]
  assert joining.source(texts[:1]).tolist() == texts[0].tolist()
  glosses = np.array([40, end]), np.array([50, 51, end])
  assert joining.gloss(glosses).tolist() == [40, 50, 51, end]
  assert joining.gloss(glosses[1:]).tolist() == glosses[1].tolist()
