"""Experiments and runs: configure, build, train."""

import copy
import dataclasses
import difflib
import os
from collections.abc import Mapping
from typing import Any

from signllm_jax import config as config_lib
from signllm_jax import config_files
from signllm_jax.api import loading
from signllm_jax.core import (
  errors,
  paths,
)
from signllm_jax.inference import signer
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
  names: str | os.PathLike | None = None,
  dev: str = "",
  test: str = "",
  seed: int = 0,
  workers: int | None = None,
) -> paths.AnyPath:
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
    names: file with the texts of signs, of landmark recordings.
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
    names=names,
    apart=held_out.HeldOut(dev, test, seed),
  )
  return build_lib.build_dataset(plan, workers=workers)


def train(
  experiment: config_lib.Experiment | str,
  workdir: str | os.PathLike,
  *,
  init: str | os.PathLike = "",
) -> Run:
  """Trains a run to its end, or goes on with the one in the work directory.

  Args:
    experiment: of `experiment`, or the name of a configuration.
    workdir: folder of checkpoints, TensorBoard events and the report.
    init: work directory or model file of a trained run: a new run starts from
      its weights where names and shapes agree. Without effect on a run that
      goes on.

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
  if loop.train(config, path, init=os.fspath(init)) == errors.EXIT_INTERRUPTED:
    raise KeyboardInterrupt(
      f"{path}: the step is saved; the same call goes on from there"
    )
  return Run(path, workdir_lib.read_report(path) or {})
