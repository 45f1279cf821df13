"""Runs of MLflow in the work directory: R25."""

import ast
import importlib.util
import pathlib

import pytest
from helpers import small_runs
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server
from helpers.checkpoint_states import run
from helpers.paths import ROOT

from signllm_jax import config as config_lib
from signllm_jax.core import errors, paths
from signllm_jax.runs import config_check, writers

# A process of its own: MLflow's imports warn, and need not be in this one.
WRITTEN = """
import pathlib, socket, sys
sys.path.insert(0, sys.argv[1] + "/tests")

class Refused(socket.socket):
  def connect(self, address):
    raise AssertionError(f"connects to {address}")

socket.socket = Refused
from helpers import small_runs
from signllm_jax import config
from signllm_jax.core import paths
from signllm_jax.runs import mlflow_store, writers

workdir, clip = paths.resolve(sys.argv[2]), small_runs.clip(0)
for first, last in ((1, 3), (3, 5)):  # the second goes on from a save at 2
  store = mlflow_store.Writer(workdir, first - 1, "gsl")
  with writers.Writers([store]) as writer:
    writer.describe_run(config.Experiment(), "a run")
    for step in range(first, last + 1):
      writer.scalars(step, {"train/loss": step / first})
      writer.scalars(step, {"validation/dtw_mje": 0.0}, "rows/truth")
      writer.clips(step, "validation_clips/1", {"produced": clip})
      writer.flush()
client, number = store._client, store._run
(listed,) = client.search_runs(["1"])
assert listed.info.run_id == number and listed.info.run_name == "gsl run"
assert listed.data.params["model.width"] == "512"
points = client.get_metric_history(number, "train/loss")
print([(point.step, point.value) for point in points])
print(sorted(listed.data.metrics))
print([a.path for a in client.list_artifacts(number, "validation_clips/1")])
"""
needs_mlflow = pytest.mark.skipif(
  any(importlib.util.find_spec(n) is None for n in ("mlflow", "alembic")),
  reason='needs pip install "signllm-jax[mlflow]"',
)


@needs_mlflow
@pytest.mark.long
def test_every_step_once_and_no_connection(tmp_path):
  """R25: what came after the save is purged; nothing leaves the machine."""
  done = run(WRITTEN, ROOT, str(tmp_path / "run"))
  assert done.returncode == 0, done.stderr
  last = done.stdout.splitlines()[-3:]
  points, names, films = map(ast.literal_eval, last)
  assert points == [(1, 1.0), (2, 2.0), (3, 1.0), (4, 4 / 3), (5, 5 / 3)]
  assert names == ["train/loss", "validation/dtw_mje/truth"]
  assert [int(pathlib.Path(name).stem) for name in films] == [1, 2, 3, 4, 5]


@needs_mlflow
@pytest.mark.long
def test_a_run_in_a_bucket(bucket):
  """R25: the second process goes on from the copy in the bucket."""
  written = WRITTEN.replace("socket.socket = Refused", "")
  done = run(written, ROOT, f"{bucket.url}/run", **bucket.environment)
  assert done.returncode == 0, done.stderr
  assert len(ast.literal_eval(done.stdout.splitlines()[-3])) == 5
  assert "run/mlflow/mlflow.db" in bucket.names("run/mlflow/")


def test_writers_that_there_are_not_are_refused():
  settings = config_lib.Experiment(writers="tensorboard,wandb")
  with pytest.raises(errors.UsageError, match="tensorboard, mlflow"):
    config_check.check(settings)


def test_a_run_without_writers(tmp_path):
  settings = config_lib.Experiment(writers="")
  work = writers.workdir.WorkDir(paths.resolve(tmp_path), first=True)
  with writers.open_writers(settings, work, 0) as writer:
    writer.scalars(1, {"train/loss": 1.0})
    writer.clips(1, "clip", {"produced": small_runs.clip(0)})
  assert not list(tmp_path.iterdir())
