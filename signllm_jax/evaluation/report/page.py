"""The report, and a comparison of two, as HTML pages."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from signllm_jax.evaluation.report import (
  columns,
  comparison,
  findings,
  plots,
  published,
  tables,
)
from signllm_jax.evaluation.report.report import Report
from signllm_jax.visualization import pages

_PICTURE_SIZE = 180  # pixels, of a clip
_BASELINES = ("mean_pose", "frozen", "other_clip", "nearest_train")


def render(report: Report, examples: int = 3) -> str:
  """Renders the page.

  Args:
    report: the report.
    examples: number of clips shown of the worst and of the best.
  """
  figures = tables.published_cells()
  return pages.render(
    "signllm_jax.evaluation.report",
    "report.html.j2",
    title=tables.title(report),
    leaky=report.leaky,
    headline=headline(report),
    groups=[_group(report, group) for group in columns.groups(report.metrics)],
    notes=tables.notes(report),
    plots=[
      plots.intervals(report),
      plots.distribution(report),
      plots.lengths(report),
    ],
    examples=_examples(report, examples),
    audit=tables.audit_cells(report),
    caution=published.CAUTION,
    published_heads=figures[0],
    published=figures[1:],
    signatures=report.signatures(),
  )


def render_comparison(compared: comparison.Comparison) -> str:
  """Renders the page of a comparison."""
  cells = comparison.cells(compared)
  return pages.render(
    "signllm_jax.evaluation.report",
    "comparison.html.j2",
    title=f"{compared.a.facts['name']} and {compared.b.facts['name']}",
    runs=comparison.title(compared).splitlines(),
    leaky=compared.a.leaky,
    heads=cells[0],
    rows=cells[1:],
    notes=comparison.notes(compared),
    explained=[(m.head, columns.explain(m)) for m in compared.a.metrics],
    signatures=compared.a.signatures(),
  )


def headline(report: Report) -> str:
  """The first sentences: the first column, the best baseline, the audit."""
  first = columns.groups(report.metrics)[0].metrics[0]
  made = report.scores["produced"][first.key]
  said = f"{first.head} {tables.format_score(first, made)}"
  known = [row for row in _BASELINES if row in report.scores]
  if first.better == "lower" and known:
    row = min(known, key=lambda name: report.scores[name][first.key].value)
    value = first.style.format(report.scores[row][first.key].value)
    said += f"; the best baseline ({tables.ROW_NAMES[row]}) has {value}"
  named = [
    findings.HEADS[f.key] for f in report.audit if f.verdict == findings.FOUND
  ]
  audited = f"found {', '.join(named)}" if named else "found nothing"
  return f"{said}. The audit {audited}." if report.audit else f"{said}."


def _group(report: Report, group: columns.Group) -> dict[str, Any]:
  cells = tables.cells(report, group.metrics)
  return {
    "title": group.title,
    "heads": ["method", *cells[0][1:]],
    "rows": [_score_row(row) for row in cells[1:]],
    "explained": [(m.head, columns.explain(m)) for m in group.metrics],
  }


def _score_row(row: Sequence[str]) -> list[Any]:
  """Cells of a row; an interval stands below its score."""
  cells: list[Any] = [row[0]]
  for cell in row[1:]:
    score, bracket, interval = cell.partition(" [")
    cells.append(pages.Number(score, bracket.strip() + interval))
  return cells


def _examples(report: Report, count: int) -> dict[str, list[dict[str, Any]]]:
  """The worst and the best sequences, none of them twice.

  By the relative signing distance, or DTW-MJE in a report without it.
  """
  keys = {m.key: m.head for m in report.metrics}
  key = "signing_distance" if "signing_distance" in keys else "dtw_mje"
  errors = np.nan_to_num(report.per_sequence("produced", key))
  order = np.argsort(-errors, kind="stable")
  best = order[::-1][: min(count, len(order) // 2)]
  worst = order[: min(count, len(order) - len(best))]
  return {
    f"{title} sequences by {keys[key]}": [
      _example(report, int(i), f"{keys[key]} {errors[i]:.4f}") for i in chosen
    ]
    for title, chosen in (("Worst", worst), ("Best", best))
    if len(chosen)
  }


def _example(report: Report, index: int, error: str) -> dict[str, Any]:
  produced, true = report.rows["produced"][index], report.true[index]
  label = "produced (leaky)" if report.leaky else "produced"
  shown = {label: produced, "true": true}
  return {
    "label": label,
    "text": true.text,
    "name": true.name,
    "error": error,
    "frames": len(produced),
    "true_frames": len(true),
    # A tenth of a GIF's size.
    "film": pages.picture(shown, ".mp4", _PICTURE_SIZE),
    "still": pages.picture(shown, ".png", _PICTURE_SIZE),
  }
