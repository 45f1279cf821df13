"""Scores of runs: evaluate one, compare two."""

import dataclasses
import os
from collections.abc import Mapping

from signllm_jax.api.runs import Run
from signllm_jax.evaluation import evaluate_run
from signllm_jax.evaluation.report import (
  bootstrap,
  comparison,
  report_files,
  tables,
)
from signllm_jax.evaluation.report import report as report_lib
from signllm_jax.parallel import compilation_cache


@dataclasses.dataclass(frozen=True)
class Evaluation:
  """A run's scores on a split, beside its baselines.

  Attributes:
    report: rows of clips with their scores.
  """

  report: report_lib.Report

  @property
  def scores(self) -> Mapping[str, Mapping[str, bootstrap.Interval]]:
    """Row (produced, truth, mean_pose, ...) -> metric -> value, low, high."""
    return self.report.scores

  def save(self, folder: str | os.PathLike) -> None:
    """Writes report.json, report.md and report.html, a page with plots."""
    report_files.write_report(folder, self.report)

  def __str__(self) -> str:
    return tables.to_terminal(self.report)

  def __repr__(self) -> str:
    value, low, high = self.scores["produced"]["dtw_mje"]
    return (
      f"Evaluation({tables.title(self.report)}: DTW-MJE {value:.4f} "
      f"[{low:.4f}, {high:.4f}])"
    )


@dataclasses.dataclass(frozen=True)
class Comparison:
  """Two runs on the same sequences.

  Attributes:
    report: both reports with paired differences.
  """

  report: comparison.Comparison

  @property
  def differences(self) -> Mapping[str, bootstrap.Difference]:
    """Metric -> a, b, difference a - b with its interval, p."""
    return self.report.differences

  def save(self, folder: str | os.PathLike) -> None:
    """Writes comparison.json and comparison.md."""
    report_files.write_comparison(folder, self.report)

  def __str__(self) -> str:
    return comparison.to_markdown(self.report)

  def __repr__(self) -> str:
    found = self.differences["dtw_mje"]
    return (
      f"Comparison(DTW-MJE {found.a:.4f} - {found.b:.4f} = "
      f"{found.difference:+.4f} [{found.low:+.4f}, {found.high:+.4f}], "
      f"p {found.p:.3f})"
    )


def evaluate(
  workdir: str | os.PathLike | Run,
  split: str = "test",
  *,
  language: str = "",
  protocol: str = "free",
  resamples: int = bootstrap.RESAMPLES,
  back_translation: str | os.PathLike = "",
) -> Evaluation:
  """Scores a run's best checkpoint on a whole split.

  Args:
    workdir: of the run, a model file, or a `Run`.
    split: train, dev or test of its data.
    language: code of the sign language, where the model knows several.
    protocol: "free" running, or PT's leaky "pt".
    resamples: of the bootstrap.
    back_translation: work directory of a model that reads poses, for scores of
      text.

  Raises:
    UsageError: nothing was saved yet, or the request cannot be met.
    DataError: a fault in the run's data.
    StorageError: the best checkpoint is damaged.
  """
  compilation_cache.enable()
  return Evaluation(
    evaluate_run.evaluate(
      _path(workdir),
      language=language,
      split=split,
      protocol=protocol,
      resamples=resamples,
      back_translation=back_translation,
    )
  )


def compare(
  a: str | os.PathLike | Run | Evaluation,
  b: str | os.PathLike | Run | Evaluation,
  split: str = "test",
  *,
  language: str = "",
) -> Comparison:
  """Compares two runs on the same sequences: paired bootstrap differences.

  Args:
    a: a work directory, a `Run`, or an `Evaluation` that is there already.
    b: another one.
    split: to evaluate on.
    language: as of `evaluate`.

  Raises:
    UsageError: they are not over the same sequences; or as `evaluate`.
  """
  first, second = (
    each
    if isinstance(each, Evaluation)
    else evaluate(each, split, language=language)
    for each in (a, b)
  )
  resamples = first.report.facts["bootstrap"]["resamples"]
  weights = bootstrap.resample(len(first.report.true), resamples)
  return Comparison(comparison.compare(first.report, second.report, weights))


def _path(workdir: str | os.PathLike | Run) -> str:
  return workdir.workdir if isinstance(workdir, Run) else os.fspath(workdir)
