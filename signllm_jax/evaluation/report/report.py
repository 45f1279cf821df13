"""The report of an evaluation: rows of clips and their scores, and as JSON."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation.metrics.metric import Metric
from signllm_jax.evaluation.report import bootstrap, published

Rows = Mapping[str, Mapping[str, float]]

ROW_NAMES = {
  "produced": "produced",
  "truth": "truth (ceiling)",
  "mean_pose": "mean pose (floor)",
  "frozen": "frozen frame (floor)",
  "other_clip": "another clip (floor)",
  "nearest_train": "nearest training text",
}
FEW = 20  # sequences; below it a percentile interval is too narrow


def with_shares(rows: Rows) -> dict[str, dict[str, float]]:
  """Adds each row's DTW-MJE as a share of the mean pose's."""
  floor = rows["mean_pose"]["dtw_mje"]
  return {
    name: {**row, "share_of_floor": row["dtw_mje"] / floor}
    for name, row in rows.items()
  }


@dataclasses.dataclass(frozen=True)
class Report:
  """Rows of clips, scored against the truth with intervals.

  Attributes:
    facts: what was evaluated and how: split, protocol, checkpoint, ...
    metrics: the columns.
    true: the truth.
    rows: row name -> its clips.
    sums: row name -> metric key -> [n, k] sums a sequence.
    scores: row name -> metric key -> score with interval.
    texts: row name -> what was read of its clips, of `extend`.
  """

  facts: Mapping[str, Any]
  metrics: tuple[Metric, ...]
  true: Sequence[clips.Clip]
  rows: Mapping[str, Sequence[clips.Clip]]
  sums: Mapping[str, Mapping[str, np.ndarray]]
  scores: Mapping[str, Mapping[str, bootstrap.Interval]]
  texts: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)

  @property
  def leaky(self) -> bool:
    """Whether the truth drove what was produced (section 7)."""
    return self.facts["protocol"] == "pt"

  def signatures(self) -> list[str]:
    """Of each metric; numbers may be compared where these are equal."""
    name = "pt (leaky)" if self.leaky else str(self.facts["protocol"])
    return [m.signature(name, len(self.true)) for m in self.metrics]

  def each(self, row: str, key: str) -> np.ndarray:
    """The score of each sequence of a row by itself: [n]."""
    metric = next(m for m in self.metrics if m.key == key)
    return np.asarray(metric.finish(self.sums[row][key]))


def build(
  facts: Mapping[str, Any],
  metrics: Sequence[Metric],
  true: Sequence[clips.Clip],
  rows: Mapping[str, Sequence[clips.Clip]],
  weights: np.ndarray,
) -> Report:
  """Scores every row; `weights` are of `bootstrap.resample`."""
  sums, scores = _scored(metrics, rows, true, weights)
  return Report(facts, tuple(metrics), true, rows, sums, scores)


def extend(
  report: Report,
  facts: Mapping[str, Any],
  metrics: Sequence[Metric],
  texts: Mapping[str, Sequence[str]],
  true: Sequence[str],
  weights: np.ndarray,
) -> Report:
  """Adds the columns of a back-translation.

  Args:
    report: of poses.
    facts: of the reader; they go into the report as `back_translation`.
    metrics: of texts.
    texts: row name -> what was read of each of its clips.
    true: the text of each.
    weights: as of `build`.
  """
  sums, scores = _scored(metrics, texts, true, weights)
  return dataclasses.replace(
    report,
    facts={**report.facts, "back_translation": facts},
    metrics=(*report.metrics, *metrics),
    sums={name: {**row, **sums[name]} for name, row in report.sums.items()},
    scores={
      name: {**row, **scores[name]} for name, row in report.scores.items()
    },
    texts=texts,
  )


def _scored(
  metrics: Sequence[Metric],
  rows: Mapping[str, Sequence[Any]],
  true: Sequence[Any],
  weights: np.ndarray,
) -> tuple[
  dict[str, dict[str, np.ndarray]], dict[str, dict[str, bootstrap.Interval]]
]:
  """Sums and scores of every row and metric."""
  sums = {
    name: {m.key: m.sums(made, true) for m in metrics}
    for name, made in rows.items()
  }
  scores = {
    name: {
      m.key: bootstrap.interval(m, sums[name][m.key], weights) for m in metrics
    }
    for name in rows
  }
  return sums, scores


def to_json(report: Report) -> dict[str, Any]:
  """The report as plain values; undefined numbers are None."""
  each = {m.key: report.each("produced", m.key) for m in report.metrics}
  texts = {
    row: report.texts[row] for row in ("produced", "truth") if report.texts
  }
  return {
    **report.facts,
    "sequences": len(report.true),
    "leaky": report.leaky,
    "metrics": [
      {"key": m.key, "name": m.head, "better": m.better, "signature": signature}
      for m, signature in zip(report.metrics, report.signatures(), strict=True)
    ],
    "rows": _each_score(report, lambda s: _plain(s.value)),
    "intervals": _each_score(report, lambda s: [_plain(s.low), _plain(s.high)]),
    "produced": [
      {
        "name": true.name,
        "text": true.text,
        "frames": len(made),
        "true_frames": len(true),
        "nearest_training_text": near.text,
        **{f"read_of_{row}": read[i] for row, read in texts.items()},
        **{key: _plain(values[i]) for key, values in each.items()},
      }
      for i, (made, true, near) in enumerate(
        zip(
          report.rows["produced"],
          report.true,
          report.rows["nearest_train"],
          strict=True,
        )
      )
    ],
    "published": {
      "caution": published.CAUTION,
      "figures": [f._asdict() for f in published.FIGURES],
    },
  }


def _each_score(report: Report, value) -> dict[str, dict[str, Any]]:
  return {
    name: {key: value(score) for key, score in row.items()}
    for name, row in report.scores.items()
  }


def _plain(value: float) -> float | None:
  return float(value) if math.isfinite(value) else None
