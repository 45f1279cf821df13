"""Scores of texts: exact matches, BLEU-1..4, chrF, ROUGE-L, error rates.

For back-translation and for text to gloss. Spaces separate the tokens; nothing
else is tokenised, lower-cased or smoothed. All in per cent.
"""

from collections.abc import Callable, Sequence

import jiwer
import numpy as np
import sacrebleu
from sacrebleu.metrics import helpers

from signllm_jax.core import errors
from signllm_jax.evaluation.metrics import metric

_ORDERS = 4  # of BLEU
_CHRF_ORDER = 6  # longest n-gram of chrF
ROUGE_BETA = 1.2


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
  if len(hypotheses) != len(references) or not references:
    raise errors.UsageError(
      f"{len(hypotheses)} hypotheses for {len(references)} references",
      expected="as many of each, and at least one",
    )


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> list[float]:
  """Corpus BLEU-1 to BLEU-4 by sacreBLEU (Post 2018), cumulative."""
  _check(hypotheses, references)
  return [
    _bleu(order).corpus_score(list(hypotheses), [list(references)]).score
    for order in range(1, _ORDERS + 1)
  ]


def _bleu(order: int, effective: bool = False) -> sacrebleu.BLEU:
  # force: no warning that the texts look tokenised, which they are.
  return sacrebleu.BLEU(
    tokenize="none",
    smooth_method="none",
    max_ngram_order=order,
    effective_order=effective,
    force=True,
  )


def bleu_counts(
  hypotheses: Sequence[str], references: Sequence[str]
) -> np.ndarray:
  """Counts of BLEU, a row a sentence: [n, 10].

  N-gram matches and totals of orders 1 to 4, then both lengths.
  """
  _check(hypotheses, references)
  scorer = _bleu(_ORDERS, effective=True)
  rows = []
  for hypothesis, reference in zip(hypotheses, references, strict=True):
    score = scorer.sentence_score(hypothesis, [reference])
    rows.append([*score.counts, *score.totals, score.sys_len, score.ref_len])
  return np.array(rows, np.float64)


def bleu_of_counts(sums: np.ndarray, order: int) -> np.ndarray:
  """BLEU from summed `bleu_counts`: [..., 10] -> [...]; 0 without a match."""
  matches, totals = sums[..., :order], sums[..., _ORDERS : _ORDERS + order]
  length, reference_length = sums[..., -2], sums[..., -1]
  precision = matches / np.maximum(totals, 1)
  mean = np.exp(np.log(np.maximum(precision, 1e-300)).mean(-1))
  brevity = np.exp(np.minimum(1 - reference_length / np.maximum(length, 1), 0))
  return 100 * np.where((matches > 0).all(-1), brevity * mean, 0)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> float:
  """Corpus chrF2 by sacreBLEU (Popovic 2015): character 6-grams, no words."""
  _check(hypotheses, references)
  return (
    sacrebleu.CHRF().corpus_score(list(hypotheses), [list(references)]).score
  )


def chrf_counts(
  hypotheses: Sequence[str], references: Sequence[str]
) -> np.ndarray:
  """Counts of chrF, a row a sentence: [n, 18].

  N-grams of orders 1 to 6: the hypothesis', the reference's, the matches.
  """
  _check(hypotheses, references)

  def grams(line: str) -> list:
    return helpers.extract_all_char_ngrams(line, _CHRF_ORDER, False)

  rows = []
  for hypothesis, reference in zip(hypotheses, references, strict=True):
    a, b = grams(hypothesis), grams(reference)
    common = [x & y for x, y in zip(a, b, strict=True)]
    # As in sacreBLEU, an order that the reference lacks does not count.
    rows.append(
      [
        [sum(x.values()) if y else 0 for x, y in zip(a, b, strict=True)],
        [sum(x.values()) for x in b],
        [sum(x.values()) for x in common],
      ]
    )
  return np.array(rows, np.float64).reshape(len(rows), -1)


def chrf_of_counts(sums: np.ndarray) -> np.ndarray:
  """F2 from summed `chrf_counts`: [..., 18] -> [...].

  Precision and recall are means over the orders that both sides have.
  """
  hypothesis, reference, common = np.split(sums, 3, -1)
  used = (hypothesis > 0) & (reference > 0)
  orders = np.maximum(used.sum(-1), 1)
  precision = (
    np.where(used, common / np.maximum(hypothesis, 1), 0).sum(-1) / orders
  )
  recall = np.where(used, common / np.maximum(reference, 1), 0).sum(-1) / orders
  below = 4 * precision + recall
  return 100 * 5 * precision * recall / np.where(below > 0, below, 1)


def rouge_l(hypotheses: Sequence[str], references: Sequence[str]) -> np.ndarray:
  """Sentence ROUGE-L F with beta 1.2 (Lin 2004), in [0, 1]: [n].

  F = (1 + b^2) P R / (R + b^2 P) of the longest common subsequence of words.
  """
  _check(hypotheses, references)
  scores = []
  for hypothesis, reference in zip(hypotheses, references, strict=True):
    a, b = hypothesis.split(), reference.split()
    common = _common(a, b)
    if not common:
      scores.append(0.0)
      continue
    precision, recall = common / len(a), common / len(b)
    square = ROUGE_BETA**2
    scores.append(
      (1 + square) * precision * recall / (recall + square * precision)
    )
  return np.array(scores)


def _common(a: Sequence[str], b: Sequence[str]) -> int:
  """Length of the longest common subsequence."""
  row = [0] * (len(b) + 1)
  for x in a:
    diagonal = 0
    for j, y in enumerate(b, 1):
      above = row[j]
      row[j] = diagonal + 1 if x == y else max(above, row[j - 1])
      diagonal = above
  return row[-1]


def word_errors(
  hypotheses: Sequence[str], references: Sequence[str]
) -> np.ndarray:
  """Number of edits and of words of the reference, by jiwer: [n, 2]."""
  return _edits(hypotheses, references, jiwer.process_words)


def letter_errors(
  hypotheses: Sequence[str], references: Sequence[str]
) -> np.ndarray:
  """Number of edits and of characters, with spaces, by jiwer: [n, 2]."""
  return _edits(hypotheses, references, jiwer.process_characters)


def _edits(
  hypotheses: Sequence[str], references: Sequence[str], process: Callable
) -> np.ndarray:
  _check(hypotheses, references)
  rows = []
  for hypothesis, reference in zip(hypotheses, references, strict=True):
    edits = process(reference, hypothesis)
    missed = edits.substitutions + edits.deletions
    rows.append((missed + edits.insertions, missed + edits.hits))
  return np.array(rows, np.float64)


def exact_matches(
  hypotheses: Sequence[str], references: Sequence[str]
) -> np.ndarray:
  """Whether each hypothesis has the words of its reference: [n] 0 or 1."""
  _check(hypotheses, references)
  return np.array(
    [
      a.split() == b.split()
      for a, b in zip(hypotheses, references, strict=True)
    ],
    np.float64,
  )


def _percent(sums: np.ndarray) -> np.ndarray:
  return 100 * metric.ratio(sums)


def _bleu_metric(order: int) -> metric.Metric:
  return metric.Metric(
    f"bleu_{order}",
    f"BLEU-{order}",
    "higher",
    "sacreBLEU, corpus, nrefs:1|case:mixed|tok:none|smooth:none",
    bleu_counts,
    lambda sums: bleu_of_counts(sums, order),
    "{:.2f}",
  )


TEXT: tuple[metric.Metric, ...] = (
  metric.Metric(
    "recognised",
    "recognised",
    "higher",
    "texts that equal their reference, word for word",
    lambda produced, true: metric.counted(exact_matches(produced, true)),
    _percent,
    "{:.1f}",
  ),
  *(_bleu_metric(order) for order in range(1, _ORDERS + 1)),
  metric.Metric(
    "chrf",
    "chrF",
    "higher",
    "sacreBLEU, corpus, nrefs:1|case:mixed|nc:6|nw:0|space:no",
    chrf_counts,
    chrf_of_counts,
    "{:.2f}",
  ),
  metric.Metric(
    "rouge_l",
    "ROUGE-L",
    "higher",
    "F of the longest common subsequence of words, beta 1.2, mean of sentences",
    lambda produced, true: metric.counted(rouge_l(produced, true)),
    _percent,
    "{:.2f}",
  ),
  metric.Metric(
    "wer",
    "WER",
    "lower",
    "word edits over words of the references, by jiwer",
    word_errors,
    _percent,
    "{:.2f}",
  ),
  metric.Metric(
    "letter_error_rate",
    "letter errors",
    "lower",
    "character edits over characters of the references, by jiwer",
    letter_errors,
    _percent,
    "{:.2f}",
  ),
)
