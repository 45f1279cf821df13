"""Work directories in buckets: R15 there, TensorBoard, the report."""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import pytest
from helpers import events
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server
from helpers.paths import ROOT

from signllm_jax import config as config_lib
from signllm_jax.core import errors, paths
from signllm_jax.runs import bucket_lock, tensorboard, workdir

HOLDER = """
import sys, time
from signllm_jax import config
from signllm_jax.runs import workdir
with workdir.open_workdir(sys.argv[1], config.Experiment()):
  print("held", flush=True)
  time.sleep(60)
"""


def holder(bucket, url) -> subprocess.Popen[str]:
  process = subprocess.Popen(
    [sys.executable, "-c", HOLDER, url],
    cwd=ROOT,
    env=os.environ | bucket.environment,
    stdout=subprocess.PIPE,
    text=True,
  )
  assert process.stdout is not None and process.stdout.readline() == "held\n"
  return process


def test_second_trainer_is_refused_and_a_dead_one_replaced(bucket):
  """R15: in a bucket."""
  url = f"{bucket.url}/run"
  with holder(bucket, url) as process:
    for refused in (workdir.check_workdir, workdir.open_workdir):
      with (
        pytest.raises(errors.UsageError, match=f"process {process.pid} on"),
        refused(url, config_lib.Experiment()) or contextlib.nullcontext(),
      ):
        pass
    process.send_signal(signal.SIGKILL)
  with workdir.open_workdir(url, config_lib.Experiment()) as work:
    work.check_lock()
    work.write_text(work.report, "ü")
    locks = bucket.names("run/lock/")
    assert locks == ["run/lock/000001.json", "run/lock/000002.json"]
  assert json.loads(bucket.content(locks[1]))["state"] == "released"
  assert workdir.read_config(url) == config_lib.Experiment()
  with workdir.open_workdir(url, config_lib.Experiment()):
    pass  # at once, as it was released


def test_an_owner_of_another_machine(bucket, monkeypatch):
  """R15: refused by its sign of life, replaced after its silence."""
  folder = paths.resolve(bucket.url, "run")
  monkeypatch.setattr(bucket_lock, "BEAT_S", 0.2)
  monkeypatch.setattr(bucket_lock, "DEAD_S", 2.0)
  first = bucket_lock.BucketLock(folder)
  monkeypatch.setattr(bucket_lock, "_machine", lambda: "another")
  with pytest.raises(errors.UsageError, match=f"process {os.getpid()} on"):
    bucket_lock.BucketLock(folder)
  first._ended.set()  # it hangs
  first._thread.join()
  started = time.monotonic()
  with bucket.lists_lag():
    second = bucket_lock.BucketLock(folder)
  assert time.monotonic() - started > 1
  second.check()
  with pytest.raises(errors.StorageError, match="taken this work directory"):
    first.check()
  first.release()
  second.check()
  second.release()


def test_of_many_starters_one_gets_the_lock(bucket, monkeypatch):
  """R15: the condition of the write decides, not the list."""
  folder = paths.resolve(bucket.url, "run")
  monkeypatch.setattr(bucket_lock, "_newest", lambda _: 0)
  first = bucket_lock.BucketLock(folder)
  monkeypatch.undo()
  for name, value in bucket.environment.items():
    monkeypatch.setenv(name, value)
  with bucket.lists_lag():
    bucket.lists = {}
    with pytest.raises(errors.UsageError):
      bucket_lock.BucketLock(folder)
  first.release()


def test_events_are_read_by_tensorboard(bucket, tmp_path, monkeypatch, capfd):
  """R25: in a bucket, every step once after a resume; also in several."""
  monkeypatch.setattr(tensorboard, "_LARGE", 200)
  folder = paths.resolve(bucket.url, "run", "tensorboard")
  for start in (0, 3):
    with tensorboard.Writer(folder, start) as writer:
      for step in range(start + 1, start + 6):
        writer.scalars(step, {"loss": step / 2})
        writer.flush()
  names = bucket.names("run/tensorboard/")
  assert len(names) > 2
  for name in names:
    (tmp_path / pathlib.Path(name).name).write_bytes(bucket.content(name))
  shown = events.shown(tmp_path, "loss")
  assert shown == [(step, step / 2) for step in range(1, 9)]
  bucket.writes_left = 0
  with tensorboard.Writer(folder, 0) as writer:
    writer.scalars(1, {"loss": 1})
  assert "training goes on without" in capfd.readouterr().err
