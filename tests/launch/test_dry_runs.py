"""What every launcher would run, and what it does when things go wrong (R27).

Commands of clouds and schedulers are stand-ins on PATH that write down how they
were called. To write the golden files anew:
  SIGNLLM_WRITE_GOLDEN=1 python -m pytest tests/launch/test_dry_runs.py
"""

import os
import pathlib
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time

import pytest
from helpers.paths import ROOT
from helpers.scripts_project import copy_scripts, stamp_setup

GOLDEN = pathlib.Path(__file__).parent / "golden"
TRAINING = "--config=configs/gsl.py '--workdir=runs/a b'"
TPU = "--zone=us-east5-b --nfs=10.0.0.2:/share"
BUCKET = "--zone=us-east5-b --bucket=gs://signllm-runs"
DRY_RUNS = {
  "local": f"local.sh --dry-run {TRAINING}",
  "local_several": f"local.sh --dry-run --processes=2 --devices=4 {TRAINING}",
  "slurm": f"slurm.sh --dry-run {TRAINING}",
  "tpu_create": f"tpu.sh create --dry-run {TPU}",
  "tpu_create_queued": f"tpu.sh create --dry-run {TPU} --queued --spot "
  "--type=v5litepod-16 --project=mine --name=other",
  "tpu_setup": f"tpu.sh setup --dry-run {TPU}",
  "tpu_doctor": f"tpu.sh doctor --dry-run {TPU}",
  "tpu_exec": f"tpu.sh exec --dry-run {TPU} python -m data_pipeline --help",
  "tpu_run": f"tpu.sh run --dry-run {TPU} {TRAINING}",
  "tpu_watch": f"tpu.sh watch --dry-run {TPU} --queued --spot {TRAINING}",
  "tpu_status": f"tpu.sh status --dry-run {TPU}",
  "tpu_logs": f"tpu.sh logs --dry-run {TPU}",
  "tpu_stop": f"tpu.sh stop --dry-run {TPU}",
  "tpu_delete": f"tpu.sh delete --dry-run {TPU}",
  "tpu_delete_queued": f"tpu.sh delete --dry-run {TPU} --queued",
  "bucket_create": f"tpu.sh create --dry-run {BUCKET} --type=v6e-16",
  "bucket_setup": f"tpu.sh setup --dry-run {BUCKET}",
  "bucket_doctor": f"tpu.sh doctor --dry-run {BUCKET}",
  "bucket_exec": f"tpu.sh exec {BUCKET} python -m data_pipeline --help "
  "--dry-run",
  "bucket_exec_words": f"tpu.sh exec --dry-run {BUCKET} -- "
  "python -m signllm_jax.train --dry-run",
  "bucket_run": f"tpu.sh run --dry-run {BUCKET} --config=configs/gsl.py",
  "bucket_watch": f"tpu.sh watch --dry-run {BUCKET} --type=v5litepod-8 "
  f"--queued --spot {TRAINING}",
  "bucket_status": f"tpu.sh status --dry-run {BUCKET}",
  "bucket_logs": f"tpu.sh logs --dry-run {BUCKET}",
  "bucket_stop": f"tpu.sh stop --dry-run {BUCKET}",
  "bucket_delete": f"tpu.sh delete --dry-run {BUCKET}",
  "setup": "setup.sh --dry-run",
  "quickstart": "quickstart.sh --dry-run --config.steps=100",
  "test": "test.sh --dry-run tests/core -x",
  "test_quick": "test.sh --dry-run --quick",
  "video": "video.sh --dry-run 'my videos' poses",
  "worker_setup": "tpu_worker.sh --dry-run setup 10.0.0.2:/share",
  "worker_start": f"tpu_worker.sh --dry-run start {TRAINING}",
  "worker_stop": "tpu_worker.sh --dry-run stop",
}
SCRIPTS = sorted({line.split()[0] for line in DRY_RUNS.values()})
# A PATH with the shell's own tools and none that could reach out.
PLAIN = {"PATH": "/usr/bin:/bin", "HOME": "/nowhere", "LC_ALL": "C"}


def run(line, cwd=ROOT, **env):
  return subprocess.run(
    ["bash", *shlex.split(line)],
    cwd=cwd,
    env=PLAIN | env,
    capture_output=True,
    text=True,
    timeout=60,
  )


@pytest.fixture
def project(tmp_path):
  """The scripts, set up, without packages."""
  folder = copy_scripts(tmp_path / "a project")
  (folder / ".venv" / "bin").mkdir(parents=True)
  stamp_setup(folder)
  return folder


def stand_in(path: pathlib.Path, script: str) -> pathlib.Path:
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_text(f"#!/bin/bash\n{script}\n")
  path.chmod(0o755)
  return path


def on_path(folder: pathlib.Path) -> dict[str, str]:
  return {
    "PATH": f"{folder}:{pathlib.Path(sys.executable).parent}:/usr/bin:/bin"
  }


@pytest.mark.parametrize("name", DRY_RUNS)
def test_dry_run_is_golden(name, project):
  """From a copy of the project, in which nothing may change."""
  before = sorted(project.rglob("*"))
  said = run(f"launch/{DRY_RUNS[name]}", cwd=project)
  assert (said.returncode, said.stderr) == (0, "")
  golden = GOLDEN / f"{name}.txt"
  if os.environ.get("SIGNLLM_WRITE_GOLDEN"):
    golden.write_text(said.stdout)
  assert said.stdout == golden.read_text()
  assert sorted(project.rglob("*")) == before
  parsed = subprocess.run(
    ["bash", "-n"], input=said.stdout, capture_output=True, text=True
  )
  assert parsed.stderr == ""


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_names_itself(script):
  said = run(f"launch/{script} --help")
  assert said.returncode == 0 and said.stderr == ""
  assert f"launch/{script}" in said.stdout and "--dry-run" in said.stdout


def test_every_script_is_tried():
  assert {p.name for p in (ROOT / "launch").glob("*.sh")} == {*SCRIPTS}


def test_sourced_file_is_clean():
  checker = pathlib.Path(sys.executable).with_name("shellcheck")
  said = subprocess.run(
    [checker, "--shell=bash", ROOT / "launch" / "dry_run.bash"],
    capture_output=True,
    text=True,
  )
  assert said.returncode == 0, said.stdout


@pytest.mark.parametrize(
  "line, message",
  [
    ("local.sh --processes=0", "numbers from 1, not '0'"),
    ("local.sh --devices=x --dry-run", "numbers from 1, not 'x'"),
    ("tpu.sh create --dry-run", "no zone"),
    ("tpu.sh create --dry-run --zone=z --type=gpu", "expected v6e-N"),
    ("tpu.sh create --dry-run --zone=z --type=tpu7x-8", "does not serve TPU7x"),
    ("tpu.sh create --dry-run --zone=z --bucket=b", "expected gs://NAME"),
    ("tpu.sh watch --dry-run --zone=z --restarts=many", "is no number"),
    ("tpu.sh fly --zone=z", "usage: launch/tpu.sh"),
    ("tpu_worker.sh", "usage: launch/tpu_worker.sh"),
    ("slurm.sh --config=c", "no Slurm job"),
  ],
)
def test_wrong_calls_are_refused(line, message):
  said = run(f"launch/{line}")
  assert said.returncode == 1 and message in said.stderr


def test_quoting_survives_the_shell():
  words = ["plain", "a b", "it's", "", "$HOME", '"', "a\\b", "*", "x;y"]
  said = subprocess.run(
    ["bash", "-c", 'source launch/dry_run.bash; quote "$@"', "-", *words],
    cwd=ROOT,
    capture_output=True,
    text=True,
  )
  assert shlex.split(said.stdout) == words


def test_local_hands_the_process_over(project):
  """The training is the script's own process: signals reach it."""
  stand_in(
    project / ".venv/bin/python", 'echo "$$ $GLIBC_TUNABLES $*"; exit 42'
  )
  process = subprocess.Popen(
    ["bash", "launch/local.sh", "--config=c"],
    cwd=project,
    env=PLAIN | on_path(project / "none"),
    stdout=subprocess.PIPE,
    text=True,
  )
  said, _ = process.communicate(timeout=30)
  assert process.returncode == 42
  assert said.startswith(f"{process.pid} ")
  assert said.endswith("-m signllm_jax.train --config=c\n")


WAITS_FOR_TERM = """
trap 'echo saved; exit 42' TERM
echo "process $JAX_PROCESS_ID of $JAX_NUM_PROCESSES at \
$JAX_COORDINATOR_ADDRESS, $JAX_NUM_CPU_DEVICES devices: $*"
while :; do sleep 0.05; done
"""


def test_simulation_passes_the_signal_on(project):
  stand_in(project / ".venv/bin/python", WAITS_FOR_TERM)
  with subprocess.Popen(
    ["bash", "launch/local.sh", "--processes=3", "--devices=2"],
    cwd=project,
    env=PLAIN | on_path(project / "none"),
    stdout=subprocess.PIPE,
    stderr=subprocess.PIPE,
    text=True,
  ) as process:
    assert process.stdout is not None
    first = process.stdout.readline()
    logs = [project / f"runs/local_sim/process-{i}.log" for i in (1, 2)]
    until(lambda: all(p.is_file() and p.read_text() for p in logs))
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=30)
  assert process.returncode == 42
  assert first.startswith("process 0 of 3 at 127.0.0.1:47321, 2 devices: -m")
  assert said.count("ended with 42") == 3
  assert logs[1].read_text().startswith("process 2 of 3")


def test_simulation_returns_the_first_failure(project):
  stand_in(project / ".venv/bin/python", 'exit "$((JAX_PROCESS_ID * 65))"')
  said = run(
    "launch/local.sh --processes=2", cwd=project, **on_path(project / "none")
  )
  assert said.returncode == 65 and "process 1 ended with 65" in said.stderr


def until(condition, seconds=20):
  deadline = time.monotonic() + seconds
  while not condition():
    assert time.monotonic() < deadline
    time.sleep(0.05)


@pytest.mark.parametrize(
  "code, requeued", [(42, True), (0, False), (65, False)]
)
def test_slurm_requeues_what_was_saved(project, tmp_path, code, requeued):
  stand_in(project / ".venv/bin/python", "")
  bin_ = tmp_path / "bin"
  stand_in(bin_ / "srun", f'echo "srun $*"; exit {code}')
  stand_in(bin_ / "scontrol", 'echo "scontrol $*"')
  # Slurm runs a copy of the script from a folder of its own.
  spool = tmp_path / "spool"
  spool.mkdir()
  shutil.copy(project / "launch/slurm.sh", spool / "slurm_script")
  said = run(
    f"{shlex.quote(str(spool / 'slurm_script'))} --config=c",
    cwd=tmp_path,
    SLURM_JOB_ID="7",
    SLURM_SUBMIT_DIR=str(project),
    **on_path(bin_),
  )
  assert said.returncode == code
  assert "signllm_jax.train --distributed=auto --config=c" in said.stdout
  assert ("scontrol requeue 7" in said.stdout) is requeued


def test_slurm_asks_for_the_signal_and_the_requeue():
  text = (ROOT / "launch/slurm.sh").read_text()
  head = text[: text.index("set -euo")]
  asked = dict(
    line.removeprefix("#SBATCH --").partition("=")[::2]
    for line in head.splitlines()
    if line.startswith("#SBATCH ")
  )
  assert "requeue" in asked and asked["open-mode"] == "append"
  assert asked["signal"].startswith("TERM@")  # to the steps, not the shell


def test_worker_starts_reports_and_stops(project):
  stand_in(project / ".venv/bin/python", WAITS_FOR_TERM)
  env = on_path(project / "none")

  def worker(line):
    return run(f"launch/tpu_worker.sh {line}", cwd=project, **env)

  assert worker("status").stdout == "idle\n"
  assert worker("start --config=c '--workdir=a b'").returncode == 0
  log = project / "train.log"
  until(lambda: log.is_file() and "--workdir=a b" in log.read_text())
  assert worker("status").stdout == "running\n"
  again = worker("start")
  assert again.returncode == 1 and "runs already" in again.stderr
  assert worker("stop").returncode == 0
  until(lambda: worker("status").stdout == "exit 42\n")
  assert "saved" in log.read_text()


def test_worker_that_vanished_is_not_running(project):
  (project / "train.pid").write_text("999999999")
  said = run("launch/tpu_worker.sh status", cwd=project)
  assert said.stdout == "exit 137\n"


GCLOUD = """
echo "$*" >>calls
case "$*" in
  *" describe "*) line=$(head -n 1 states); sed -i 1d states
    if [[ "$line" == NOT_FOUND ]]; then echo NOT_FOUND >&2; exit 1; fi
    echo "$line" ;;
  *" status") line=$(head -n 1 reports); sed -i 1d reports
    printf '%b\\n' "$line" ;;
esac
"""


def watched(project, tmp_path, states, reports, options=""):
  """Exit code, messages and calls of `tpu.sh watch` with such a cloud."""
  stand_in(tmp_path / "bin/gcloud", GCLOUD)
  stand_in(tmp_path / "bin/git", 'echo "git $*" >>calls')
  (project / "states").write_text("\n".join(states) + "\n")
  (project / "reports").write_text("\n".join(reports) + "\n")
  said = run(
    f"launch/tpu.sh watch --zone=z --config=c {options}",
    cwd=project,
    TPU_POLL_SECONDS="0",
    **on_path(tmp_path / "bin"),
  )
  calls = (project / "calls").read_text().splitlines()
  short = [re.sub(r"--command=cd signllm_jax && ", "", c) for c in calls]
  return said, [c.removeprefix("compute tpus ") for c in short]


def test_watch_waits_until_it_is_done(project, tmp_path):
  said, calls = watched(
    project,
    tmp_path,
    ["READY"] * 3,
    ["running\\nrunning", "running\\nexit 0", "exit 0\\nexit 0"],
  )
  assert said.returncode == 0 and "done" in said.stderr
  assert not any("start" in call.split() for call in calls)


def test_watch_starts_again_after_a_stop(project, tmp_path):
  said, calls = watched(
    project,
    tmp_path,
    ["READY"] * 3,
    ["idle\\nidle", "exit 42\\nexit 137", "exit 0\\nexit 0"],
  )
  assert said.returncode == 0
  assert sum("tpu_worker.sh start --config=c" in c for c in calls) == 2


@pytest.mark.parametrize("state", ["PREEMPTED", "TERMINATED", "NOT_FOUND"])
def test_watch_makes_a_preempted_tpu_anew(project, tmp_path, state):
  said, calls = watched(
    project,
    tmp_path,
    ["READY", state, "CREATING", "READY", "READY"],
    ["running", "exit 0"],
    "--spot",
  )
  assert said.returncode == 0
  kinds = [
    word
    for call in calls
    for word in ("delete", "create", "scp", "setup", "start")
    if word in call.split()
  ]
  assert (
    kinds
    == ["delete", "create", "scp", "setup", "start"][state == "NOT_FOUND" :]
  )
  assert any("create" in c and "--spot" in c for c in calls)


def test_watch_deletes_the_queued_resource_too(project, tmp_path):
  _, calls = watched(
    project,
    tmp_path,
    ["SUSPENDED", "READY", "READY"],
    ["exit 0"],
    "--queued --spot",
  )
  assert calls[1] == "queued-resources delete signllm --zone=z --force --quiet"
  assert calls[2].startswith("queued-resources create signllm --node-id=")


@pytest.mark.parametrize("code", [1, 65, 66])
def test_watch_gives_up_what_cannot_be_mended(project, tmp_path, code):
  said, calls = watched(
    project, tmp_path, ["READY"], [f"exit {code}\\nexit 134"]
  )
  assert said.returncode == code
  assert not any("start" in call.split() for call in calls)


def test_watch_has_a_limit(project, tmp_path):
  said, calls = watched(
    project, tmp_path, ["READY"] * 9, ["exit 137"] * 9, "--restarts=2"
  )
  assert said.returncode == 1 and "no restarts left" in said.stderr
  assert sum("tpu_worker.sh start" in c for c in calls) == 2


def test_watch_deletes_nothing_without_an_answer(project, tmp_path):
  """A laptop without a network must not cost the TPU."""
  stand_in(
    tmp_path / "bin/gcloud",
    'echo "$*" >>calls; [[ $(wc -l <calls) -gt 3 ]] || { echo down >&2; exit 1;'
    ' }\ncase "$*" in *describe*) echo READY;; *) echo exit 0;; esac',
  )
  said = run(
    "launch/tpu.sh watch --zone=z",
    cwd=project,
    TPU_POLL_SECONDS="0",
    **on_path(tmp_path / "bin"),
  )
  assert said.returncode == 0
  assert "delete" not in (project / "calls").read_text()


# ---- pages


def commands_of(page: pathlib.Path) -> list[str]:
  """Lines of the page's shell blocks."""
  blocks = re.findall(r"```bash\n(.*?)```", page.read_text(), re.DOTALL)
  return [line for block in blocks for line in block.splitlines() if line]


@pytest.mark.parametrize(
  "page", ["docs/tpu.md", "launch/README.md"], ids=lambda p: p
)
def test_commands_of_the_page_dry_run(page, project):
  lines = commands_of(ROOT / page)
  launched = [line for line in lines if line.startswith("launch/")]
  env = {}
  for line in lines:
    if line.startswith("export "):
      env |= dict(word.split("=", 1) for word in shlex.split(line)[1:])
  assert len(launched) >= 4
  for line in launched:
    words = line.split(" ", 2 if "tpu.sh" in line else 1)
    tried = " ".join([*words[:-1], "--dry-run", words[-1]])
    if len(words) == 2 and "tpu.sh" in line:
      tried = f"{line} --dry-run"
    said = run(tried, cwd=project, **env)
    assert (said.returncode, said.stderr) == (0, ""), line
    assert said.stdout
  for line in set(lines) - set(launched):
    assert line.split()[0] in ("gcloud", "export", "kubectl"), line


def test_page_for_tpus_is_in_order():
  """A newcomer gives the commands from top to bottom."""
  words = [
    line.split()[1]
    for line in commands_of(ROOT / "docs/tpu.md")
    if line.startswith("launch/tpu.sh")
  ]
  order = ["create", "setup", "doctor", "exec", "watch", "logs", "delete"]
  assert [word for word in dict.fromkeys(words) if word in order] == order


def test_matrix_names_files_that_are_there():
  text = (ROOT / "launch/README.md").read_text()
  named = set(re.findall(r"`(?:sbatch )?(launch/[\w.]+)`", text))
  assert len(named) >= 8
  for name in named:
    assert (ROOT / name).is_file(), name
