"""MLflow runs: a database and files in the work directory, or a server.

Without `MLFLOW_TRACKING_URI` nothing leaves the work directory: `mlflow.db` and
`artifacts/` lie in its folder `mlflow`. In a bucket the folder is a copy of a
local one, which every flush brings up to date.
"""

import contextlib
import importlib
import json
import logging
import os
import pathlib
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.core import atomic_files, buckets, extras, foreign_files, paths
from signllm_jax.runs.histogram import Histogram

_EXPERIMENT = "signllm"
_MOST = 100  # parameters of a request
_MOST_POINTS = 1000  # metrics of a request
_FLUSH_BUCKET_S = 60.0  # seconds after which a bucket gets a new copy


class _Folder:
  """The local folder of a store; `sync` copies it into a bucket."""

  def __init__(self, folder: paths.AnyPath):
    self.path = pathlib.Path(os.fspath(folder))
    self._bucket: buckets.BucketPath | None = None
    self._copied: dict[str, tuple[int, int]] = {}  # size and time of the files
    if isinstance(folder, buckets.BucketPath):
      self._bucket = folder
      self.path = pathlib.Path(tempfile.mkdtemp(dir=paths.scratch()))
      for entry in folder.files():
        target = self.path / entry.name
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / entry.name).download(target)
        self._copied[entry.name] = self._state_of(target)
    self.path.mkdir(parents=True, exist_ok=True)

  @property
  def in_bucket(self) -> bool:
    """Whether `sync` copies anything."""
    return self._bucket is not None

  def _state_of(self, path: pathlib.Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns

  def sync(self) -> None:
    """Copies the files that changed."""
    if self._bucket is None:
      return
    for path in sorted(self.path.rglob("*")):
      name = path.relative_to(self.path).as_posix()
      if path.is_file() and self._copied.get(name) != self._state_of(path):
        state = self._state_of(path)
        (self._bucket / name).upload(path)
        self._copied[name] = state


def check_installed() -> None:
  """Imports MLflow without its telemetry.

  Raises:
    UsageError: it is not installed.
  """
  os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
  for name in ("mlflow", "alembic"):  # they print what they do to databases
    logging.getLogger(name).setLevel(logging.WARNING)
  try:
    for name in ("mlflow", "sqlalchemy", "alembic"):
      importlib.import_module(name)
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      "--config.writers=mlflow writes", error.name, "mlflow"
    ) from error


class Writer:
  """Writes a run of MLflow (`writers.Writer`).

  A line is the last part of a metric's name, `validation/dtw_mje/truth`. Films
  and texts are artifacts, a file a step. MLflow has no histograms: mean and
  standard deviation of the numbers are written.
  """

  def __init__(self, workdir: paths.AnyPath, start: int, name: str):
    """Opens the run that goes on at step `start`, or begins one.

    Args:
      workdir: of the run; `mlflow.json` there keeps the number of the run.
      start: points after this step are purged.
      name: of a new run, with the name of the work directory.

    Raises:
      UsageError: MLflow is not installed.
    """
    check_installed()
    self._workdir, self._start = workdir, start
    self._name = f"{name} {workdir.name}"
    self._client: Any = None
    self._flushed = time.monotonic()
    with self._guarded():
      self._folder = _Folder(workdir / "mlflow")
      self._open()

  @contextlib.contextmanager
  def _guarded(self) -> Iterator[None]:
    """Turns a failure into one warning; nothing more is written after it."""
    exceptions = importlib.import_module("mlflow.exceptions")
    try:
      yield
    except (OSError, exceptions.MlflowException) as error:
      self._client = None
      reason = str(error).splitlines()[0] if str(error) else repr(error)
      print(
        f"warning: {self._workdir}: MLflow: {reason}; training goes on without "
        "its runs",
        file=sys.stderr,
        flush=True,
      )

  def _open(self) -> None:
    tracking = importlib.import_module("mlflow.tracking")
    uri = os.environ.get("MLFLOW_TRACKING_URI")
    local = f"sqlite:///{self._folder.path.absolute()}/mlflow.db"
    client = tracking.MlflowClient(tracking_uri=uri or local)
    experiment = client.get_experiment_by_name(_EXPERIMENT)
    if experiment is not None:
      number = experiment.experiment_id
    elif uri:
      number = client.create_experiment(_EXPERIMENT)
    else:
      folder = self._folder.path.absolute() / "artifacts"
      number = client.create_experiment(_EXPERIMENT, folder.as_uri())
    stored = self._workdir / "mlflow.json"
    before = ""
    if foreign_files.exists(stored):
      before = foreign_files.read_json(stored)["run"]
    run = _resumed(client, number, before, self._start) if before else ""
    if not run:
      run = client.create_run(number, run_name=self._name).info.run_id
    if run != before:
      atomic_files.write_text(stored, json.dumps({"run": run}))
    self._client, self._run, self._new = client, run, not self._start

  def scalars(
    self, step: int, values: Mapping[str, float], line: str = ""
  ) -> None:
    """Writes tag -> value of a line."""
    if self._client is None:
      return
    entities = importlib.import_module("mlflow.entities")
    end = "/" + line.rsplit("/", 1)[-1] if line else ""
    now = int(time.time() * 1000)
    metrics = [
      entities.Metric(name + end, float(value), now, step)
      for name, value in values.items()
    ]
    with self._guarded():
      _log_points(self._client, self._run, metrics)
      self._flush_in_time()

  def text(self, name: str, value: str, step: int = 0) -> None:
    """Writes a text."""
    self._store(f"{name}/{step:09d}.txt", value.encode())

  def describe_run(
    self, settings: config_lib.Experiment, description: str
  ) -> None:
    """Writes the configuration as parameters, and the run's description."""
    if self._client is None or not self._new:
      return
    entities = importlib.import_module("mlflow.entities")
    params = [
      entities.Param(name, str(value))
      for name, value in config_lib.flatten(settings).items()
    ]
    with self._guarded():
      for start in range(0, len(params), _MOST):
        part = params[start : start + _MOST]
        self._client.log_batch(self._run, params=part)
    self.text("run", description)

  def film(self, step: int, name: str, gif: bytes) -> None:
    """Writes a GIF."""
    self._store(f"{name}/{step:09d}.gif", gif)

  def _store(self, name: str, content: bytes) -> None:
    """Writes an artifact; its name ends with the step."""
    if self._client is None:
      return
    folder, _, base = name.rpartition("/")
    with self._guarded(), tempfile.TemporaryDirectory() as part:
      path = pathlib.Path(part) / base
      path.write_bytes(content)
      self._client.log_artifact(self._run, str(path), folder)

  def histograms(self, step: int, values: Mapping[str, Histogram]) -> None:
    """Writes mean and standard deviation of the numbers."""
    scalars = {}
    for name, value in values.items():
      count = max(float(np.sum(value.counts)), 1.0)
      mean = float(value.total) / count
      variance = float(value.squares) / count - mean**2
      scalars |= {f"{name}/mean": mean, f"{name}/std": max(variance, 0) ** 0.5}
    self.scalars(step, scalars)

  def _flush_in_time(self) -> None:
    if time.monotonic() - self._flushed > _FLUSH_BUCKET_S:
      self.flush()

  def flush(self) -> None:
    """Copies the folder into a bucket; on a disk everything is there."""
    self._flushed = time.monotonic()
    if self._client is not None:
      with self._guarded():
        self._folder.sync()

  def close(self) -> None:
    """Marks the run as ended."""
    if self._client is not None:
      with self._guarded():
        self._client.set_terminated(self._run)
        self._folder.sync()


def _resumed(client: Any, experiment: str, run: str, start: int) -> str:
  """The run itself, or a copy without what came after step `start`.

  MLflow cannot remove a point. So a run that has later ones is copied up to
  that step, and deleted. Returns an empty name if nothing of it counts.
  """
  if not start:
    client.delete_run(run)
    return ""
  old = client.get_run(run)
  points = [
    point
    for key in old.data.metrics
    for point in client.get_metric_history(run, key)
  ]
  kept = [point for point in points if point.step <= start]
  if len(kept) == len(points):
    client.update_run(run, status="RUNNING")
    return run
  new = client.create_run(experiment, run_name=old.info.run_name).info.run_id
  entities = importlib.import_module("mlflow.entities")
  params = [entities.Param(*each) for each in old.data.params.items()]
  for first in range(0, len(params), _MOST):
    client.log_batch(new, params=params[first : first + _MOST])
  _log_points(client, new, kept)
  with tempfile.TemporaryDirectory() as folder:
    client.download_artifacts(run, "", folder)
    for path in pathlib.Path(folder).rglob("*.*"):
      if int(path.stem) > start:
        path.unlink()
    client.log_artifacts(new, folder)
  client.delete_run(run)
  return new


def _log_points(client: Any, run: str, points: list[Any]) -> None:
  for first in range(0, len(points), _MOST_POINTS):
    client.log_batch(run, metrics=points[first : first + _MOST_POINTS])
