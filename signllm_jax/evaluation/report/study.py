"""The runs of a study."""

import dataclasses
import math
import os
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from signllm_jax.core import errors
from signllm_jax.evaluation.report import bootstrap
from signllm_jax.runs import workdir

Scores = dict[str, dict[str, float]]  # row -> metric -> value


class Evaluated(NamedTuple):
  """One evaluation during training."""

  step: int
  seconds: float  # of training, without compilation and evaluation
  score: float  # of `evaluate.split`, free running: `Run.score`


@dataclasses.dataclass
class Run:
  """A finished run.

  Attributes:
    history: its evaluations.
    produced: metrics of the last one.
    scores: metrics of the best checkpoint on the study's split, if scored.
    parameters: number of them; 0 where not counted.
  """

  history: list[Evaluated]
  produced: dict[str, float]
  scores: dict[str, float] = dataclasses.field(default_factory=dict)
  parameters: int = 0

  @property
  def score(self) -> str:
    """Name of the score of its history, as `signing.Evaluation.score`."""
    return "Fréchet distance" if "frechet" in self.produced else "DTW-MJE"


@dataclasses.dataclass(frozen=True)
class Study:
  """A study whose runs are done.

  Attributes:
    name: of the study.
    base: name of the configuration.
    steps: of every run.
    split: on which the best checkpoints were scored.
    runs: row -> its runs, in the order of their seeds.
    references: rows of the evaluation that need no run, and their scores.
    reader: work directory of the model that read the clips, or empty.
    folder: of the data.
    language: code of the data's.
    scale: width of the base as a share of that of SignLLM's 40M.
    while_training: split on which the runs were scored during training.
  """

  name: str
  base: str
  steps: int
  split: str
  runs: Mapping[str, Sequence[Run]]
  references: Mapping[str, Mapping[str, float]] = dataclasses.field(
    default_factory=dict
  )
  reader: str = ""
  folder: str = ""
  language: str = ""
  scale: float = 1.0
  while_training: str = "dev"

  def rows_of_one_score(self) -> dict[str, Sequence[Run]]:
    """The rows whose histories hold the score of the first row's."""
    first = next(iter(self.runs.values()))[0].score
    return {
      row: runs for row, runs in self.runs.items() if runs[0].score == first
    }

  def equal_rows(self) -> dict[str, str]:
    """Rows whose runs score as those of an earlier row, in every digit."""
    first: dict[str, str] = {}
    equal: dict[str, str] = {}
    for row, runs in self.runs.items():
      found = repr([(run.produced, run.scores) for run in runs])
      if found in first:
        equal[row] = first[found]
      first.setdefault(found, row)
    return equal


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
