"""What the runs of a study say together: tables with intervals over seeds."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from signllm_jax.core import errors
from signllm_jax.evaluation.metrics import catalogue, text
from signllm_jax.evaluation.report import bootstrap, plots, published, tables
from signllm_jax.runs import workdir

# Rows of ours that the paper has, by its names in `published`.
_PUBLISHED = {
  "base": "SignLLM 40M, base",
  "gloss mode": "SignLLM 40M, gloss mode",
  "RL": "SignLLM 40M, RL",
  "RL + PLC": "SignLLM 40M, RL + PLC",
}
_SAVED = (
  "The paper reports 27.1 % less training time to equal DTW with RL + PLC "
  "(Fang et al., arXiv 2405.10718), without seeds or intervals."
)


class Evaluated(NamedTuple):
  """One evaluation while a run trained."""

  step: int
  seconds: float  # of training, without compiling and evaluating
  score: float  # DTW-MJE of the split of training, free running


@dataclasses.dataclass
class Run:
  """A run that is done.

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
  """Whether a run's last evaluation is that of its last step."""
  found = workdir.read_report(path)
  return found is not None and found["step"] == steps


def read_run(path: str | os.PathLike) -> Run:
  """The run of a work directory.

  Raises:
    DataError: there is none, or it is of an older version.
  """
  found = workdir.read_report(path)
  if found is None or "history" not in found:
    raise errors.DataError(
      "no finished run", path=path, hint="Start the study again"
    )
  history = [
    Evaluated(each["step"], each["train_seconds"], each["score"])
    for each in found["history"]
  ]
  return Run(history, found["rows"]["produced"])


def over_seeds(values: Sequence[float]) -> bootstrap.Interval:
  """The mean with Student's 95 % interval; NaN ends of a single run."""
  mean, n = float(np.mean(values)), len(values)
  if n < 2:
    return bootstrap.Interval(mean, math.nan, math.nan)
  away = stats.t.ppf((1 + bootstrap.LEVEL) / 2, n - 1) * np.std(values, ddof=1)
  half = float(away) / math.sqrt(n)
  return bootstrap.Interval(mean, mean - half, mean + half)


def first_at(run: Run, score: float) -> Evaluated | None:
  """The first evaluation that is at least as good; None if there is none."""
  return next((each for each in run.history if each.score <= score), None)


def ratio(
  row: Sequence[Run], base: Sequence[Run], field: str
) -> bootstrap.Interval | None:
  """What reaching the base's final score costs, over what the base took.

  The geometric mean over seeds; each seed's target is its own base run's.

  Args:
    row: runs of the row.
    base: runs of the base, of the same seeds.
    field: "step" or "seconds".

  Returns:
    None if a run never gets there.
  """
  logs = []
  for one, other in zip(row, base, strict=True):
    target = other.history[-1].score
    reached, first = first_at(one, target), first_at(other, target)
    if reached is None or first is None:
      return None
    logs.append(math.log(getattr(reached, field) / getattr(first, field)))
  return bootstrap.Interval(*(math.exp(x) for x in over_seeds(logs)))


def _said(interval: bootstrap.Interval, style: str) -> str:
  value = style.format(interval.value)
  if math.isnan(interval.low):
    return value
  return (
    f"{value} [{style.format(interval.low)}, {style.format(interval.high)}]"
  )


def _reached(row: Sequence[Run], base: Sequence[Run]) -> int:
  return sum(
    first_at(one, other.history[-1].score) is not None
    for one, other in zip(row, base, strict=True)
  )


def _columns(made: Study) -> list[tuple[str, dict[str, str]]]:
  """Head and cell of each row."""
  last = {
    row: [run.produced for run in each] for row, each in made.runs.items()
  }

  def column(head: str, key: str, style: str) -> tuple[str, dict[str, str]]:
    return head, {
      row: _said(over_seeds([one[key] for one in each]), style)
      for row, each in last.items()
    }

  columns = [
    column("DTW-MJE dev", "dtw_mje", "{:.4f}"),
    column("of mean pose", "share_of_floor", "{:.1%}"),
    column("motion", "motion_share", "{:.3f}"),
    column("length", "length_ratio", "{:.3f}"),
  ]
  if made.name == "efficiency":
    return columns[:2] + _efficiency(made)
  metrics = {m.key: m for m in (*catalogue.POSE, *text.TEXT)}
  for key, metric in metrics.items():
    if all(key in run.scores for each in made.runs.values() for run in each):
      columns.append(
        (
          f"{metric.head} {made.split}",
          {
            row: _said(
              over_seeds([run.scores[key] for run in each]), metric.style
            )
            for row, each in made.runs.items()
          },
        )
      )
  figures = {figure.system: figure.bleu_4 for figure in published.FIGURES}
  paper = {row: figures.get(_PUBLISHED.get(row, ""), "") for row in made.runs}
  return [*columns, ("paper, ASL: BLEU-4 dev / test", paper)]


def _efficiency(made: Study) -> list[tuple[str, dict[str, str]]]:
  base = made.runs.get("base")
  if base is None:
    return []
  columns = []
  for head, field in (("steps", "step"), ("time", "seconds")):
    cells = {}
    for row, each in made.runs.items():
      found = ratio(each, base, field)
      cells[row] = (
        _said(found, "{:.2f}")
        if found
        else f"reached by {_reached(each, base)} of {len(each)}"
      )
    columns.append((f"{head} to the base's score, base = 1", cells))
  return columns


def to_markdown(made: Study) -> str:
  """The table, in words that say what it is of."""
  columns = _columns(made)
  cells = [["", *(head for head, _ in columns)]]
  cells += [[row, *(each[row] for _, each in columns)] for row in made.runs]
  seeds = len(next(iter(made.runs.values())))
  said = (
    f"Study {made.name} of {made.base}: {made.steps} steps, {seeds} seeds; "
    "means with Student's 95 % intervals over seeds."
  )
  notes = [said]
  if made.name == "efficiency":
    notes.append(
      "The base's score is its last DTW-MJE of dev, of the same seed; time is "
      "that of training, without compiling and evaluating. " + _SAVED
    )
  else:
    notes.append(f"The paper's figures are {published.CAUTION}.")
  return "\n\n".join([*notes, tables.markdown(cells)]) + "\n"


def to_json(made: Study) -> dict[str, Any]:
  """All of it, every run's history too."""
  return {
    "study": made.name,
    "base": made.base,
    "steps": made.steps,
    "split": made.split,
    "table": {
      row: {head: each[row] for head, each in _columns(made)}
      for row in made.runs
    },
    "runs": {
      row: [
        {
          "history": [each._asdict() for each in run.history],
          "produced": run.produced,
          "scores": run.scores,
        }
        for run in each
      ]
      for row, each in made.runs.items()
    },
  }


def curves(made: Study) -> str:
  """DTW-MJE against steps and minutes: an SVG."""
  return plots.curves(
    {row: [run.history for run in each] for row, each in made.runs.items()}
  )
