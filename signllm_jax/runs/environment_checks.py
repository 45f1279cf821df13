"""Checks of a machine before training: packages, devices, data, disk, clocks.

Each check returns a sentence about what it found, or raises an error that says
what is wrong and what to do about it.
"""

import importlib.metadata
import os
import pathlib
import platform
import shutil
import socket
import tempfile
import time

import jax
import numpy as np
import packaging.requirements
import packaging.utils
from jax.experimental import multihost_utils

from signllm_jax.core import (
  atomic_files,
  buckets,
  errors,
  foreign_files,
  paths,
)
from signllm_jax.formats import dataset_info

MAX_SKEW = 2.0  # seconds; clocks further apart confuse logs and file times
_REPORTED = ("jax", "jaxlib", "flax", "libtpu")
_GIB = 2**30
_DAY_MS = 86_400_000


def check_versions() -> str:
  """Compares the installed packages with the project's requirements.

  Raises:
    UsageError: a package is missing or has another version.
  """
  try:
    required = importlib.metadata.requires("signllm-jax") or []
  except importlib.metadata.PackageNotFoundError:
    required = []  # not installed: run from its folder, as in the image
  installed: dict[str, str] = {
    packaging.utils.canonicalize_name(d.name): d.version
    for d in importlib.metadata.distributions()
  }
  faults = []
  for line in required:
    requirement = packaging.requirements.Requirement(line)
    if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
      continue
    name = packaging.utils.canonicalize_name(requirement.name)
    version = installed.get(name)
    if version is None:
      faults.append(f"{name} is missing")
    elif not requirement.specifier.contains(version, prereleases=True):
      faults.append(f"{name} {version}, not {requirement.specifier}")
  if faults:
    raise errors.UsageError("; ".join(faults), hint="Run launch/setup.sh")
  versions = [
    f"{name} {installed[name]}" for name in _REPORTED if name in installed
  ]
  return ", ".join([f"Python {platform.python_version()}", *versions])


def accelerator_of(root: pathlib.Path = pathlib.Path("/")) -> str:
  """Name of the extra for this machine's accelerator; empty without one."""
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
    UsageError: there is an accelerator, but JAX uses the CPU.
  """
  backend, kind = jax.default_backend(), accelerator_of(root)
  if backend == "cpu" and kind and os.environ.get("JAX_PLATFORMS") != "cpu":
    raise errors.UsageError(
      f"there is a {kind.upper()}, but JAX sees only the CPU",
      hint=f"Install launch/{kind}.lock (pip install --require-hashes -r); if "
      "it is installed, another process may hold the device",
    )
  return (
    f"{jax.device_count()} x {jax.devices()[0].device_kind} ({backend}), "
    f"{jax.local_device_count()} of them at process {jax.process_index()} of "
    f"{jax.process_count()}"
  )


def check_data(folder: str, hosts: int) -> str:
  """Checks that every shard is there, and whether each host has its own.

  Raises:
    DataError: a shard is missing or empty, or there is no built data set.
  """
  path = paths.resolve(folder)
  if foreign_files.exists(path / "train.skels"):
    return f"{path / 'train.skels'}: each of {hosts} hosts reads all of it"
  if not foreign_files.exists(path / dataset_info.INFO):
    raise errors.DataError(
      "no data",
      path=path,
      expected="a built data set or a folder with train.skels",
      hint="Is the share mounted? Build with `python -m data_pipeline build`",
    )
  splits = {}
  for split in dataset_info.read(path).splits.values():
    splits[split.name] = len(split.paths)
    missing = [file.name for file in split.paths if not file.is_file()]
    empty = [
      file.name
      for file, count in zip(split.paths, split.shard_lengths, strict=True)
      if count and file.is_file() and not file.stat().st_size
    ]
    if missing or empty:
      raise errors.DataError(
        f"split {split.name!r} has {len(split.paths) - len(missing)} shards"
        + (f", empty: {', '.join(empty[:5])}" if empty else ""),
        path=path,
        expected=f"{len(split.paths)}, as in dataset_info.json",
        hint="Copy or build the data set again",
      )
  counts = ", ".join(f"{name} {n}" for name, n in splits.items())
  sentence = f"shards: {counts}; hosts: {hosts}"
  if min(splits.values(), default=0) < hosts:
    return (
      f"{sentence} (hosts share files; a build with --shards={hosts} is read "
      "faster)"
    )
  return sentence


def check_disk(workdir: str, need_gb: float) -> str:
  """Checks free space and the right to write.

  `need_gb` GiB must be free, and three times the size of a present checkpoint.
  For a bucket that is the folder of temporary files, which holds a checkpoint
  while it is written or read.

  Raises:
    StorageError: the folder cannot be written, or has too little space.
  """
  if paths.is_remote(workdir):
    atomic_files.check_writable(workdir, "--workdir")
    return (
      f"{workdir} may be written; {check_disk(tempfile.gettempdir(), need_gb)}"
    )
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
      hint="Choose another --workdir, or mount the share for writing",
    ) from error
  if free < needed:
    raise errors.StorageError(
      f"{free / _GIB:.1f} GiB free",
      path=folder,
      expected=f"{needed / _GIB:.1f} GiB",
      hint="Free some space, or choose another --workdir",
    )
  return f"{free / _GIB:.1f} GiB free at {folder}"


def check_clock(workdir: str) -> str:
  """Compares this clock with those of the file server and other processes.

  Raises:
    StorageError: they differ by more than `MAX_SKEW`.
  """
  if paths.is_remote(workdir):
    skews = {"the bucket": buckets.BucketPath(workdir).probe() - time.time()}
  else:
    with tempfile.NamedTemporaryFile(dir=_existing(workdir)) as file:
      skews = {"the file system": os.stat(file.name).st_mtime - time.time()}
  if jax.process_count() > 1:
    # Read at the same moment, as closely as a collective allows.
    multihost_utils.sync_global_devices("doctor")
    milliseconds = np.array(int(time.time() * 1000) % _DAY_MS)  # fits int32
    clocks = multihost_utils.process_allgather(milliseconds)
    offsets = (clocks - clocks[0] + _DAY_MS // 2) % _DAY_MS
    skews["the processes"] = float(offsets.max() - offsets.min()) / 1000
  for name, skew in skews.items():
    if abs(skew) > MAX_SKEW:
      raise errors.StorageError(
        f"the clock and that of {name} are {abs(skew):.1f} s apart",
        expected=f"at most {MAX_SKEW:g} s",
        hint="Start time synchronisation (chrony or systemd-timesyncd)",
      )
  return ", ".join(f"{abs(s):.1f} s from {name}" for name, s in skews.items())


def _existing(workdir: str) -> pathlib.Path:
  """The folder, or the nearest parent that exists."""
  folder = pathlib.Path(os.path.abspath(workdir))
  return next(f for f in (folder, *folder.parents) if f.exists())


def check_coordinator(address: str, timeout: float = 5.0) -> str:
  """Connects to the coordinator.

  Raises:
    UsageError: the address is not HOST:PORT.
    StorageError: it does not answer.
  """
  host, _, port = address.rpartition(":")
  if not (host and port.isascii() and port.isdigit() and int(port) < 65536):
    raise errors.UsageError(f"--coordinator={address}", expected="HOST:PORT")
  try:
    with socket.create_connection((host.strip("[]"), int(port)), timeout):
      return f"{address} answers"
  except socket.gaierror as error:
    raise errors.StorageError(
      f"the name {host} is not known: {error.strerror}",
      hint="On Kubernetes, set network.enableDNSHostnames of the JobSet",
    ) from error
  except OSError as error:
    raise errors.StorageError(
      f"{address} does not answer: {error}",
      hint="Process 0 must be running, and the port open between the hosts",
    ) from error
