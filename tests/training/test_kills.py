"""Trainings that are killed at any time: R4, R7, R24 and R26."""

import json
import os
import pathlib
import random
import subprocess
import time

import pytest
from helpers import events, small_runs

from signllm_jax.runs import checkpoint_manifest

STEPS = 300
WARM_S = 30  # of a run, until its pools of threads and of memory are filled
# TensorStore's to_json (0.1.76 to 0.1.86) never releases its strings, and Orbax
# calls it for every array that it saves: 4 strings of 70 bytes, 181 arrays.
NOT_RELEASED_MB = 4 * 70 * 181 / 1e6  # of a save
SOAK_S = float(os.environ.get("SIGNLLM_SOAK_S", "120"))
SAVE_EVERY = 7
RUN = (
  f"--config.steps={STEPS}",
  f"--config.checkpoint.every={SAVE_EVERY}",
  "--config.plc.pool=2",
  "--config.data.batch_size=8",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("skels")
  small_runs.write_folder(path, [small_runs.clip(i) for i in range(20)])
  return path


def _finish(folder, work, *extra, **environment) -> str:
  with small_runs.start(folder, work, *RUN, *extra, **environment) as process:
    said, _ = process.communicate(timeout=max(500, 2 * SOAK_S))
  assert process.returncode == 0, said
  return said


def _digests(work: pathlib.Path) -> dict[int, str]:
  return {
    int(path.name): checkpoint_manifest.read(path)["digest"]
    for path in (work / "checkpoints").iterdir()
    if path.name.isdigit()
  }


@pytest.fixture(scope="module")
def undisturbed(folder, tmp_path_factory):
  """An undisturbed run, with all its checkpoints."""
  work = tmp_path_factory.mktemp("undisturbed")
  _finish(folder, work, "--config.checkpoint.keep=1000")
  return work


def _kill_soon(process, work: pathlib.Path, draw: random.Random) -> None:
  """SIGKILL within half a second after a save has begun or ended."""
  saved = work / "checkpoints"
  before = set(os.listdir(saved)) if saved.exists() else set()
  deadline = time.monotonic() + 240
  while not (saved.exists() and set(os.listdir(saved)) - before):
    assert time.monotonic() < deadline and process.poll() is None
    time.sleep(0.005)
  # At once or later: in the save, after it, or in one that follows.
  time.sleep(draw.choice((0, draw.random() / 20, draw.random() / 2)))
  process.kill()
  process.wait()


def _resources(
  process: subprocess.Popen[str], work: pathlib.Path
) -> tuple[float, int, int]:
  """Least resident memory in MB and open files of a process in 3 s; its saves.

  A save in the background opens files for a moment.
  """
  memory, opened = [], []
  for _ in range(30):
    _drain(process, 0.1)
    home = pathlib.Path(f"/proc/{process.pid}")
    pages = int((home / "statm").read_text().split()[1])
    memory.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    opened.append(len(os.listdir(home / "fd")))
  steps = (work / "checkpoints").iterdir()
  newest = max(int(path.name) for path in steps if path.name.isdigit())
  return min(memory), min(opened), newest // SAVE_EVERY


def _drain(process: subprocess.Popen[str], seconds: float) -> None:
  """Reads the output of a process, so that it can go on writing."""
  assert process.stdout is not None
  end = time.monotonic() + seconds
  while time.monotonic() < end:
    assert process.poll() is None and process.stdout.read(16)


@pytest.mark.slow
def test_killed_at_any_time(folder, undisturbed, tmp_path):
  """R4: what is restored was committed and is the undisturbed run's state.

  R25 too: TensorBoard shows every step once.
  """
  expected = _digests(undisturbed)
  draw = random.Random(time.time_ns())  # of new times at each run
  last = 0
  for _ in range(6):
    with small_runs.start(folder, tmp_path, *RUN) as process:
      _kill_soon(process, tmp_path, draw)
    found = _digests(tmp_path)
    assert found == {step: expected[step] for step in found}
    assert max(found, default=0) >= last
    last = max(found, default=0)
    if last > STEPS - 50:
      break
  _finish(folder, tmp_path)
  assert _digests(tmp_path)[STEPS] == expected[STEPS]
  assert not (tmp_path / "quarantine").exists()
  losses = events.shown(tmp_path, "train/loss")
  assert losses == events.shown(undisturbed, "train/loss")
  assert [step for step, _ in losses] == list(range(1, STEPS + 1))


@pytest.mark.slow
def test_rerun_on_other_cores_is_bitwise_equal(folder, undisturbed, tmp_path):
  """R7: one core or two, with dropout."""
  config = json.loads((undisturbed / "config.json").read_text())
  assert config["model"]["dropout"] > 0
  cores = sorted(os.sched_getaffinity(0))
  if len(cores) < 2:
    pytest.skip("this machine has one core")
  for number, chosen in enumerate((cores[:1], cores[:2])):
    os.sched_setaffinity(0, chosen)  # a process inherits it
    try:
      _finish(folder, tmp_path / str(number))
    finally:
      os.sched_setaffinity(0, cores)
    digest = _digests(tmp_path / str(number))[STEPS]
    assert digest == _digests(undisturbed)[STEPS]


@pytest.mark.slow
@pytest.mark.timeout(3 * SOAK_S + 600)
def test_soak(folder, tmp_path):
  """R26: memory, descriptors and disk are flat while a run is killed often.

  SIGNLLM_SOAK_S gives its seconds; the trial's are 1200. The last checkpoint is
  that of a run of as many steps that nothing disturbs.
  """
  draw = random.Random(time.time_ns())
  constant = "--config.optim.schedule=constant"  # whatever the last step is
  endless = (*RUN, constant, "--config.steps=1000000")
  end = time.monotonic() + SOAK_S
  seen = []
  while time.monotonic() < end or len(seen) < 2:
    with small_runs.start(folder, tmp_path / "killed", *endless) as process:
      try:
        small_runs.wait_for_training(process)
        _drain(process, WARM_S)
        memory, opened, saves = _resources(process, tmp_path / "killed")
        _drain(process, 10 + draw.random() * SOAK_S / 6)
        later = _resources(process, tmp_path / "killed")
      finally:
        process.kill()
    released = NOT_RELEASED_MB * (later[2] - saves)
    entries = len(os.listdir(tmp_path / "killed" / "checkpoints"))
    seen.append((later[0] - memory - released, later[1] - opened, entries))
  assert max(megabytes for megabytes, _, _ in seen) < 50, seen
  assert max(opened for _, opened, _ in seen) <= 4, seen
  assert max(entries for _, _, entries in seen) <= 5, seen  # 3 kept, 2 moving
  assert not (tmp_path / "killed" / "quarantine").exists()
  digests = _digests(tmp_path / "killed")
  last = max(digests)
  _finish(folder, tmp_path / "whole", constant, f"--config.steps={last}")
  assert _digests(tmp_path / "whole")[last] == digests[last]
