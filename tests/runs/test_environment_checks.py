"""Each check of a machine, with and without its fault."""

import socket

import pytest
from helpers.built_data import built

from signllm_jax.core import errors
from signllm_jax.runs import environment_checks


def test_wrong_version_is_named(monkeypatch):
  monkeypatch.setattr(
    environment_checks.importlib.metadata,
    "requires",
    lambda _: ["numpy>=99", "absent-thing>=1", "jax>=9; extra == 'gpu'"],
  )
  with pytest.raises(errors.UsageError, match=r"numpy .*not >=99") as caught:
    environment_checks.check_versions()
  assert "absent-thing is missing" in str(caught.value)
  assert "jax" not in str(caught.value).replace("signllm_jax", "")


@pytest.mark.parametrize(
  "device, kind", [("nvidia0", "gpu"), ("accel0", "tpu"), ("vfio/0", "tpu")]
)
def test_accelerator_that_jax_does_not_see(tmp_path, monkeypatch, device, kind):
  path = tmp_path / "dev" / device
  path.parent.mkdir(parents=True)
  path.touch()
  assert environment_checks.accelerator_of(tmp_path) == kind
  monkeypatch.delenv("JAX_PLATFORMS", raising=False)
  with pytest.raises(errors.UsageError, match=f"launch/{kind}.lock"):
    environment_checks.check_devices(tmp_path)
  monkeypatch.setenv("JAX_PLATFORMS", "cpu")  # then it is wanted so
  assert "cpu" in environment_checks.check_devices(tmp_path)


def test_machine_without_accelerator(tmp_path):
  (tmp_path / "dev" / "vfio").mkdir(parents=True)
  (tmp_path / "dev" / "vfio" / "vfio").touch()
  assert environment_checks.accelerator_of(tmp_path) == ""


def test_fewer_shards_than_hosts_is_said(tmp_path):
  folder = built(tmp_path / "data", 2)
  assert "--shards=8" in environment_checks.check_data(str(folder), 8)


@pytest.mark.parametrize("spoil", ["unlink", "empty"])
def test_missing_and_empty_shards_are_faults(tmp_path, spoil):
  folder = built(tmp_path / "data", 3)
  victim = folder / "x-dev.tfrecord-00001-of-00003"
  if spoil == "unlink":
    victim.unlink()
  else:
    victim.write_bytes(b"")
  with pytest.raises(errors.DataError, match="'dev' has") as caught:
    environment_checks.check_data(str(folder), 1)
  assert "expected 3" in str(caught.value)


def test_description_that_is_none(tmp_path):
  (tmp_path / "dataset_info.json").write_text('{"splits": [{}]}')
  with pytest.raises(errors.DataError, match=r"dataset_info\.json"):
    environment_checks.check_data(str(tmp_path), 1)


def test_folder_of_skels_is_data(tmp_path):
  (tmp_path / "train.skels").write_text("")
  assert "reads all" in environment_checks.check_data(str(tmp_path), 2)


def test_checkpoints_need_room_three_times(tmp_path, monkeypatch):
  step = tmp_path / "checkpoints" / "4"
  step.mkdir(parents=True)
  (step / "arrays").write_bytes(b"x" * 2**20)
  usage = environment_checks.shutil.disk_usage(tmp_path)
  for free, fits in ((3 * 2**20, True), (3 * 2**20 - 1, False)):
    monkeypatch.setattr(
      environment_checks.shutil,
      "disk_usage",
      lambda _, free=free: usage._replace(free=free),
    )
    if fits:
      assert "free at" in environment_checks.check_disk(str(tmp_path), 0.001)
    else:
      with pytest.raises(errors.StorageError, match="Free some space"):
        environment_checks.check_disk(str(tmp_path), 0.001)


def test_clock_far_from_the_file_servers(tmp_path, monkeypatch):
  assert "0.0 s from the file system" in environment_checks.check_clock(
    str(tmp_path)
  )
  now = environment_checks.time.time()
  monkeypatch.setattr(environment_checks.time, "time", lambda: now + 100)
  with pytest.raises(errors.StorageError, match=r"\d\.\d s apart"):
    environment_checks.check_clock(str(tmp_path))


def test_nobody_at_the_coordinators_port():
  with socket.socket() as unused:
    unused.bind(("127.0.0.1", 0))
    port = unused.getsockname()[1]
    with pytest.raises(errors.StorageError, match="does not answer") as caught:
      environment_checks.check_coordinator(f"127.0.0.1:{port}")
  assert "Process 0 must be running" in str(caught.value)


@pytest.mark.parametrize("address", ["host", "host:", ":1", "h:99999", "h:¹"])
def test_address_is_host_and_port(address):
  with pytest.raises(errors.UsageError, match="HOST:PORT"):
    environment_checks.check_coordinator(address)
