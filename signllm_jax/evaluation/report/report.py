"""The report of an evaluation: rows of clips and their scores."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation.metrics.metric import Metric
from signllm_jax.evaluation.report import bootstrap, published
from signllm_jax.evaluation.report.findings import Finding
from signllm_jax.tasks.task import ScoreTable

ROW_NAMES = {
  "produced": "produced",
  "over_seeds": "produced, between seeds",
  "truth": "truth (upper bound)",
  "same_text": "another recording of the text",
  "text_mean": "mean of the text's recordings",
  "mean_pose": "mean pose (baseline)",
  "frozen": "frozen frame (baseline)",
  "other_clip": "another clip (baseline)",
  "nearest_train": "nearest training text",
}
FEW_SEQUENCES = 20  # with fewer, a percentile interval is too narrow


def with_shares(rows: ScoreTable) -> dict[str, dict[str, float]]:
  """Adds each row's DTW-MJE as a share of the mean pose's."""
  baseline = rows["mean_pose"]["dtw_mje"]
  return {
    name: {**row, "share_of_floor": row["dtw_mje"] / baseline}
    for name, row in rows.items()
  }


@dataclasses.dataclass(frozen=True)
class Report:
  """Rows of clips, scored against the truth with intervals.

  Attributes:
    facts: the evaluation's settings: split, protocol, checkpoint, ...
    metrics: the columns.
    true: the true clips.
    rows: row name -> its clips.
    sums: row name -> metric key -> [draws, n, k] sums a sequence.
    scores: row name -> metric key -> score with interval.
    draws: row name -> further draws of the row, where it is drawn at random:
      a score is the mean of the draws' scores.
    texts: row name -> back-translations of its clips, of `extend`.
    notes: remarks about the data.
    audit: whether truth was given or poses were copied, of `audit.add`.
  """

  facts: Mapping[str, Any]
  metrics: tuple[Metric, ...]
  true: Sequence[clips.Clip]
  rows: Mapping[str, Sequence[clips.Clip]]
  sums: Mapping[str, Mapping[str, np.ndarray]]
  scores: Mapping[str, Mapping[str, bootstrap.Interval]]
  draws: Mapping[str, Sequence[Sequence[clips.Clip]]] = dataclasses.field(
    default_factory=dict
  )
  texts: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
  notes: Sequence[str] = ()
  audit: Sequence[Finding] = ()

  @property
  def leaky(self) -> bool:
    """Whether true frames were given to the model (section 7)."""
    return self.facts["protocol"] == "pt"

  def signatures(self) -> list[str]:
    """Signatures of the metrics; scores are comparable where they are equal."""
    name = "pt (leaky)" if self.leaky else str(self.facts["protocol"])
    return [m.signature(name, len(self.true)) for m in self.metrics]

  def per_sequence(self, row: str, key: str) -> np.ndarray:
    """Scores of the single sequences of a row, means over draws: [n]."""
    metric = next(m for m in self.metrics if m.key == key)
    return np.asarray(metric.finish(self.sums[row][key])).mean(0)


def build(
  facts: Mapping[str, Any],
  metrics: Sequence[Metric],
  true: Sequence[clips.Clip],
  rows: Mapping[str, Sequence[clips.Clip]],
  weights: np.ndarray,
  draws: Mapping[str, Sequence[Sequence[clips.Clip]]] | None = None,
) -> Report:
  """Scores every row.

  Args:
    facts: of `Report`, as are the arguments up to `rows` and `draws`.
    metrics: the columns.
    true: the true clips.
    rows: row name -> its clips.
    weights: of `bootstrap.resample`.
    draws: further draws of rows.
  """
  draws = draws or {}
  all_draws = _with_draws(rows, draws)
  sums, scores = _score_rows(metrics, all_draws, true, weights)
  return Report(facts, tuple(metrics), true, rows, sums, scores, draws)


def _with_draws(rows: Mapping, draws: Mapping) -> dict[str, list]:
  return {name: [row, *draws.get(name, ())] for name, row in rows.items()}


def extend(
  report: Report,
  facts: Mapping[str, Any],
  metrics: Sequence[Metric],
  texts: Mapping[str, Sequence[Sequence[str]]],
  true: Sequence[str],
  weights: np.ndarray,
) -> Report:
  """Adds the columns of a back-translation.

  Args:
    report: of poses.
    facts: about the reader; reported as `back_translation`.
    metrics: of texts.
    texts: row name -> of every draw, the back-translation of each clip.
    true: the true texts.
    weights: as for `build`.
  """
  return dataclasses.replace(
    _with_columns(report, metrics, texts, true, weights),
    facts={**report.facts, "back_translation": facts},
    texts={name: drawn[0] for name, drawn in texts.items()},
  )


def extend_poses(
  report: Report, metrics: Sequence[Metric], weights: np.ndarray
) -> Report:
  """Adds further columns of poses; weights as for `build`."""
  rows = _with_draws(report.rows, report.draws)
  return _with_columns(report, metrics, rows, report.true, weights)


def _with_columns(
  report: Report,
  metrics: Sequence[Metric],
  rows: Mapping[str, Sequence[Sequence[Any]]],
  true: Sequence[Any],
  weights: np.ndarray,
) -> Report:
  sums, scores = _score_rows(metrics, rows, true, weights)
  return dataclasses.replace(
    report,
    metrics=(*report.metrics, *metrics),
    sums={name: {**row, **sums[name]} for name, row in report.sums.items()},
    scores={
      name: {**row, **scores[name]} for name, row in report.scores.items()
    },
  )


def _score_rows(
  metrics: Sequence[Metric],
  rows: Mapping[str, Sequence[Sequence[Any]]],
  true: Sequence[Any],
  weights: np.ndarray,
) -> tuple[
  dict[str, dict[str, np.ndarray]], dict[str, dict[str, bootstrap.Interval]]
]:
  """Computes sums and scores of every row, of all its draws, and metric."""
  sums = {
    name: {
      m.key: np.stack([m.sums(drawn, true) for drawn in draws]) for m in metrics
    }
    for name, draws in rows.items()
  }
  scores = {
    name: {
      m.key: bootstrap.interval(m, sums[name][m.key], weights) for m in metrics
    }
    for name in rows
  }
  if len(rows.get("produced", ())) > 1:
    seeds = {
      m.key: bootstrap.over_seeds(
        np.asarray(m.finish(sums["produced"][m.key].sum(1))).tolist()
      )
      for m in metrics
    }
    scores = {"produced": scores["produced"], "over_seeds": seeds, **scores}
  return sums, scores


def to_json(report: Report) -> dict[str, Any]:
  """Returns the report as plain values; undefined numbers are None."""
  columns = {
    m.key: report.per_sequence("produced", m.key) for m in report.metrics
  }
  texts = {
    row: report.texts[row] for row in ("produced", "truth") if report.texts
  }
  nearest = report.rows.get("nearest_train")
  return {
    **report.facts,
    "sequences": len(report.true),
    "leaky": report.leaky,
    "metrics": [
      {"key": m.key, "name": m.head, "better": m.better, "signature": signature}
      for m, signature in zip(report.metrics, report.signatures(), strict=True)
    ],
    "rows": _map_scores(report, lambda s: _plain(s.value)),
    "intervals": _map_scores(report, lambda s: [_plain(s.low), _plain(s.high)]),
    "notes": list(report.notes),
    "audit": [finding._asdict() for finding in report.audit],
    "produced": [
      {
        "name": true.name,
        "text": true.text,
        "frames": len(produced),
        "true_frames": len(true),
        **({"nearest_training_text": nearest[i].text} if nearest else {}),
        **{f"read_of_{row}": read[i] for row, read in texts.items()},
        **{key: _plain(values[i]) for key, values in columns.items()},
      }
      for i, (produced, true) in enumerate(
        zip(report.rows["produced"], report.true, strict=True)
      )
    ],
    "published": {
      "caution": published.CAUTION,
      "figures": [f._asdict() for f in published.FIGURES],
    },
  }


def _map_scores(report: Report, value) -> dict[str, dict[str, Any]]:
  return {
    name: {key: value(score) for key, score in row.items()}
    for name, row in report.scores.items()
  }


def _plain(value: float) -> float | None:
  return float(value) if math.isfinite(value) else None
