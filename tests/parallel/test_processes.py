"""Several processes over loopback: R2, R3, R8, R9 and R10."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import jax
import numpy as np
import pytest
from helpers.paths import DATA, ROOT
from tensorboardX.proto import event_pb2

from data_pipeline.building import build, build_plan
from signllm_jax.core import clips, errors
from signllm_jax.formats import skels, tfrecord
from signllm_jax.parallel import processes as processes_lib
from signllm_jax.runs import checkpoint_manifest

MINI = DATA / "phoenix14t_mini"
HEARTBEAT_S = 10
LIMIT_S = 500  # of a run that does not hang, on a busy machine
TINY = (
  "--config=configs/gsl.py",
  "--config.model.width=16",
  "--config.model.feed_forward=16",
  "--config.model.encoder_layers=1",
  "--config.model.decoder_layers=1",
  "--config.data.max_frames=32",
  "--config.data.bucket=32",
  "--config.data.batch_size=8",
  "--config.evaluate.batch_size=8",
  "--config.evaluate.every=0",
  "--config.evaluate.clips=0",
  "--config.optim.schedule=constant",
  "--config.log_every=1",
)


def free_port() -> int:
  with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    return probe.getsockname()[1]


class Trainers:
  """One run: `processes` of them with so many simulated devices each."""

  def __init__(self, folder, work, processes, devices, *flags):
    self.logs = [work.with_name(f"{work.name}.{i}") for i in range(processes)]
    port = free_port()
    base = os.environ | {
      "JAX_PLATFORMS": "cpu",
      "JAX_NUM_CPU_DEVICES": str(devices),
      "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    }
    self.all = []
    for number, log in enumerate(self.logs):
      env, several = base, []
      if processes > 1:
        several = ["--distributed=auto", f"--heartbeat={HEARTBEAT_S}"]
        env = base | {
          "JAX_COORDINATOR_ADDRESS": f"127.0.0.1:{port}",
          "JAX_NUM_PROCESSES": str(processes),
          "JAX_PROCESS_ID": str(number),
        }
      with log.open("w") as file:
        self.all.append(
          subprocess.Popen(
            [
              sys.executable,
              "-m",
              "signllm_jax.train",
              *several,
              *TINY,
              f"--config.data.folder={folder}",
              f"--workdir={work}",
              *flags,
            ],
            cwd=ROOT,
            env=env,
            stdout=file,
            stderr=subprocess.STDOUT,
          )
        )

  def __enter__(self) -> "Trainers":
    return self

  def __exit__(self, *_) -> None:
    for process in self.all:
      process.kill()
      process.wait()

  def said(self) -> list[str]:
    return [log.read_text() for log in self.logs]

  def wait(self) -> list[int]:
    deadline = time.monotonic() + LIMIT_S
    return [p.wait(max(deadline - time.monotonic(), 0)) for p in self.all]

  def until(self, condition) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not condition():
      assert time.monotonic() < deadline, self.said()
      assert all(p.poll() is None for p in self.all), self.said()
      time.sleep(0.05)


def ran(folder, work, processes, devices, *flags) -> list[str]:
  """What the processes of a run said that ends with 0."""
  with Trainers(folder, work, processes, devices, *flags) as trainers:
    codes = trainers.wait()
    assert codes == [0] * processes, trainers.said()
    return trainers.said()


def digest(work, step) -> str:
  return checkpoint_manifest.read(work / "checkpoints" / str(step))["digest"]


def losses(work) -> dict[int, float]:
  """Loss of every step, as TensorBoard would show it."""
  found = {}
  for path in sorted(work.glob("events*")):
    for record in tfrecord.TFRecordFiles([str(path)]):
      event = event_pb2.Event.FromString(bytes(record))
      for value in event.summary.value:
        if value.tag == "train/loss":
          found[event.step] = value.simple_value
  return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  """Thirteen clips, which two hosts cannot share evenly, and three."""
  path = tmp_path_factory.mktemp("skels")
  for split, count in (("train", 13), ("dev", 3)):
    random = np.random.default_rng(count)
    listed = []
    for number in range(count):
      frames = np.cumsum(random.normal(0, 0.02, (20, 50, 3)), 0)
      frames[:, 1] = 0
      frames[:, 2], frames[:, 5] = (-1 / 6, 0, 0), (1 / 6, 0, 0)
      listed.append(
        clips.Clip(
          frames.astype(np.float32),
          np.ones((20, 50), bool),
          name=f"{split}{number}",
          text="abcdefg"[number % 7],
        )
      )
    skels.write(path / f"{split}.skels", listed)
    for suffix, field in (("text", "text"), ("files", "name")):
      lines = "".join(f"{getattr(clip, field)}\n" for clip in listed)
      (path / f"{split}.{suffix}").write_text(lines)
  return path


# ---- the parts


@pytest.mark.parametrize(
  "address, inside",
  [
    ("127.0.0.1:1", True),
    ("127.9.9.9:1", True),
    ("[::1]:1", True),
    ("localhost:1", True),
    ("10.0.0.1:1", False),
    ("localhost.example:1", False),
    ("host:1", False),
  ],
)
def test_loopback_is_recognised(address, inside):
  assert processes_lib.is_loopback(address) is inside


def test_single_process_votes_for_itself():
  vote = processes_lib.Vote()
  assert [vote.ask(yes) for yes in (False, True, False)] == [False, True, False]
  assert processes_lib.any_process(True) and not processes_lib.any_process(
    False
  )


def test_off_starts_nothing():
  processes_lib.start("off")
  assert not jax.distributed.is_initialized()


@pytest.mark.parametrize("number", ["", "one", "-1", "²"])
def test_half_an_environment_is_refused(monkeypatch, number):
  monkeypatch.setenv("JAX_COORDINATOR_ADDRESS", "127.0.0.1:1")
  monkeypatch.setenv("JAX_NUM_PROCESSES", "2")
  monkeypatch.setenv("JAX_PROCESS_ID", number)
  with pytest.raises(errors.UsageError, match="JAX_PROCESS_ID"):
    processes_lib.start("auto")


def probe(code: str, **env) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, "-c", code],
    cwd=ROOT,
    env=os.environ | {"JAX_PLATFORMS": "cpu"} | env,
    capture_output=True,
    text=True,
    timeout=120,
  )


def test_nothing_detected_says_what_to_set():
  said = probe(
    "from signllm_jax.core import errors\n"
    "from signllm_jax.parallel import processes\n"
    "try: processes.start('auto')\n"
    "except errors.UsageError as error: print(error)"
  )
  assert "JAX_COORDINATOR_ADDRESS" in said.stdout, said.stderr
  assert "leave the flag out" in said.stdout


def test_coordinator_listens_on_loopback_alone():
  said = probe(
    "import psutil\n"
    "from signllm_jax.parallel import processes\n"
    "processes.start('auto')\n"
    "for c in psutil.Process().net_connections('tcp'):\n"
    "  if c.status == 'LISTEN': print(*c.laddr)",
    JAX_COORDINATOR_ADDRESS=f"127.0.0.1:{(port := free_port())}",
    JAX_NUM_PROCESSES="1",
    JAX_PROCESS_ID="0",
  )
  listening = said.stdout.replace("::ffff:", "").splitlines()
  assert listening == [f"127.0.0.1 {port}"], said.stderr


# ---- whole runs


@pytest.mark.slow
@pytest.mark.skipif(not MINI.exists(), reason="../shared/data is not there")
def test_two_processes_equal_two_devices(tmp_path):
  """R9, on five real sentences: bit for bit, also what is scored."""
  flags = ("--config.steps=20", "--config.checkpoint.every=10")
  one, two = tmp_path / "one", tmp_path / "two"
  ran(MINI, one, 1, 2, *flags)
  ran(MINI, two, 2, 1, *flags)
  for step in (10, 20):
    assert digest(two, step) == digest(one, step)
  assert losses(two) == losses(one) and sorted(losses(two)) == [*range(1, 21)]
  reports = [json.loads((w / "report.json").read_text()) for w in (one, two)]
  assert reports[0]["rows"] == reports[1]["rows"]
  # Process 0 alone writes: one file of events a run.
  assert len(list(two.glob("events*"))) == 1


@pytest.mark.slow
def test_sigterm_to_one_stops_both_at_one_step(folder, tmp_path):
  """R2: whichever got it, both save the same step and end with 42."""
  work = tmp_path / "work"
  with Trainers(folder, work, 2, 1, "--config.steps=100000") as trainers:
    trainers.until(lambda: "loss" in trainers.said()[0])
    trainers.all[1].send_signal(signal.SIGTERM)
    assert trainers.wait() == [42, 42], trainers.said()
    steps = [re.findall(r"step (\d+) is saved", s) for s in trainers.said()]
  assert steps[0] == steps[1] and len(steps[0]) == 1
  saved = [path.name for path in (work / "checkpoints").iterdir()]
  assert saved == steps[0]


@pytest.mark.slow
@pytest.mark.parametrize(
  "victim, number",
  [(1, signal.SIGKILL), (0, signal.SIGKILL), (1, signal.SIGSTOP)],
)
def test_lost_process_ends_the_other(folder, tmp_path, victim, number):
  """R3: within the heartbeat and 10 s, not 0; the next start goes on."""
  work = tmp_path / "work"
  endless = ("--config.steps=100000", "--config.checkpoint.every=2")
  with Trainers(folder, work, 2, 1, *endless) as trainers:
    trainers.until(lambda: (work / "checkpoints" / "2").exists())
    trainers.all[victim].send_signal(number)
    other = trainers.all[1 - victim]
    assert other.wait(HEARTBEAT_S + 10) != 0, trainers.said()
  newest = max(
    int(p.name) for p in (work / "checkpoints").iterdir() if p.name.isdigit()
  )
  for said in ran(folder, work, 2, 1, f"--config.steps={newest + 1}"):
    assert f"resuming at step {newest}" in said and "DAMAGED" not in said


@pytest.mark.slow
def test_run_moves_between_devices_and_processes(folder, tmp_path):
  """R8: 8 devices, 4, fsdp, 2 processes, 1; restored states keep digests."""
  straight, moved = tmp_path / "straight", tmp_path / "moved"
  ran(folder, straight, 1, 8, "--config.steps=10")
  moves = (
    (2, 1, 8, 1),
    (4, 1, 4, 1),
    (6, 1, 4, 2),
    (8, 2, 1, 1),
    (10, 1, 1, 1),
  )
  for steps, processes, devices, fsdp in moves:
    flags = (f"--config.steps={steps}", f"--config.mesh.fsdp={fsdp}")
    for said in ran(folder, moved, processes, devices, *flags):
      assert (f"resuming at step {steps - 2}" in said) == (steps > 2)
      assert "DAMAGED" not in said
  want, found = losses(straight), losses(moved)
  assert list(found) == list(want) == [*range(1, 11)]
  np.testing.assert_allclose([*found.values()], [*want.values()], rtol=1e-5)


@pytest.mark.slow
def test_one_shard_serves_two_hosts(folder, tmp_path):
  """R10: fewer shards than hosts, and examples that hosts cannot share."""
  built = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl", str(tmp_path), input=str(folder), shards=1
    )
  )
  work = tmp_path / "work"
  ran(built, work, 2, 1, "--config.steps=2")
  assert json.loads((work / "report.json").read_text())["sequences"] == 3


@pytest.mark.slow
def test_empty_evaluation_split_ends_both(folder, tmp_path):
  """R10: said by both, nobody waits for the other."""
  data = tmp_path / "data"
  data.mkdir()
  for path in folder.glob("train.*"):
    (data / path.name).write_bytes(path.read_bytes())
  for suffix in ("skels", "text", "files"):
    (data / f"dev.{suffix}").touch()
  with Trainers(data, tmp_path / "work", 2, 1) as trainers:
    assert trainers.wait() == [65, 65], trainers.said()
    assert all("dev" in said for said in trainers.said())
