"""Which mesh a model fits on: `train --dry-run --devices=64 --memory=16`."""

import math
from collections.abc import Iterator
from typing import NamedTuple

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.parallel import sharding
from signllm_jax.training import start

_GIB = 1 << 30


class Fit(NamedTuple):
  """What a device holds on one mesh."""

  mesh: config_lib.Mesh
  state: int  # bytes: parameters, moments and the rest that stays
  whole: int | None  # with batch and temporaries; None where not compiled


def meshes(
  config: config_lib.Experiment, devices: int
) -> list[config_lib.Mesh]:
  """Meshes that a run may have, those that communicate least first.

  Languages of MLSF share nothing, so they are spread first; then batches alone
  (`data`), then parameters too (`fsdp`), and at last every layer (`tensor`).

  Raises:
    UsageError: the batch cannot be shared by so many devices.
  """
  count = len(config_lib.corpora(config)) if config.task == "mlsf" else 1
  language = math.gcd(count, devices)
  each = devices // language
  rows = math.gcd(config.data.batch_size, config.evaluate.batch_size)
  found = [
    config_lib.Mesh(each // fsdp // tensor, fsdp, tensor, language)
    for tensor in _divisors(each)
    for fsdp in _divisors(each // tensor)
    if rows % (each // tensor) == 0
  ]
  found = [mesh for mesh in found if not sharding.unsplit(vars(mesh), config)]
  if not found:
    raise errors.UsageError(
      f"batches of {config.data.batch_size} (evaluate: "
      f"{config.evaluate.batch_size}) on {devices} devices",
      expected=f"a multiple of {each}, or of {each} divided by as many as "
      "--config.model.heads are",
      hint="Set --config.data.batch_size and --config.evaluate.batch_size",
    )
  return found


def fits(
  config: config_lib.Experiment, memory: int, path: str = ""
) -> Iterator[Fit]:
  """Tries meshes over all devices until one fits.

  The state's size comes from its shardings; only a mesh on which that fits is
  compiled, and nothing is ever allocated.

  Args:
    config: the run; its own mesh is not looked at.
    memory: bytes of a device.
    path: work directory of the run, or empty for none.

  Yields:
    What was tried, the last of which fits if any does.

  Raises:
    SignLLMError: as `meshes` and `start.prepare`.
  """
  start.check(config, path)
  found = meshes(config, jax.device_count())
  config.mesh = found[0]
  planned = start.prepare(config, path).run
  for mesh in found:
    planned.spread(mesh)
    state = sum(map(_bytes_a_device, jax.tree.leaves(planned.abstract)))
    if state > memory:
      yield Fit(mesh, state, None)
      continue
    whole = sum(planned.memory().values())
    yield Fit(mesh, state, whole)
    if whole <= memory:
      return


def describe(
  config: config_lib.Experiment, gibibytes: float, path: str = ""
) -> None:
  """Prints what was tried, and the flags of the mesh that fits.

  Raises:
    SignLLMError: nothing fits, or as `fits`.
  """
  limit = int(gibibytes * _GIB)
  print(f"{jax.device_count()} devices of {gibibytes:g} GiB; GiB a device:")
  print(f"{'data':>5}{'fsdp':>6}{'tensor':>8}{'language':>10}  state  whole")
  fit = None
  for fit in fits(config, limit, path):
    sizes = fit.mesh
    whole = "" if fit.whole is None else f"{fit.whole / _GIB:7.2f}"
    print(
      f"{sizes.data:5}{sizes.fsdp:6}{sizes.tensor:8}{sizes.language:10}"
      f"{fit.state / _GIB:7.2f}{whole}",
      flush=True,
    )
  assert fit is not None
  if fit.whole is None or fit.whole > limit:
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


def _bytes_a_device(leaf: jax.ShapeDtypeStruct) -> int:
  assert leaf.sharding is not None
  shape = leaf.sharding.shard_shape(leaf.shape)
  return math.prod(shape) * leaf.dtype.itemsize
