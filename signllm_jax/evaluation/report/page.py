"""The report as one HTML page."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from signllm_jax.evaluation.report import plots, published, tables
from signllm_jax.evaluation.report.report import Report
from signllm_jax.visualization import pages

_PICTURE_SIZE = 180  # pixels, of a clip


def render(report: Report, examples: int = 3) -> str:
  """Renders the page.

  Args:
    report: the report.
    examples: number of clips shown of the worst and of the best.
  """
  scores = tables.cells(report, report.metrics)
  figures = tables.published_cells()
  return pages.render(
    "signllm_jax.evaluation.report",
    "report.html.j2",
    title=tables.title(report),
    leaky=report.leaky,
    heads=["method", *scores[0][1:]],
    scores=[_score_row(row) for row in scores[1:]],
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


def _score_row(row: Sequence[str]) -> list[Any]:
  """Cells of a row; an interval stands below its score."""
  cells: list[Any] = [row[0]]
  for cell in row[1:]:
    score, bracket, interval = cell.partition(" [")
    cells.append(pages.Number(score, bracket.strip() + interval))
  return cells


def _examples(report: Report, count: int) -> dict[str, list[dict[str, Any]]]:
  """The worst and the best sequences by DTW-MJE, none of them twice."""
  errors = report.per_sequence("produced", "dtw_mje")
  order = np.argsort(-errors, kind="stable")
  best = order[::-1][: min(count, len(order) // 2)]
  worst = order[: min(count, len(order) - len(best))]
  return {
    title: [_example(report, int(i), float(errors[i])) for i in chosen]
    for title, chosen in (("Worst", worst), ("Best", best))
    if len(chosen)
  }


def _example(report: Report, index: int, error: float) -> dict[str, Any]:
  produced, true = report.rows["produced"][index], report.true[index]
  label = "produced (leaky)" if report.leaky else "produced"
  shown = {label: produced, "true": true}
  return {
    "label": label,
    "text": true.text,
    "name": true.name,
    "error": f"{error:.4f}",
    "frames": len(produced),
    "true_frames": len(true),
    "film": pages.picture(shown, ".gif", _PICTURE_SIZE),
    "still": pages.picture(shown, ".png", _PICTURE_SIZE),
  }
