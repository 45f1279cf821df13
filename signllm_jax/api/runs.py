"""Experiments and runs: build, train, evaluate, compare."""

import copy
import dataclasses
import difflib
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from signllm_jax import config as config_lib
from signllm_jax import config_files
from signllm_jax.api import loading
from signllm_jax.core import errors
from signllm_jax.evaluation import evaluate_run
from signllm_jax.evaluation.report import (
  bootstrap,
  comparison,
  report_files,
  tables,
)
from signllm_jax.evaluation.report import report as report_lib
from signllm_jax.inference import signer
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import workdir as workdir_lib
from signllm_jax.training import loop


@dataclasses.dataclass(frozen=True)
class Run:
  """A trained run.

  Attributes:
    workdir: its work directory.
    report: of its last evaluation while it trained, as report.json: rows,
      history, seconds; empty where the data have no dev split.
  """

  workdir: str
  report: Mapping[str, Any]

  def load(self, language: str = "") -> signer.Signer:
    """Its best checkpoint, ready to sign; see `signllm_jax.load`."""
    return loading.load(self.workdir, language)

  def __repr__(self) -> str:
    if not self.report:
      return f"Run({self.workdir!r}, not scored)"
    row, scores = next(iter(self.report["rows"].items()))
    shown = ", ".join(f"{key} {value:.4g}" for key, value in scores.items())
    step, split = self.report["step"], self.report["split"]
    return f"Run({self.workdir!r}, step {step}, {row} {split}: {shown})"


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


def experiment(name: str, **fields: Any) -> config_lib.Experiment:
  """A configuration with some of its fields set.

  `experiment("quickstart", steps=500, **{"model.width": 128})`.

  Args:
    name: of a configuration, such as quickstart or signllm:gsl-1b, or the path
      of a file that returns one.
    fields: name with dots -> value, of the field's type.

  Raises:
    UsageError: no such configuration or field, or a value of another type.
    DataError: the file is not a configuration.
  """
  loaded = config_files.load(name)
  known = config_lib.flatten(loaded)
  for field, value in fields.items():
    if field not in known:
      near = difflib.get_close_matches(field, known, 3)
      raise errors.UsageError(
        f"no field {field!r} in a configuration",
        expected=" or ".join(near) or "a name such as model.width",
      )
    kind = type(known[field])
    if kind is float and type(value) is int:
      value = float(value)
    if type(value) is not kind:
      raise errors.UsageError(
        f"{field}={value!r}", expected=f"a value of type {kind.__name__}"
      )
    *path, last = field.split(".")
    target: Any = loaded
    for part in path:
      target = getattr(target, part)
    setattr(target, last, value)
  return loaded


def build(
  dataset: str,
  output: str | os.PathLike = "data",
  *,
  input: str | os.PathLike | None = None,
  file_format: str = "tfrecord",
  fps: float | None = None,
  size: tuple[int, int] | None = None,
  dev: str = "",
  test: str = "",
  seed: int = 0,
  workers: int | None = None,
) -> pathlib.Path:
  """Builds the training records of a data set, or finds them built.

  The API of `python -m data_pipeline build`; prints the data's licence.

  Args:
    dataset: and its configuration, such as fingerspelling/asl or
      prompt2sign/gsl.
    output: root of all data sets.
    input: folder of the sources: <split>.skels with <split>.text, or keypoints
      to lift; not of fingerspelling.
    file_format: tfrecord, which needs TensorFlow, or array_record.
    fps: frames per second; of the sources, or of fingerspelling's records.
    size: width and height of the picture, where keypoints do not say.
    dev: clips of train to set aside as dev, "5%" or "200".
    test: clips of train to set aside as test.
    seed: of what is set aside.
    workers: processes that read keypoints; one a core if not given.

  Returns:
    The folder of the records, for `read`, and for data.folder in a
    configuration.

  Raises:
    UsageError: the request cannot be met, or a package is not installed.
    DataError: a fault in the sources.
    StorageError: the records cannot be written.
  """
  # Here: training and signing need no builder's code.
  from data_pipeline.building import build as build_lib
  from data_pipeline.building import build_plan, held_out

  plan = build_plan.make_plan(
    dataset,
    output,
    input=input,
    file_format=file_format,
    fps=fps,
    size=size,
    apart=held_out.HeldOut(dev, test, seed),
  )
  return build_lib.build_dataset(plan, workers=workers)


def train(
  experiment: config_lib.Experiment | str, workdir: str | os.PathLike
) -> Run:
  """Trains a run to its end, or goes on with the one in the work directory.

  Args:
    experiment: of `experiment`, or the name of a configuration.
    workdir: folder of checkpoints, TensorBoard events and the report.

  Raises:
    UsageError: the configuration or the work directory does not fit.
    DataError: a fault in the data, or they are not built: names the commands.
    NonFiniteError: a loss or gradient is NaN or infinite.
    StorageError: something cannot be written.
    KeyboardInterrupt: a signal ended it; the step is saved, and the same call
      goes on from there.
  """
  config = (
    config_files.load(experiment)
    if isinstance(experiment, str)
    else copy.deepcopy(experiment)
  )
  path = os.fspath(workdir)
  if loop.train(config, path) == errors.EXIT_INTERRUPTED:
    raise KeyboardInterrupt(
      f"{path}: the step is saved; the same call goes on from there"
    )
  return Run(path, workdir_lib.read_report(path) or {})


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
