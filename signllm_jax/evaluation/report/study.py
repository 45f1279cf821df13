"""The report of a study: tables with intervals over the seeds of its runs."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from signllm_jax.core import errors
from signllm_jax.evaluation.metrics import catalogue, text
from signllm_jax.evaluation.report import bootstrap, plots, published, tables
from signllm_jax.runs import workdir

# Rows that the paper has as well -> their names in `published`.
_PUBLISHED = {
  "base": "SignLLM 40M, base",
  "gloss mode": "SignLLM 40M, gloss mode",
  "RL": "SignLLM 40M, RL",
  "RL + PLC": "SignLLM 40M, RL + PLC",
}
_PAPER_SAVING = (
  "The paper reports 27.1 % less training time to equal DTW with RL + PLC "
  "(Fang et al., arXiv 2405.10718), without seeds or intervals."
)


class Evaluated(NamedTuple):
  """One evaluation during training."""

  step: int
  seconds: float  # of training, without compilation and evaluation
  score: float  # DTW-MJE of `evaluate.split`, free running


@dataclasses.dataclass
class Run:
  """A finished run.

  Attributes:
    history: its evaluations.
    produced: metrics of the last one.
    scores: metrics of the best checkpoint on the study's split, if scored.
  """

  history: list[Evaluated]
  produced: dict[str, float]
  scores: dict[str, float] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Study:
  """Runs of a study, by row, in the order of their seeds."""

  name: str
  base: str  # name of the configuration
  steps: int
  split: str
  runs: Mapping[str, Sequence[Run]]


def is_done(path: str | os.PathLike, steps: int) -> bool:
  """Whether a run has been evaluated at its last step."""
  report = workdir.read_report(path)
  return report is not None and report["step"] == steps


def read_run(path: str | os.PathLike) -> Run:
  """Reads the run of a work directory.

  Raises:
    DataError: there is none, or it is of an older version.
  """
  report = workdir.read_report(path)
  if report is None or "history" not in report:
    raise errors.DataError(
      "no finished run", path=path, hint="Start the study again"
    )
  history = [
    Evaluated(entry["step"], entry["train_seconds"], entry["score"])
    for entry in report["history"]
  ]
  return Run(history, report["rows"]["produced"])


def first_at(run: Run, score: float) -> Evaluated | None:
  """First evaluation that is at least as good; None if there is none."""
  return next((entry for entry in run.history if entry.score <= score), None)


def ratio(
  row: Sequence[Run], base: Sequence[Run], field: str
) -> bootstrap.Interval | None:
  """Cost of reaching the base's final score, relative to the base's cost.

  The geometric mean over seeds; the target of a seed is its own base run's
  score.

  Args:
    row: runs of the row.
    base: runs of the base, of the same seeds.
    field: "step" or "seconds".

  Returns:
    None if a run never reaches it.
  """
  logs = []
  for run, base_run in zip(row, base, strict=True):
    target = base_run.history[-1].score
    reached, reference = first_at(run, target), first_at(base_run, target)
    if reached is None or reference is None:
      return None
    logs.append(math.log(getattr(reached, field) / getattr(reference, field)))
  return bootstrap.Interval(*(math.exp(x) for x in bootstrap.over_seeds(logs)))


def _format(interval: bootstrap.Interval, style: str) -> str:
  value = style.format(interval.value)
  if math.isnan(interval.low):
    return value
  return (
    f"{value} [{style.format(interval.low)}, {style.format(interval.high)}]"
  )


def _count_reached(row: Sequence[Run], base: Sequence[Run]) -> int:
  """Number of runs that reach the final score of their base run."""
  return sum(
    first_at(run, base_run.history[-1].score) is not None
    for run, base_run in zip(row, base, strict=True)
  )


def _columns(study: Study) -> list[tuple[str, dict[str, str]]]:
  """Columns: the head, and the cell of each row."""
  last = {
    row: [run.produced for run in runs] for row, runs in study.runs.items()
  }

  def column(head: str, key: str, style: str) -> tuple[str, dict[str, str]]:
    return head, {
      row: _format(
        bootstrap.over_seeds([scores[key] for scores in runs]), style
      )
      for row, runs in last.items()
    }

  columns = [
    column("DTW-MJE dev", "dtw_mje", "{:.4f}"),
    column("of mean pose", "share_of_floor", "{:.1%}"),
    column("motion", "motion_share", "{:.3f}"),
    column("length", "length_ratio", "{:.3f}"),
  ]
  if study.name == "efficiency":
    return columns[:2] + _efficiency(study)
  metrics = {m.key: m for m in (*catalogue.POSE, *text.TEXT)}
  for key, metric in metrics.items():
    if all(key in run.scores for runs in study.runs.values() for run in runs):
      columns.append(
        (
          f"{metric.head} {study.split}",
          {
            row: _format(
              bootstrap.over_seeds([run.scores[key] for run in runs]),
              metric.style,
            )
            for row, runs in study.runs.items()
          },
        )
      )
  figures = {figure.system: figure.bleu_4 for figure in published.FIGURES}
  paper = {row: figures.get(_PUBLISHED.get(row, ""), "") for row in study.runs}
  return [*columns, ("paper, ASL: BLEU-4 dev / test", paper)]


def _efficiency(study: Study) -> list[tuple[str, dict[str, str]]]:
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


def to_markdown(study: Study) -> str:
  """Formats the table as Markdown, under a sentence about the study."""
  columns = _columns(study)
  cells = [["", *(head for head, _ in columns)]]
  cells += [
    [row, *(column[row] for _, column in columns)] for row in study.runs
  ]
  seeds = len(next(iter(study.runs.values())))
  summary = (
    f"Study {study.name} of {study.base}: {study.steps} steps, {seeds} seeds; "
    "means with Student's 95 % intervals over seeds."
  )
  notes = [summary]
  if study.name == "efficiency":
    notes.append(
      "The base's score is its last DTW-MJE of dev with the same seed; time is "
      "that of training, without compilation and evaluation. " + _PAPER_SAVING
    )
  else:
    notes.append(f"The paper's figures are {published.CAUTION}.")
  return "\n\n".join([*notes, tables.markdown(cells)]) + "\n"


def to_json(study: Study) -> dict[str, Any]:
  """Returns the study as plain values, with the history of every run."""
  return {
    "study": study.name,
    "base": study.base,
    "steps": study.steps,
    "split": study.split,
    "table": {
      row: {head: column[row] for head, column in _columns(study)}
      for row in study.runs
    },
    "runs": {
      row: [
        {
          "history": [entry._asdict() for entry in run.history],
          "produced": run.produced,
          "scores": run.scores,
        }
        for run in runs
      ]
      for row, runs in study.runs.items()
    },
  }


def curves(study: Study) -> str:
  """Draws DTW-MJE against steps and minutes; the text of an SVG file."""
  return plots.curves(
    {row: [run.history for run in runs] for row, runs in study.runs.items()}
  )
