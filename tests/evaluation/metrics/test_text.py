"""Text scores against the field's published scripts."""

import json

import numpy as np
import pytest
import sacrebleu
from helpers.paths import DATA

from signllm_jax.core import errors
from signllm_jax.evaluation.metrics import text
from signllm_jax.evaluation.report import bootstrap

GOLDEN = DATA / "golden/text_metrics.json"
METRICS = {m.key: m for m in text.TEXT}

needs_data = pytest.mark.skipif(
  not GOLDEN.exists(), reason="../shared/data is not there"
)


@pytest.fixture(scope="module")
def golden():
  return json.loads(GOLDEN.read_text())


@needs_data
def test_published_scores(golden):
  made, true = golden["hypotheses"], golden["references"]
  np.testing.assert_allclose(text.bleu(made, true), golden["bleu"], atol=1e-6)
  np.testing.assert_allclose(
    text.rouge_l(made, true), golden["rouge_l_per_sentence"], atol=1e-9
  )
  found = {key: m.score(made, true) for key, m in METRICS.items()}
  for order in range(4):
    assert found[f"bleu_{order + 1}"] == pytest.approx(
      golden["bleu"][order], abs=1e-6
    )
  assert found["rouge_l"] == pytest.approx(golden["rouge_l"], abs=1e-6)
  assert found["wer"] == pytest.approx(golden["wer"], abs=1e-6)
  assert found["chrf"] == pytest.approx(text.chrf(made, true), abs=1e-6)


@needs_data
def test_scores_of_resamples_equal_scores_of_the_drawn_sentences(golden):
  made, true = golden["hypotheses"][:20], golden["references"][:20]
  weights = bootstrap.resample(20, 3)
  drawn = weights[1].astype(int)
  a, b = (list(np.repeat(np.array(x, object), drawn)) for x in (made, true))
  expected = {"bleu_4": text.bleu(a, b)[3], "chrf": text.chrf(a, b)}
  for key, value in expected.items():
    one = METRICS[key]
    found = bootstrap.scores(one, one.sums(made, true), weights)
    assert found[1] == pytest.approx(value, abs=1e-6)


MADE = ["", "der regen", "x", "ab", "a b c d e"]
TRUE = ["wind im norden", "der regen", "sonne am tag", "abc d", "a b c d e"]


@pytest.mark.parametrize("n", range(1, 6))
def test_short_and_empty_hypotheses_equal_sacrebleu(n):
  made, true = MADE[:n], TRUE[:n]
  assert METRICS["chrf"].score(made, true) == pytest.approx(
    sacrebleu.corpus_chrf(made, [true]).score
  )
  for order in (1, 4):
    expected = text.bleu(made, true)[order - 1]
    found = METRICS[f"bleu_{order}"].score(made, true)
    assert found == pytest.approx(expected, abs=1e-9)


def test_error_rates_by_hand():
  wer, letters = METRICS["wer"], METRICS["letter_error_rate"]
  assert wer.score(["a b d"], ["a b c"]) == pytest.approx(100 / 3)
  assert wer.score(["", "a"], ["a b", "a"]) == pytest.approx(200 / 3)
  assert wer.score(["a x y"], ["a"]) == 200
  assert letters.score(["abd", "e"], ["abc", "ef"]) == pytest.approx(40)
  assert letters.score(["ab"], ["a b"]) == pytest.approx(100 / 3)


def test_perfect_and_worst_scores():
  true = ["a b c d e", "f g h i"]
  for one in text.TEXT:
    best = 100 if one.better == "higher" else 0
    assert one.score(true, true) == pytest.approx(best)
    assert one.score(["x", "y"], true) == pytest.approx(100 - best)


def test_case_and_punctuation_count():
  assert METRICS["bleu_1"].score(["A b"], ["a b"]) == pytest.approx(50)
  assert METRICS["wer"].score(["a b."], ["a b"]) == pytest.approx(50)


def test_numbers_of_texts_must_be_equal():
  for made, true in ((["a"], []), ([], []), (["a", "b"], ["a"])):
    with pytest.raises(errors.UsageError, match="as many"):
      text.bleu(made, true)
