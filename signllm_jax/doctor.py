"""Is this place fit for training? `python -m signllm_jax.doctor`.

Looks at versions, devices, data, disk, clocks and the way to the coordinator;
says what is wrong and what to do about it. Nothing is trained.
"""

import argparse
import importlib.metadata
import json
import os
import pathlib
import platform
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence

import jax
import numpy as np
import packaging.requirements
import packaging.utils
from jax.experimental import multihost_utils

from signllm_jax.core import errors
from signllm_jax.parallel import processes

SKEW_S = 2.0  # clocks further apart confuse logs and file times
_TOLD = ("jax", "jaxlib", "flax", "libtpu")
_GIB = 2**30
_DAY_MS = 86_400_000

EPILOG = """\
examples:
  python -m signllm_jax.doctor
  python -m signllm_jax.doctor --data=data/prompt2sign/gsl/1.0.0 \\
      --workdir=runs/gsl
  python -m signllm_jax.doctor --distributed=auto      (on all hosts at once)
  python -m signllm_jax.doctor --coordinator=10.0.0.2:47321 --dry-run

exit codes, of the first fault: 0 fit; 1 versions, devices or a wrong request;
65 data; 74 disk, clock or network
"""


def check_versions() -> str:
  """Compares the packages with what the project asks for.

  Raises:
    UsageError: one is missing or of another version.
  """
  try:
    wanted = importlib.metadata.requires("signllm-jax") or []
  except importlib.metadata.PackageNotFoundError:
    wanted = []  # run from its folder, as in the image
  found: dict[str, str] = {
    packaging.utils.canonicalize_name(d.name): d.version
    for d in importlib.metadata.distributions()
  }
  wrong = []
  for line in wanted:
    requirement = packaging.requirements.Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
      continue
    name = packaging.utils.canonicalize_name(requirement.name)
    version = found.get(name)
    if version is None:
      wrong.append(f"{name} is missing")
    elif not requirement.specifier.contains(version, prereleases=True):
      wrong.append(f"{name} {version}, not {requirement.specifier}")
  if wrong:
    raise errors.UsageError("; ".join(wrong), hint="Run launch/setup.sh")
  told = "".join(f", {name} {found[name]}" for name in _TOLD if name in found)
  return f"Python {platform.python_version()}{told}"


def accelerator_of(root: pathlib.Path = pathlib.Path("/")) -> str:
  """The extra that this machine's accelerator needs; empty without one."""
  if any((root / "dev").glob("nvidia[0-9]*")):
    return "gpu"
  if any((root / "dev").glob("accel[0-9]*")) or any(
    (root / "dev/vfio").glob("[0-9]*")
  ):
    return "tpu"
  return ""


def check_devices(root: pathlib.Path = pathlib.Path("/")) -> str:
  """Lists the devices of all processes.

  Raises:
    UsageError: there is an accelerator, but jax computes on the CPU.
  """
  backend, kind = jax.default_backend(), accelerator_of(root)
  if backend == "cpu" and kind and os.environ.get("JAX_PLATFORMS") != "cpu":
    raise errors.UsageError(
      f"a {kind.upper()} is here, but jax sees only the CPU",
      hint=f"Install launch/{kind}.lock (pip install --require-hashes -r); if "
      "it is installed, another process may hold the device",
    )
  return (
    f"{jax.device_count()} x {jax.devices()[0].device_kind} ({backend}), "
    f"{jax.local_device_count()} of them at process {jax.process_index()} of "
    f"{jax.process_count()}"
  )


def check_data(folder: str, hosts: int) -> str:
  """Looks for every shard, and whether each host has one to itself.

  Raises:
    DataError: a shard is missing or empty, or nothing is built there.
  """
  path = pathlib.Path(folder)
  if (path / "train.skels").is_file():
    return f"{path / 'train.skels'}: each of {hosts} hosts reads all of it"
  try:
    info = json.loads((path / "dataset_info.json").read_text("utf-8"))
    splits = {s["name"]: len(s["shardLengths"]) for s in info["splits"]}
    suffix = info.get("fileFormat", "tfrecord")
  except OSError as error:
    raise errors.DataError(
      f"no data: {error.strerror}",
      path=path,
      expected="a built data set or a folder with train.skels",
      hint="Is the share mounted? Build with `python -m data_pipeline build`",
    ) from error
  except (ValueError, KeyError, TypeError) as error:
    raise errors.DataError(
      f"not a data set's description: {error!r}",
      path=path / "dataset_info.json",
    ) from error
  for split, shards in splits.items():
    found = list(path.glob(f"*-{split}.{suffix}*"))
    empty = [file.name for file in found if not file.stat().st_size]
    if len(found) != shards or empty:
      raise errors.DataError(
        f"split {split!r} has {len(found)} shards"
        + (f", empty: {', '.join(empty)}" if empty else ""),
        path=path,
        expected=f"{shards}, as dataset_info.json says",
        hint="Copy or build the data set again",
      )
  listed = ", ".join(f"{name} {n}" for name, n in splits.items())
  said = f"shards: {listed}; hosts: {hosts}"
  if min(splits.values(), default=0) < hosts:
    said += f" (allowed, but hosts share files: --shards={hosts} reads faster)"
  return said


def check_disk(workdir: str, need_gb: float) -> str:
  """Looks for room and the right to write.

  Free must be `need_gb` GiB, and three times a checkpoint that is there.

  Raises:
    StorageError: it cannot be written, or has no room.
  """
  folder = pathlib.Path(os.path.abspath(workdir))
  checkpoints = [
    sum(file.stat().st_size for file in step.rglob("*") if file.is_file())
    for step in folder.glob("checkpoints/[0-9]*")
  ]
  needed = max(int(need_gb * _GIB), 3 * max(checkpoints, default=0))
  folder = _existing(workdir)
  try:
    with tempfile.TemporaryFile(dir=folder) as file:
      file.write(b"x")
    free = shutil.disk_usage(folder).free
  except OSError as error:
    raise errors.StorageError(
      f"cannot be written: {error.strerror}",
      path=folder,
      hint="Name another --workdir, or mount the share for writing",
    ) from error
  if free < needed:
    raise errors.StorageError(
      f"{free / _GIB:.1f} GiB free",
      path=folder,
      expected=f"{needed / _GIB:.1f} GiB",
      hint="Make room, or name another --workdir",
    )
  return f"{free / _GIB:.1f} GiB free at {folder}"


def check_clock(workdir: str) -> str:
  """Compares this clock with the file server's and the other processes'.

  Raises:
    StorageError: they differ by more than `SKEW_S`.
  """
  with tempfile.NamedTemporaryFile(dir=_existing(workdir)) as file:
    skews = {"the file system": os.stat(file.name).st_mtime - time.time()}
  if jax.process_count() > 1:
    # Asked at the same moment, as far as a collective can tell.
    multihost_utils.sync_global_devices("doctor")
    milliseconds = np.array(int(time.time() * 1000) % _DAY_MS)  # fits int32
    all_of_them = multihost_utils.process_allgather(milliseconds)
    apart = (all_of_them - all_of_them[0] + _DAY_MS // 2) % _DAY_MS
    skews["the processes"] = float(apart.max() - apart.min()) / 1000
  for name, skew in skews.items():
    if abs(skew) > SKEW_S:
      raise errors.StorageError(
        f"the clock and that of {name} are {abs(skew):.1f} s apart",
        expected=f"at most {SKEW_S:g} s",
        hint="Start time synchronisation (chrony or systemd-timesyncd)",
      )
  return ", ".join(f"{abs(s):.1f} s from {name}" for name, s in skews.items())


def _existing(workdir: str) -> pathlib.Path:
  """The folder, or the nearest one above it that is there."""
  folder = pathlib.Path(os.path.abspath(workdir))
  return next(f for f in (folder, *folder.parents) if f.exists())


def check_coordinator(address: str, timeout: float = 5.0) -> str:
  """Connects to the coordinator.

  Raises:
    UsageError: not HOST:PORT.
    StorageError: nobody answers.
  """
  host, _, port = address.rpartition(":")
  if not (host and port.isascii() and port.isdigit() and int(port) < 65536):
    raise errors.UsageError(f"--coordinator={address}", expected="HOST:PORT")
  try:
    with socket.create_connection((host.strip("[]"), int(port)), timeout):
      return f"{address} answers"
  except socket.gaierror as error:
    raise errors.StorageError(
      f"{host} is not a known name: {error.strerror}",
      hint="On Kubernetes it needs the JobSet's network.enableDNSHostnames",
    ) from error
  except OSError as error:
    raise errors.StorageError(
      f"{address} does not answer: {error}",
      hint="Process 0 must be running, and the port open between the hosts",
    ) from error


def examine(checks: Mapping[str, Callable[[], str]]) -> int:
  """Runs all, prints a line each, returns the first fault's exit code."""
  code = 0
  for name, check in checks.items():
    try:
      print(f"ok     {name:12} {check()}", flush=True)
    except errors.SignLLMError as error:
      print(f"FAULT  {name:12} {error}", flush=True)
      code = code or error.exit_code
  return code


def main(arguments: Sequence[str] | None = None) -> int:
  """Runs the command and returns its exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m signllm_jax.doctor",
    description=__doc__,
    epilog=EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  add = parser.add_argument
  add("--data", help="folder of records: are all shards there?")
  add("--hosts", type=int, help="that will read them (default: processes)")
  add("--workdir", default=".", help="where the run will be (default: here)")
  add("--need-gb", type=float, default=5.0, help="GiB to be free (default 5)")
  add("--coordinator", help="HOST:PORT that must answer")
  add(
    "--distributed",
    choices=processes.MODES,
    default="off",
    help="auto: examine all processes of a run together",
  )
  add("--dry-run", action="store_true", help="name the checks, make none")
  args = parser.parse_args(arguments)

  def data() -> str:
    return check_data(args.data, args.hosts or jax.process_count())

  checks: dict[str, Callable[[], str]] = {
    "versions": check_versions,
    "devices": check_devices,
    "disk": lambda: check_disk(args.workdir, args.need_gb),
    "clock": lambda: check_clock(args.workdir),
  } | ({"data": data} if args.data else {})
  if args.coordinator:
    checks["coordinator"] = lambda: check_coordinator(args.coordinator)
  if args.dry_run:
    print("\n".join(checks))
    return 0
  try:
    processes.start(args.distributed)
  except errors.SignLLMError as error:
    print(f"FAULT  {'processes':12} {error}")
    return error.exit_code
  return examine(checks)


if __name__ == "__main__":
  sys.exit(main())
