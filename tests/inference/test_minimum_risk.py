"""Minimum Bayes risk on chrF."""

import numpy as np
import pytest
import sacrebleu

from signllm_jax.inference import minimum_risk

TEXTS = ["REGEN NORD STARK", "REGEN NORD", "SONNE SUED IX", "IX", "REGEN STARK"]


def test_utilities_are_the_sentence_chrf_of_sacrebleu():
  scorer = sacrebleu.CHRF()
  expected = [
    [scorer.sentence_score(a, [b]).score / 100 for b in TEXTS] for a in TEXTS
  ]
  np.testing.assert_allclose(
    minimum_risk.chrf_of_pairs(TEXTS), expected, atol=1e-9
  )


@pytest.mark.parametrize(
  "candidates, best",
  [
    (["IX"], 0),
    (["SONNE SUED", "REGEN NORD", "REGEN NORD STARK", "REGEN STARK"], 2),
    (["REGEN", "SONNE", "SONNE"], 1),  # what occurs twice counts twice
    (["A", "B"], 0),  # the first of equals
  ],
)
def test_the_one_most_like_the_others_is_taken(candidates, best):
  assert minimum_risk.choose(candidates) == best
