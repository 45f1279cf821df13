"""Runs of several processes: joining, stopping and failing together.

JAX recognises TPU VMs, Slurm, Open MPI and GKE's TPU slices. Elsewhere these
variables of the environment, which JAX reads too, describe the run:

  JAX_COORDINATOR_ADDRESS   HOST:PORT of process 0
  JAX_NUM_PROCESSES         number of processes
  JAX_PROCESS_ID            number of this process, from 0
"""

import ipaddress
import os
import sys
import time
from collections.abc import Callable
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from signllm_jax.core import errors

MODES = ("off", "auto")
_FAILED = -2  # broadcast by process 0 instead of a decision
HEARTBEAT_S = 10  # a process that is silent for longer counts as lost
_ADDRESS, _COUNT, _NUMBER = (
  "JAX_COORDINATOR_ADDRESS",
  "JAX_NUM_PROCESSES",
  "JAX_PROCESS_ID",
)


def start(mode: str, heartbeat: int = HEARTBEAT_S) -> None:
  """Joins the processes of a run, before JAX computes anything.

  Args:
    mode: "off": a single process. "auto": as the environment describes.
    heartbeat: seconds of silence after which a process counts as lost; then
      JAX ends all the others, with a code that is not 0.

  Raises:
    UsageError: the environment describes no run, or not completely.
  """
  if mode == "off":
    return
  settings: dict[str, Any] = {
    "heartbeat_timeout_seconds": heartbeat,
    "shutdown_timeout_seconds": heartbeat,
  }
  address = os.environ.get(_ADDRESS)
  if address:
    settings |= {
      "coordinator_address": address,
      "num_processes": _number(_COUNT),
      "process_id": _number(_NUMBER),
      # Otherwise Slurm's variables would select the devices.
      "cluster_detection_method": "deactivate",
    }
    if is_loopback(address):
      # JAX would listen on all interfaces, without authentication.
      settings["coordinator_bind_address"] = address
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  # JAX's handler of SIGTERM and ours exclude each other.
  jax.config.update("jax_enable_preemption_service", False)
  try:
    jax.distributed.initialize(**settings)
  except ValueError as error:
    raise errors.UsageError(
      f"--distributed=auto: {error}",
      expected=f"a TPU VM, Slurm, Open MPI, or {_ADDRESS}, {_COUNT} and "
      f"{_NUMBER} in the environment",
      hint="For a single process leave the flag out",
    ) from error


def _number(name: str) -> int:
  value = os.environ.get(name, "")
  if not (value.isascii() and value.isdigit()):
    raise errors.UsageError(
      f"{name}={value!r}", expected=f"a number, since {_ADDRESS} is set"
    )
  return int(value)


def is_loopback(address: str) -> bool:
  """Whether HOST:PORT can be reached from this machine only."""
  host = address.rpartition(":")[0].strip("[]")
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:  # a name
    return host == "localhost"


def is_lost(error: Exception) -> bool:
  """Whether a computation failed because another process ended."""
  # Running out of memory has another cause, and would happen again.
  return jax.distributed.is_initialized() and "RESOURCE_EXHAUSTED" not in str(
    error
  )


def leave(code: int) -> NoReturn:
  """Ends this process after a fault without waiting for the others.

  An ordinary exit would wait for them. If they wait for this process in a
  computation, JAX would finally replace the exit code by that of an abort.
  """
  if jax.distributed.is_initialized():
    if jax.process_index() == 0:
      time.sleep(1)  # without the coordinator no other can report its fault
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
  sys.exit(code)


def any_process(value: bool) -> bool:
  """Whether the value of any process is true; all must call, and wait."""
  if jax.process_count() == 1:
    return value
  return bool(multihost_utils.process_allgather(np.array(value)).any())


def decide_on_first(decide: Callable[[], int]) -> int:
  """Calls `decide` on process 0 alone; returns its result on every process.

  Args:
    decide: returns a number that is at least -1.

  Raises:
    StorageError: `decide` failed on process 0, where its own error is raised.
  """
  if jax.process_count() == 1:
    return decide()
  decided = _FAILED
  try:
    if jax.process_index() == 0:
      decided = decide()
  finally:  # after an error too, or the others would wait forever
    decided = int(multihost_utils.broadcast_one_to_all(np.int32(decided)))
  if decided == _FAILED:
    raise errors.StorageError("process 0 failed, see its message")
  return decided


class Vote:
  """Whether the value of any process is true, without waiting for devices.

  All processes must ask equally often. With several processes the result is
  that of the previous call, so that a step can run meanwhile.
  """

  def __init__(self):
    self._single = jax.process_count() == 1
    self._previous: jax.Array | None = None
    if self._single:
      return
    mesh = jax.make_mesh(
      (jax.device_count(),), ("all",), axis_types=(AxisType.Auto,)
    )
    self._sharding = NamedSharding(mesh, PartitionSpec("all"))
    self._any = jax.jit(
      jnp.any, out_shardings=NamedSharding(mesh, PartitionSpec())
    )

  def ask(self, value: bool) -> bool:
    """Sends this process's value; returns whether any process's was true."""
    if self._single:
      return value
    previous = self._previous
    self._previous = self._any(
      jax.make_array_from_callback(
        (jax.device_count(),), self._sharding, lambda _: np.array([value])
      )
    )
    return previous is not None and bool(previous)
