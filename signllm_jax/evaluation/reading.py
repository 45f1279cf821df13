"""Evaluation of pose to text during training, and back-translation scores."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from signllm_jax import config
from signllm_jax.core import clips
from signllm_jax.data import datasets
from signllm_jax.evaluation import signing
from signllm_jax.evaluation.metrics import metric
from signllm_jax.evaluation.metrics import text as text_metrics
from signllm_jax.evaluation.report import report, tables
from signllm_jax.inference import pose_reader
from signllm_jax.runs.writers import Writers
from signllm_jax.tasks.task import ScoreTable

_LETTERS = ("recognised", "letter_error_rate", "wer")
_WORDS = (
  "recognised",
  *(f"bleu_{order}" for order in range(1, 5)),
  "chrf",
  "rouge_l",
  "wer",
)
_NAMES = {
  "read": "read",
  "gloss": "gloss, by CTC",
  "other_clip": "another clip (baseline)",
}


def metrics_of(tokens: str) -> tuple[metric.Metric, ...]:
  """The metrics of a model with this kind of token.

  Exact matches, and letter and word error rates for characters, or BLEU, chrF,
  ROUGE-L and word error rate for words.
  """
  keys = _LETTERS if tokens == "characters" else _WORDS
  known = {m.key: m for m in text_metrics.TEXT}
  return tuple(known[key] for key in keys)


def score_key(tokens: str) -> str:
  """Key of the error rate that selects the best checkpoint."""
  return "letter_error_rate" if tokens == "characters" else "wer"


class Evaluation:
  """A split of clips and their texts (`tasks.task.Evaluation`)."""

  how = "read by beam search"

  def __init__(self, split: datasets.Clips, settings: config.Experiment):
    """Reads the split.

    Args:
      split: the clips.
      settings: of the run.

    Raises:
      DataError: the split is empty.
    """
    self.true = signing.read_examples(split, settings)
    self._texts = [datasets.source_text(c, settings.data) for c in self.true]
    self._glosses = (
      [datasets.gloss_text(clip) for clip in self.true]
      if settings.data.glosses
      else None
    )
    self._metrics = metrics_of(settings.data.tokens)
    self._key = score_key(settings.data.tokens)
    self._shown = settings.evaluate.clips

  def run(
    self,
    model: pose_reader.Reader,
    should_stop: Callable[[], bool] = lambda: False,
  ) -> tuple[ScoreTable, list[pose_reader.Translation]] | None:
    """Reads the split and scores it; None if stopped."""
    translations = model.read(self.true, should_stop)
    if translations is None:
      return None
    rows = {"read": self._score([t.text for t in translations])}
    if self._glosses is not None:
      glosses = [t.gloss for t in translations]
      wer = next(m for m in text_metrics.TEXT if m.key == "wer")
      rows["gloss"] = {"wer": wer.score(glosses, self._glosses)}
    # The score of a reader that writes the text of another clip.
    rows["other_clip"] = self._score([*self._texts[1:], self._texts[0]])
    return rows, translations

  def _score(self, texts: Sequence[str]) -> dict[str, float]:
    return {m.key: m.score(texts, self._texts) for m in self._metrics}

  def score(self, rows: ScoreTable) -> float:
    """The score that selects the best checkpoint; lower is better."""
    return rows["read"][self._key]

  def complete(self, rows: ScoreTable) -> ScoreTable:
    """The rows as they are reported."""
    return rows

  def table(self, rows: ScoreTable, title: str) -> str:
    """The table for the terminal."""
    return tables.metric_table(rows, self._metrics, _NAMES, title)

  def show(
    self,
    board: Writers,
    step: int,
    mark: str,
    made: Sequence[pose_reader.Translation],
  ) -> None:
    """Writes texts, read above true."""
    pairs = list(zip(made, self._texts, strict=True))[: self._shown]
    lines = [f"read {read.text}\ntrue {true}" for read, true in pairs]
    board.text(f"{mark}read", "\n\n".join(lines), step)


def add_columns(
  poses: report.Report,
  model: pose_reader.Reader,
  settings: config.Data,
  facts: Mapping[str, Any],
  weights: np.ndarray,
) -> report.Report:
  """Adds the back-translation scores of all rows to a report.

  Args:
    poses: the report.
    model: the reader of pose to text.
    settings: of its data; they say which text of a clip it was trained on.
    facts: name, work directory and checkpoint of the reader. The checkpoint is
      part of every signature: scores of two readers are not comparable.
    weights: of `bootstrap.resample`, those of the report.

  Raises:
    UsageError: the clips have another frame rate than the reader's training.
  """
  texts = {
    name: [_texts(model, drawn) for drawn in (row, *poses.draws.get(name, ()))]
    for name, row in poses.rows.items()
  }
  digest = facts["checkpoint"]["digest"][:12]
  metrics = [
    dataclasses.replace(m, definition=f"{m.definition}, read by {digest}")
    for m in metrics_of(settings.tokens)
  ]
  true = [datasets.source_text(clip, settings) for clip in poses.true]
  return report.extend(poses, facts, metrics, texts, true, weights)


def reader_metrics(
  model: pose_reader.Reader, settings: config.Data, digest: str
) -> list[metric.Metric]:
  """Likelihood of the text, and a distance in the encoder, of single pairs.

  Likelihood follows raters better than the text that is read (Jiang et al., WMT
  2025), and so do distances of pose embeddings.

  Args:
    model: the reader.
    settings: of its data.
    digest: of its checkpoint.
  """

  def likelihoods(produced, true) -> np.ndarray:
    texts = [datasets.source_text(clip, settings) for clip in true]
    return metric.counted(model.likelihoods(produced, texts))

  def apart(produced, true) -> np.ndarray:
    return metric.counted(encoder_distance(model, produced, true))

  likelihood = metric.Metric(
    "likelihood",
    "likelihood",
    "higher",
    "mean log-probability of a token of the text given the clip, </s> "
    f"included, mean over sequences, read by {digest}",
    likelihoods,
    metric.ratio,
    "{:.3f}",
  )
  distance = metric.Metric(
    "encoder_distance",
    "encoder distance",
    "lower",
    "1 - cosine of the mean encoder states of both clips, mean over "
    f"sequences, read by {digest}",
    apart,
    metric.ratio,
    "{:.4f}",
  )
  return [likelihood, distance]


def encoder_distance(
  model: pose_reader.Reader,
  produced: Sequence[clips.Clip],
  true: Sequence[clips.Clip],
) -> np.ndarray:
  """1 - cosine of the mean encoder states of each pair of clips: [n]."""
  a, b = (model.embed(listed).astype(np.float64) for listed in (produced, true))
  norms = np.linalg.norm(a, axis=-1) * np.linalg.norm(b, axis=-1)
  cosine = (a * b).sum(-1) / np.maximum(norms, 1e-12)
  return np.maximum(1 - cosine, 0)


def _texts(
  model: pose_reader.Reader, listed: Sequence[clips.Clip]
) -> list[str]:
  translations = model.read(listed)
  assert translations is not None  # nothing stops it
  return [t.text for t in translations]
