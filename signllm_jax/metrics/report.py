"""The report of an evaluation: rows of metrics, as tables and as JSON."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from signllm_jax import clips
from signllm_jax.metrics import bootstrap, published
from signllm_jax.metrics.metric import Metric

Rows = Mapping[str, Mapping[str, float]]

_COLUMNS = (
  ("dtw_mje", "DTW-MJE", "{:.4f}"),
  ("share_of_floor", "of mean pose", "{:.1%}"),
  ("motion_share", "motion", "{:.3f}"),
  ("length_ratio", "length", "{:.3f}"),
  ("bone_length_error", "bone error", "{:.3f}"),
)
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


def table(rows: Rows, title: str) -> str:
  """The table of an evaluation in training."""
  cells = [["", *(head for _, head, _ in _COLUMNS)]]
  for name, row in with_shares(rows).items():
    cells.append(
      [name.replace("_", " "), *(f.format(row[key]) for key, _, f in _COLUMNS)]
    )
  return f"{title}\n\n{markdown(cells)}"


def scores(
  rows: Rows,
  metrics: Sequence[Metric],
  names: Mapping[str, str],
  title: str,
) -> str:
  """The table of other metrics in training; a row may lack some."""
  cells = [["", *(m.head for m in metrics)]]
  for name, row in rows.items():
    found = [
      m.style.format(row[m.key]) if m.key in row else "–" for m in metrics
    ]
    cells.append([names[name], *found])
  return f"{title}\n\n{markdown(cells)}"


def markdown(cells: Sequence[Sequence[str]]) -> str:
  """A table for the terminal, which is Markdown as well; a head comes first."""
  widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
  lines = [
    "| " + " | ".join(c.rjust(w) for c, w in zip(line, widths, strict=True))
    for line in cells
  ]
  rule = "|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|"
  return "\n".join([lines[0] + " |", rule] + [x + " |" for x in lines[1:]])


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


def show(metric: Metric, score: bootstrap.Interval) -> str:
  """A score with its interval; a dash where it is undefined."""
  if math.isnan(score.value):
    return "–"
  said, low, high = (metric.style.format(number) for number in score)
  if math.isnan(score.low) or said == low == high:
    return said
  return f"{said} [{low}, {high}]"


def cells(report: Report, metrics: Sequence[Metric]) -> list[list[str]]:
  """The table of some columns, its head first."""
  leaky = ["leaky"] if report.leaky else []
  lines = [["", *(["protocol"] if leaky else []), *(m.head for m in metrics)]]
  for name, row in report.scores.items():
    scores = [show(m, row[m.key]) for m in metrics]
    lines.append([ROW_NAMES[name], *leaky, *scores])
  return lines


def published_cells() -> list[list[str]]:
  """The published figures as a table, its head first."""
  return [list(published.HEADS), *(list(f) for f in published.FIGURES)]


def notes(report: Report) -> list[str]:
  """What must be known to read the table."""
  n, facts = len(report.true), report.facts
  said = [
    f"In brackets: {bootstrap.LEVEL:.0%} intervals of a percentile bootstrap "
    f"over the {n} sequences ({facts['bootstrap']['resamples']} resamples, "
    f"seed {facts['bootstrap']['seed']}). " + str(facts["seeds"]),
    "Motion, jerk and length are produced over true: the truth has 1. All "
    "other columns of poses are errors: lower is better, the truth has 0, but "
    "for its bones, where it has the wavering of its own. Fréchet compares all "
    "frames of a row with all true frames and does not see which text they "
    "belong to: another clip scores as well as the truth.",
  ]
  if report.texts:
    reader = facts["back_translation"]
    said.append(
      f"Back-translation: {reader['name']} (step "
      f"{reader['checkpoint']['step']} of {reader['workdir']}) read the clips "
      "of every row; the last columns compare that with the text. The truth's "
      "row is the ceiling: what is wrong there is the reader's own error."
    )
  if n < FEW:
    said.append(
      f"Only {n} sequences: intervals over so few are too narrow to trust."
    )
  if report.leaky:
    said.append(
      "Leaky: the true first frame, the true counters and the true length "
      "drove what was produced (the published inference of Progressive "
      "Transformers). Never compare it with a free-running number."
    )
  return said


def title(report: Report) -> str:
  """One line: what was evaluated."""
  facts = report.facts
  how = "leaky protocol of PT" if report.leaky else "free running"
  return (
    f"{facts['name']}, step {facts['checkpoint']['step']}: "
    f"{len(report.true)} sequences of {facts['split']}, {how}"
  )


def to_markdown(report: Report) -> str:
  """The report as a Markdown file."""
  return "\n\n".join(
    [
      f"# {title(report)}",
      markdown(cells(report, report.metrics)),
      *notes(report),
      f"## Published figures: {published.CAUTION}",
      markdown(published_cells()),
      "## Signatures",
      "\n".join(f"- `{line}`" for line in report.signatures()),
      "",
    ]
  )


def to_terminal(report: Report, columns: int = 4) -> str:
  """The same table in pieces of so many columns, the published one below."""
  parts = [title(report)]
  for start in range(0, len(report.metrics), columns):
    parts.append(markdown(cells(report, report.metrics[start:][:columns])))
  return "\n\n".join(
    [
      *parts,
      *notes(report),
      f"Published figures: {published.CAUTION}",
      markdown(published_cells()),
    ]
  )


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
