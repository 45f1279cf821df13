"""Several processes as one run: how they find each other and stop together.

TPU VMs, Slurm, Open MPI and GKE's TPU slices are recognised by jax itself.
Elsewhere the environment says it, with jax's own names:

  JAX_COORDINATOR_ADDRESS   HOST:PORT of process 0
  JAX_NUM_PROCESSES         how many there are
  JAX_PROCESS_ID            which one this is, from 0
"""

import ipaddress
import os
import sys
import time
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from signllm_jax.core import errors

MODES = ("off", "auto")
HEARTBEAT_S = 10  # a process silent for so long is taken for lost
_ADDRESS, _COUNT, _NUMBER = (
  "JAX_COORDINATOR_ADDRESS",
  "JAX_NUM_PROCESSES",
  "JAX_PROCESS_ID",
)


def start(mode: str, heartbeat: int = HEARTBEAT_S) -> None:
  """Joins the processes of a run; nothing of jax may have computed before.

  Args:
    mode: "off": one process alone. "auto": as the environment says.
    heartbeat: seconds of silence after which a process is taken for lost; then
      jax ends all the others, with a code that is not 0.

  Raises:
    UsageError: the environment says nothing, or not all of it.
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
      # Else Slurm's variables would pick the devices.
      "cluster_detection_method": "deactivate",
    }
    if is_loopback(address):
      # jax would listen on all interfaces, and asks nobody for a password.
      settings["coordinator_bind_address"] = address
  jax.config.update("jax_cpu_collectives_implementation", "gloo")
  # Its handler of SIGTERM and ours exclude each other.
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
  """Whether HOST:PORT can only be reached from this machine."""
  host = address.rpartition(":")[0].strip("[]")
  try:
    return ipaddress.ip_address(host).is_loopback
  except ValueError:  # a name
    return host == "localhost"


def is_lost(error: Exception) -> bool:
  """Whether a computation failed since another process went away."""
  # Out of memory is no other's fault, and another try ends the same.
  return jax.distributed.is_initialized() and "RESOURCE_EXHAUSTED" not in str(
    error
  )


def leave(code: int) -> NoReturn:
  """Ends this process after a fault, whatever the others do.

  An ordinary exit would wait for them, and if they wait for this one in a
  computation, jax would at last replace the code by that of an abort.
  """
  if jax.distributed.is_initialized():
    if jax.process_index() == 0:
      time.sleep(1)  # with the coordinator gone nobody can say their own fault
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
  sys.exit(code)


def any_process(yes: bool) -> bool:
  """Whether some process says yes; all must ask, and wait for each other."""
  if jax.process_count() == 1:
    return yes
  return bool(multihost_utils.process_allgather(np.array(yes)).any())


class Vote:
  """Whether some process said yes, without waiting for the devices.

  All processes must ask equally often. With several of them the answer is
  that of the time before, so that a step can be under way meanwhile.
  """

  def __init__(self):
    self._alone = jax.process_count() == 1
    self._before: jax.Array | None = None
    if self._alone:
      return
    mesh = jax.make_mesh(
      (jax.device_count(),), ("all",), axis_types=(AxisType.Auto,)
    )
    self._each = NamedSharding(mesh, PartitionSpec("all"))
    self._any = jax.jit(
      jnp.any, out_shardings=NamedSharding(mesh, PartitionSpec())
    )

  def ask(self, yes: bool) -> bool:
    """Gives this process's answer and returns what was agreed."""
    if self._alone:
      return yes
    before = self._before
    self._before = self._any(
      jax.make_array_from_callback(
        (jax.device_count(),), self._each, lambda _: np.array([yes])
      )
    )
    return before is not None and bool(before)
