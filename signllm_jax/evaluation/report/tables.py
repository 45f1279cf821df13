"""Scores as Markdown tables, for the terminal and for files."""

import math
from collections.abc import Mapping, Sequence

from signllm_jax.evaluation.metrics.metric import Metric
from signllm_jax.evaluation.report import bootstrap, published
from signllm_jax.evaluation.report.findings import HEADS
from signllm_jax.evaluation.report.report import (
  FEW_SEQUENCES,
  ROW_NAMES,
  Report,
  with_shares,
)
from signllm_jax.tasks.task import ScoreTable

_COLUMNS = (
  ("dtw_mje", "DTW-MJE", "{:.4f}"),
  ("share_of_floor", "of mean pose", "{:.1%}"),
  ("motion_share", "motion", "{:.3f}"),
  ("length_ratio", "length", "{:.3f}"),
  ("bone_length_error", "bone error", "{:.3f}"),
)


def training_table(rows: ScoreTable, title: str) -> str:
  """Formats the scores of poses during training."""
  shared = with_shares(rows)
  columns = [
    column
    for column in _COLUMNS
    if all(column[0] in row for row in shared.values())
  ]
  cells = [["", *(head for _, head, _ in columns)]]
  for name, row in shared.items():
    cells.append(
      [name.replace("_", " "), *(f.format(row[key]) for key, _, f in columns)]
    )
  return f"{title}\n\n{markdown(cells)}"


def metric_table(
  rows: ScoreTable,
  metrics: Sequence[Metric],
  names: Mapping[str, str],
  title: str,
) -> str:
  """Formats other scores during training; a row may lack some."""
  cells = [["", *(m.head for m in metrics)]]
  for name, row in rows.items():
    scores = [
      m.style.format(row[m.key]) if m.key in row else "–" for m in metrics
    ]
    cells.append([names[name], *scores])
  return f"{title}\n\n{markdown(cells)}"


def markdown(cells: Sequence[Sequence[str]]) -> str:
  """Formats a Markdown table with aligned columns; the head comes first."""
  widths = [max(len(line[i]) for line in cells) for i in range(len(cells[0]))]
  lines = [
    "| " + " | ".join(c.rjust(w) for c, w in zip(line, widths, strict=True))
    for line in cells
  ]
  rule = "|" + "|".join("-" * (w + 1) + ":" for w in widths) + "|"
  return "\n".join([lines[0] + " |", rule] + [x + " |" for x in lines[1:]])


def format_score(metric: Metric, score: bootstrap.Interval) -> str:
  """Formats a score with its interval; a dash where it is undefined."""
  if math.isnan(score.value):
    return "–"
  value, low, high = (metric.style.format(number) for number in score)
  if math.isnan(score.low) or value == low == high:
    return value
  return f"{value} [{low}, {high}]"


def cells(report: Report, metrics: Sequence[Metric]) -> list[list[str]]:
  """Rows of the table of some columns, the head first."""
  leaky = ["leaky"] if report.leaky else []
  lines = [["", *(["protocol"] if leaky else []), *(m.head for m in metrics)]]
  for name, row in report.scores.items():
    scores = [format_score(m, row[m.key]) for m in metrics]
    lines.append([ROW_NAMES[name], *leaky, *scores])
  return lines


def published_cells() -> list[list[str]]:
  """Rows of the table of published figures, the head first."""
  return [list(published.HEADS), *(list(f) for f in published.FIGURES)]


def notes(report: Report) -> list[str]:
  """Remarks for reading the table."""
  n, facts = len(report.true), report.facts
  remarks = [
    f"In brackets: {bootstrap.LEVEL:.0%} intervals of a percentile bootstrap "
    f"over the {n} sequences ({facts['bootstrap']['resamples']} resamples, "
    f"seed {facts['bootstrap']['seed']}). " + str(facts["seeds"]),
    _directions(report)
    + "Fréchet compares all frames of a row with all true frames, whatever "
    "text they belong to: another clip scores as well as the truth.",
  ]
  remarks += report.notes
  if "same_text" in report.rows:
    remarks.append(_same_text(report))
  if report.texts:
    reader = facts["back_translation"]
    remarks.append(
      f"Back-translation: {reader['name']} (step "
      f"{reader['checkpoint']['step']} of {reader['workdir']}) read the clips "
      "of every row; the last columns compare the translations with the "
      "texts. The row of the truth is the upper bound; its errors are the "
      "reader's."
    )
  if n < FEW_SEQUENCES:
    remarks.append(
      f"Only {n} sequences: the intervals of so few are too narrow."
    )
  if report.leaky:
    remarks.append(
      "Leaky: the model was given the true first frame, the true counters and "
      "the true length (the published inference of Progressive Transformers). "
      "Not comparable with free-running scores."
    )
  return remarks


def _directions(report: Report) -> str:
  """Which values are good, by column."""

  def heads(better: str) -> str:
    return ", ".join(m.head for m in report.metrics if m.better == better)

  said = (
    f"Ratios of produced to true, in which the truth has 1: {heads('one')}. "
  )
  if higher := heads("higher"):
    said += f"Higher is better: {higher}. "
  return (
    f"{said}In all other columns lower is better; of those of poses the truth "
    "has 0, except in bone error, where its own bone lengths vary. "
  )


def _same_text(report: Report) -> str:
  """Produced clips against another real recording of each text."""
  made, other = (
    report.scores[row]["frechet"].value for row in ("produced", "same_text")
  )
  times = f"{made / other:.2f} times" if other else "not a multiple of"
  return (
    "Another recording of the text is a real clip, drawn at random "
    f"{1 + len(report.draws.get('same_text', ()))} times; scores are "
    "means. A model that signs as people do scores as it does, in errors as "
    "well. The mean of the text's recordings is what a regression tends to. "
    f"The Fréchet distance of the produced clips is {times} that of another "
    "recording."
  )


def title(report: Report) -> str:
  """Title of the report, one line."""
  facts = report.facts
  if facts["protocol"] == "files":
    return (
      f"{facts['name']}: {len(report.true)} sequences of {facts['split']}, "
      "produced elsewhere"
    )
  how = "leaky protocol of PT" if report.leaky else "free running"
  return (
    f"{facts['name']}, step {facts['checkpoint']['step']}: "
    f"{len(report.true)} sequences of {facts['split']}, {how}"
  )


def audit_cells(report: Report) -> list[list[str]]:
  """Rows of the table of the audit, the head first; empty without one."""
  if not report.audit:
    return []
  return [
    ["question", "verdict", "evidence"],
    *([HEADS[f.key], f.verdict, f.named] for f in report.audit),
  ]


def _audit(report: Report) -> str:
  """The audit as a list."""
  return "\n".join(
    f"- {HEADS[f.key]}: {f.verdict}. {f.named}" for f in report.audit
  )


def to_markdown(report: Report) -> str:
  """Formats the report as Markdown."""
  return "\n\n".join(
    [
      f"# {title(report)}",
      markdown(cells(report, report.metrics)),
      *notes(report),
      *(["## Audit", _audit(report)] if report.audit else []),
      f"## Published figures: {published.CAUTION}",
      markdown(published_cells()),
      "## Signatures",
      "\n".join(f"- `{line}`" for line in report.signatures()),
      "",
    ]
  )


def to_terminal(report: Report, columns: int = 4) -> str:
  """Formats the report for the terminal, so many columns at a time."""
  parts = [title(report)]
  for start in range(0, len(report.metrics), columns):
    parts.append(markdown(cells(report, report.metrics[start:][:columns])))
  return "\n\n".join(
    [
      *parts,
      *notes(report),
      *(["Audit", _audit(report)] if report.audit else []),
      f"Published figures: {published.CAUTION}",
      markdown(published_cells()),
    ]
  )
