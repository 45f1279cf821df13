"""The report of a study: tables with intervals over the seeds of its runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from signllm_jax.evaluation.metrics import catalogue, text
from signllm_jax.evaluation.metrics.metric import Metric
from signllm_jax.evaluation.report import (
  bootstrap,
  plots,
  published,
  study_notes,
  tables,
)
from signllm_jax.evaluation.report.report import ROW_NAMES
from signllm_jax.evaluation.report.study import Run, Study, first_at, ratio

Column = tuple[str, dict[str, str]]  # head, and the cell of each row

_SIGNING = (
  "motion_share",
  "bone_length_error",
  "frechet",
  "spread",
  "hidden_parts",
  "recognised",
  "dtw_mje",
  "length_ratio",
)
_PAPER = (  # of "components" and "sizes", whose tables the paper has too
  "dtw_mje",
  "motion_share",
  "length_ratio",
  "bone_length_error",
  "frechet",
  "recognised",
  "bleu_4",
  "rouge_l",
)
_REFERENCES = ("truth", "same_text", "text_mean")  # rows without a run
_METRICS: Mapping[str, Metric] = {
  m.key: m for m in (*catalogue.all_metrics(), *text.TEXT)
}
# Rows that the paper has as well -> their names in `published`.
_COMPONENTS = {
  "base": "SignLLM 40M, base",
  "gloss mode": "SignLLM 40M, gloss mode",
  "RL": "SignLLM 40M, RL",
  "RL + PLC": "SignLLM 40M, RL + PLC",
}


def keys(name: str) -> tuple[str, ...]:
  """Metrics of a study's table that the best checkpoints are scored with."""
  return _SIGNING if name == "signing" else _PAPER


def _format(interval: bootstrap.Interval, style: str) -> str:
  if math.isnan(interval.value):
    return "–"
  value = style.format(interval.value)
  if math.isnan(interval.low):
    return value
  return (
    f"{value} [{style.format(interval.low)}, {style.format(interval.high)}]"
  )


def _column(
  study: Study, head: str, style: str, value: Callable[[Run], float]
) -> Column:
  """A column of means over seeds, with their intervals."""
  return head, {
    row: _format(bootstrap.over_seeds([value(run) for run in runs]), style)
    for row, runs in study.runs.items()
  }


def _scored(study: Study, key: str) -> bool:
  return all(key in run.scores for runs in study.runs.values() for run in runs)


def _metric_column(study: Study, metric: Metric) -> Column:
  """Scores of the best checkpoints, and of the rows without a run."""
  head, cells = _column(
    study,
    f"{metric.head} {study.split}",
    metric.style,
    lambda run: run.scores[metric.key],
  )
  for row, scores in study.references.items():
    if metric.key in scores:
      alone = bootstrap.over_seeds([scores[metric.key]])
      cells[row] = _format(alone, metric.style)
  return head, cells


def _columns(study: Study) -> list[Column]:
  if study.name == "signing":
    return [*_scores(study), _minutes(study), _parameters(study)]
  columns = [
    _column(study, head, style, lambda run, key=key: run.produced[key])
    for head, key, style in (
      (f"DTW-MJE {study.while_training}", "dtw_mje", "{:.4f}"),
      ("of mean pose", "share_of_floor", "{:.1%}"),
    )
  ]
  if study.name == "efficiency":
    return columns + _efficiency(study)
  columns += [*_scores(study), _minutes(study)]
  if study.name == "sizes":
    return [_parameters(study), *columns, *_published_sizes(study)]
  return [*columns, _published(study, "ASL: BLEU-4", _COMPONENTS, "bleu_4")]


def _scores(study: Study) -> list[Column]:
  """The metrics of the study's table that its runs were scored with."""
  columns = []
  for key in keys(study.name):
    if _scored(study, key):
      columns.append(_metric_column(study, _METRICS[key]))
      if key == "frechet" and study.name == "signing":
        columns += _frechet_ratio(study)
  return columns


def _minutes(study: Study) -> Column:
  """Minutes of training."""
  return _column(
    study, "minutes", "{:.1f}", lambda run: run.history[-1].seconds / 60
  )


def _frechet_ratio(study: Study) -> list[Column]:
  """Frechet distance over that of another real recording, if there is one."""
  if "same_text" not in study.references:
    return []
  other = study.references["same_text"]["frechet"]
  head, cells = _column(
    study,
    "over another recording's",
    "{:.2f}",
    lambda run: run.scores["frechet"] / other,
  )
  return [(head, {**cells, "same_text": "1.00"})]


def _parameters(study: Study) -> Column:
  return "parameters", {
    row: f"{runs[0].parameters:,}" for row, runs in study.runs.items()
  }


def _published(
  study: Study, head: str, names: Mapping[str, str], field: str
) -> Column:
  figures = {figure.system: figure for figure in published.FIGURES}
  cells = {
    row: getattr(figures[names[row]], field)
    for row in study.runs
    if row in names
  }
  return f"paper, {head} dev / test", cells


def _published_sizes(study: Study) -> list[Column]:
  """The paper's first two tables: PHOENIX14T (GSL) or How2Sign (ASL)."""
  german = study.language == "GSL"
  figures = {
    (figure.task == published.GSL, figure.system): figure
    for figure in published.FIGURES
  }
  columns = []
  for head, field in (("BLEU-4", "bleu_4"), ("ROUGE", "rouge")):
    cells = {}
    for row in study.runs:
      size, _, gloss = row.partition(" ")
      system = f"SignLLM, gloss mode, {size}" if gloss else f"SignLLM-M {size}"
      figure = figures.get((german, system))
      cells[row] = getattr(figure, field) if figure else ""
    name = "GSL" if german else "ASL"
    columns.append((f"paper, {name}: {head} dev / test", cells))
  return columns


def _efficiency(study: Study) -> list[Column]:
  base = study.runs.get("base")
  if base is None:
    return []
  columns = []
  for head, field in (("steps", "step"), ("time", "seconds")):
    cells = {}
    for row, runs in study.runs.items():
      relative = ratio(runs, base, field)
      cells[row] = (
        _format(relative, "{:.2f}")
        if relative
        else f"reached by {_count_reached(runs, base)} of {len(runs)}"
      )
    columns.append((f"{head} to the base's score, base = 1", cells))
  return columns


def _count_reached(row: Sequence[Run], base: Sequence[Run]) -> int:
  """Number of runs that reach the final score of their base run."""
  return sum(
    first_at(run, base_run.history[-1].score) is not None
    for run, base_run in zip(row, base, strict=True)
  )


def to_markdown(study: Study) -> str:
  """Formats the table as Markdown, under sentences about the study."""
  columns, equal = _columns(study), study.equal_rows()
  cells = [["", *(head for head, _ in columns)]]
  names = {
    row: f"{row} (= {equal[row]})" if row in equal else row
    for row in study.runs
  }
  names |= {
    row: ROW_NAMES[row] for row in _REFERENCES if row in study.references
  }
  cells += [
    [name, *(column.get(row, "") for _, column in columns)]
    for row, name in names.items()
  ]
  return "\n\n".join([*study_notes.notes(study), tables.markdown(cells)]) + "\n"


def to_json(study: Study) -> dict[str, Any]:
  """Returns the study as plain values, with the history of every run."""
  return {
    "study": study.name,
    "base": study.base,
    "steps": study.steps,
    "split": study.split,
    "reader": study.reader,
    "equal": study.equal_rows(),
    "references": study.references,
    "table": {
      row: {head: column.get(row, "") for head, column in _columns(study)}
      for row in study.runs
    },
    "runs": {
      row: [
        {
          "history": [entry._asdict() for entry in run.history],
          "parameters": run.parameters,
          "produced": run.produced,
          "scores": run.scores,
        }
        for run in runs
      ]
      for row, runs in study.runs.items()
    },
  }


def curves(study: Study) -> str:
  """Draws scores against steps and minutes; the text of an SVG file.

  Only rows with the score of the first row are drawn.
  """
  drawn = study.rows_of_one_score()
  score = next(iter(drawn.values()))[0].score
  return plots.curves(
    {row: [run.history for run in runs] for row, runs in drawn.items()},
    f"{score} of {study.while_training}",
  )
