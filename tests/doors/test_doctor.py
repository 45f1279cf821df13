"""Every check of the doctor: what it says when fit, and when not."""

import json
import pathlib
import socket
import subprocess
import sys

import jax
import pytest
from helpers.paths import ROOT

from signllm_jax import doctor
from signllm_jax.core import errors


def built(folder: pathlib.Path, shards: int) -> pathlib.Path:
  folder.mkdir()
  splits = [
    {"name": name, "shardLengths": ["3"] * shards} for name in ("train", "dev")
  ]
  described = {"fileFormat": "tfrecord", "splits": splits}
  (folder / "dataset_info.json").write_text(json.dumps(described))
  for split in ("train", "dev"):
    for i in range(shards):
      name = f"x-{split}.tfrecord-{i:05}-of-{shards:05}"
      (folder / name).write_bytes(b"record")
  return folder


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


def test_first_fault_gives_the_code_and_all_are_told(tmp_path, capsys):
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
  assert "GiB free" in faults[0] and "Make room" in faults[0]
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


def test_wrong_version_is_named(monkeypatch):
  monkeypatch.setattr(
    doctor.importlib.metadata,
    "requires",
    lambda _: ["numpy>=99", "absent-thing>=1", "jax>=9; extra == 'gpu'"],
  )
  with pytest.raises(errors.UsageError, match=r"numpy .*not >=99") as caught:
    doctor.check_versions()
  assert "absent-thing is missing" in str(caught.value)
  assert "jax" not in str(caught.value).replace("signllm_jax", "")


@pytest.mark.parametrize(
  "device, kind", [("nvidia0", "gpu"), ("accel0", "tpu"), ("vfio/0", "tpu")]
)
def test_accelerator_that_jax_does_not_see(tmp_path, monkeypatch, device, kind):
  path = tmp_path / "dev" / device
  path.parent.mkdir(parents=True)
  path.touch()
  assert doctor.accelerator_of(tmp_path) == kind
  monkeypatch.delenv("JAX_PLATFORMS", raising=False)
  with pytest.raises(errors.UsageError, match=f"launch/{kind}.lock"):
    doctor.check_devices(tmp_path)
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")  # then it is wanted so
  assert "cpu" in doctor.check_devices(tmp_path)


def test_machine_without_accelerator(tmp_path):
  (tmp_path / "dev" / "vfio").mkdir(parents=True)
  (tmp_path / "dev" / "vfio" / "vfio").touch()
  assert doctor.accelerator_of(tmp_path) == ""


def test_fewer_shards_than_hosts_is_said(tmp_path):
  folder = built(tmp_path / "data", 2)
  assert "--shards=8" in doctor.check_data(str(folder), 8)


@pytest.mark.parametrize("spoil", ["unlink", "empty"])
def test_missing_and_empty_shards_are_faults(tmp_path, spoil):
  folder = built(tmp_path / "data", 3)
  victim = folder / "x-dev.tfrecord-00001-of-00003"
  if spoil == "unlink":
    victim.unlink()
  else:
    victim.write_bytes(b"")
  with pytest.raises(errors.DataError, match="'dev' has") as caught:
    doctor.check_data(str(folder), 1)
  assert "expected 3" in str(caught.value)


def test_description_that_is_none(tmp_path):
  (tmp_path / "dataset_info.json").write_text('{"splits": [{}]}')
  with pytest.raises(errors.DataError, match=r"dataset_info\.json"):
    doctor.check_data(str(tmp_path), 1)


def test_folder_of_skels_is_data(tmp_path):
  (tmp_path / "train.skels").write_text("")
  assert "reads all" in doctor.check_data(str(tmp_path), 2)


def test_checkpoints_need_room_three_times(tmp_path, monkeypatch):
  step = tmp_path / "checkpoints" / "4"
  step.mkdir(parents=True)
  (step / "arrays").write_bytes(b"x" * 2**20)
  usage = doctor.shutil.disk_usage(tmp_path)
  for free, fits in ((3 * 2**20, True), (3 * 2**20 - 1, False)):
    monkeypatch.setattr(
      doctor.shutil,
      "disk_usage",
      lambda _, free=free: usage._replace(free=free),
    )
    if fits:
      assert "free at" in doctor.check_disk(str(tmp_path), 0.001)
    else:
      with pytest.raises(errors.StorageError, match="Make room"):
        doctor.check_disk(str(tmp_path), 0.001)


def test_clock_far_from_the_file_servers(tmp_path, monkeypatch):
  assert "0.0 s from the file system" in doctor.check_clock(str(tmp_path))
  now = doctor.time.time()
  monkeypatch.setattr(doctor.time, "time", lambda: now + 100)
  with pytest.raises(errors.StorageError, match=r"\d\.\d s apart"):
    doctor.check_clock(str(tmp_path))


def test_nobody_at_the_coordinators_port():
  with socket.socket() as unused:
    unused.bind(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    with pytest.raises(errors.StorageError, match="does not answer") as caught:
      doctor.check_coordinator(f"127.0.0.1:{port}")
  assert "Process 0 must be running" in str(caught.value)


@pytest.mark.parametrize("address", ["host", "host:", ":1", "h:99999", "h:¹"])
def test_address_is_host_and_port(address):
  with pytest.raises(errors.UsageError, match="HOST:PORT"):
    doctor.check_coordinator(address)
