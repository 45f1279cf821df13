"""Scores as Markdown tables, for the terminal and for files."""

import math
from collections.abc import Mapping, Sequence

from signllm_jax.evaluation.metrics.metric import Metric
from signllm_jax.evaluation.report import bootstrap, published
from signllm_jax.evaluation.report.report import (
  FEW,
  ROW_NAMES,
  Report,
  Rows,
  with_shares,
)

_COLUMNS = (
  ("dtw_mje", "DTW-MJE", "{:.4f}"),
  ("share_of_floor", "of mean pose", "{:.1%}"),
  ("motion_share", "motion", "{:.3f}"),
  ("length_ratio", "length", "{:.3f}"),
  ("bone_length_error", "bone error", "{:.3f}"),
)


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
