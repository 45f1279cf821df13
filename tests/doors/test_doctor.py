"""The command that checks a machine."""

import socket
import subprocess
import sys

import jax
from helpers.built_data import built
from helpers.paths import ROOT

from signllm_jax import doctor


def test_fit_place_exits_zero(tmp_path, capsys):
  folder = built(tmp_path / "data", 4)
  with socket.create_server(("127.0.0.1", 0)) as server:
    address = f"127.0.0.1:{server.getsockname()[1]}"
    code = doctor.main(
      [
        f"--data={folder}",
        "--hosts=2",
        f"--workdir={tmp_path / 'not' / 'yet'}",
        "--need-gb=0.001",
        f"--coordinator={address}",
      ]
    )
  lines = capsys.readouterr().out.splitlines()
  assert code == 0 and all(line.startswith("ok ") for line in lines)
  checks = ["versions", "devices", "disk", "clock", "data", "coordinator"]
  assert [line.split()[1] for line in lines] == checks
  assert f"jax {jax.__version__}" in lines[0]
  assert "8 x cpu" in lines[1]
  assert "shards: train 4, dev 4; hosts: 2" in lines[4]
  assert not (tmp_path / "not").exists()


def test_first_fault_gives_the_code_and_all_are_printed(tmp_path, capsys):
  code = doctor.main(
    [
      f"--workdir={tmp_path}",
      "--need-gb=1e9",
      f"--data={tmp_path}",
      "--coordinator=here",
    ]
  )
  lines = capsys.readouterr().out.splitlines()
  faults = [line for line in lines if line.startswith("FAULT")]
  assert code == 74 and len(faults) == 3
  assert "GiB free" in faults[0] and "Free some space" in faults[0]
  assert "Is the share mounted" in faults[1]
  assert "HOST:PORT" in faults[2]


def test_dry_run_checks_nothing(capsys):
  assert doctor.main(["--dry-run", "--data=/nowhere"]) == 0
  said = capsys.readouterr().out
  assert said == "versions\ndevices\ndisk\nclock\ndata\n"


def test_command_line():
  said = subprocess.run(
    [sys.executable, "-m", "signllm_jax.doctor", "--help"],
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert said.returncode == 0 and "exit codes" in said.stdout
