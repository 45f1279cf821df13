"""Finds a mesh a run fits on: `train --dry-run --devices=64 --memory=16`."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.parallel import sharding
from signllm_jax.training import device_memory, start

_GIB = 1 << 30


class Fit(NamedTuple):
  """Memory that a device needs on one mesh."""

  mesh: config_lib.Mesh
  state: int  # bytes of parameters, moments and the rest of the state
  total: int | None  # with batch and temporaries; None where not compiled


def meshes(
  config: config_lib.Experiment, devices: int
) -> list[config_lib.Mesh]:
  """Lists the meshes that a run may have, least communication first.

  Languages of MLSF share nothing, so they are split first; then batches alone
  (`data`), then parameters too (`fsdp`), and last every layer (`tensor`).

  Raises:
    UsageError: the batch cannot be shared by so many devices.
  """
  count = len(config_lib.corpora(config)) if config.task == "mlsf" else 1
  language = math.gcd(count, devices)
  rest = devices // language
  candidates = [
    config_lib.Mesh(rest // fsdp // tensor, fsdp, tensor, language)
    for tensor in _divisors(rest)
    for fsdp in _divisors(rest // tensor)
    if config.data.batch_size % (count * (rest // tensor)) == 0
    and config.evaluate.batch_size % (rest // tensor) == 0
  ]
  candidates = [
    mesh for mesh in candidates if not sharding.unsplit(vars(mesh), config)
  ]
  if not candidates:
    raise errors.UsageError(
      f"batches of {config.data.batch_size} (evaluate: "
      f"{config.evaluate.batch_size}) on {devices} devices",
      expected=f"multiples of {rest}, or of {rest} / T for a T that divides "
      f"model.heads={config.model.heads}",
      hint="Set --config.data.batch_size and --config.evaluate.batch_size",
    )
  return candidates


def fits(
  config: config_lib.Experiment, memory: int, path: str = ""
) -> Iterator[Fit]:
  """Tries meshes over all devices until one fits.

  The state's size comes from its shardings; only a mesh on which that fits is
  compiled, and nothing is ever allocated.

  Args:
    config: the run; its own mesh is ignored.
    memory: bytes of a device.
    path: work directory of the run, or empty for none.

  Yields:
    The meshes tried; the last one fits if any does.

  Raises:
    SignLLMError: as `meshes` and `start.prepare`.
  """
  start.check(config, path)
  candidates = meshes(config, jax.device_count())
  config.mesh = candidates[0]
  run = start.prepare(config, path).run
  for mesh in candidates:
    run.set_mesh(mesh)
    state = sum(map(_bytes_per_device, jax.tree.leaves(run.abstract)))
    if state > memory:
      yield Fit(mesh, state, None)
      continue
    total = sum(device_memory.measure(run).values())
    yield Fit(mesh, state, total)
    if total <= memory:
      return


def describe(
  config: config_lib.Experiment, gibibytes: float, path: str = ""
) -> None:
  """Prints the meshes tried, and the flags of the one that fits.

  Raises:
    SignLLMError: nothing fits, or as `fits`.
  """
  limit = int(gibibytes * _GIB)
  print(f"{jax.device_count()} devices of {gibibytes:g} GiB; GiB a device:")
  print(f"{'data':>5}{'fsdp':>6}{'tensor':>8}{'language':>10}  state  total")
  fit = None
  for fit in fits(config, limit, path):
    mesh = fit.mesh
    total = "" if fit.total is None else f"{fit.total / _GIB:7.2f}"
    print(
      f"{mesh.data:5}{mesh.fsdp:6}{mesh.tensor:8}{mesh.language:10}"
      f"{fit.state / _GIB:7.2f}{total}",
      flush=True,
    )
  assert fit is not None
  if fit.total is None or fit.total > limit:
    raise errors.UsageError(
      f"{jax.device_count()} devices of {gibibytes:g} GiB do not hold this",
      hint="More devices, --config.model.remat, --config.model.scan, a smaller "
      "--config.data.batch_size or a larger --config.optim.accumulate",
    )
  flags = [
    f"--config.mesh.{axis}={getattr(fit.mesh, axis)}" for axis in sharding.AXES
  ]
  print("fits:", *flags)


def _divisors(n: int) -> list[int]:
  return [d for d in range(1, n + 1) if n % d == 0]


def _bytes_per_device(leaf: jax.ShapeDtypeStruct) -> int:
  assert leaf.sharding is not None
  shape = leaf.sharding.shard_shape(leaf.shape)
  return math.prod(shape) * leaf.dtype.itemsize
