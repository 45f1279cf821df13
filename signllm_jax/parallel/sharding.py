"""Mesh and shardings: one table of rules places every array.

Parallelism is `jax.jit` with NamedShardings. Batches are split over the axes
`data` and `fsdp`; parameters and Adam's moments over `fsdp` and `tensor`; the
stacked groups of MLSF, and their batches, over `language`.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from flax import nnx
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.data import batch_plan

AXES = ("data", "fsdp", "tensor", "language")
_ROWS = ("data", "fsdp")

# Logical axis of a parameter -> axis of the mesh.
RULES: dict[str, str | None] = {
  "vocab": None,
  "embed": "fsdp",
  "mlp": "tensor",
  "heads": "tensor",
  "frame": None,
  "language": "language",
  "layers": None,
}


def make_mesh(
  config: config_lib.Mesh, devices: Sequence[Any] | None = None
) -> Mesh:
  """Makes the mesh of the configuration over all devices.

  Raises:
    UsageError: the product of the axes is not the number of devices.
  """
  devices = jax.devices() if devices is None else devices
  sizes = [getattr(config, axis) for axis in AXES]
  known = math.prod(size for size in sizes if size > 0)
  if sizes.count(-1) == 1 and len(devices) % known == 0:
    sizes = [len(devices) // known if size == -1 else size for size in sizes]
  if min(sizes) < 1 or math.prod(sizes) != len(devices):
    raise errors.UsageError(
      "a mesh of "
      + " x ".join(f"{axis} {getattr(config, axis)}" for axis in AXES),
      expected=f"a product of {len(devices)}, the number of devices (one axis "
      "may be -1)",
    )
  return jax.make_mesh(
    tuple(sizes), AXES, axis_types=(AxisType.Auto,) * len(AXES), devices=devices
  )


def check_batch(mesh: Mesh, name: str, size: int, groups: int = 1) -> None:
  """Refuses a batch that cannot be split over the devices.

  Args:
    mesh: the devices.
    name: the option of the size.
    size: rows of a batch.
    groups: languages side by side, each with its share of the rows.

  Raises:
    UsageError: not a multiple.
  """
  parts = mesh.shape["data"] * mesh.shape["fsdp"]
  if size % (parts * groups):
    expected = (
      f"a multiple of {parts * groups}, the devices along data and fsdp"
    )
    if groups > 1:
      expected += f" for each of {groups} languages"
    raise errors.UsageError(f"{name}={size}", expected=expected)


def unsplit(
  shape: Mapping[str, int], config: config_lib.Experiment
) -> list[tuple[str, str, int]]:
  """Lists dimensions that a mesh cannot split: axis, name and size.

  Args:
    shape: devices along each axis.
    config: the run.
  """
  model = config.model
  groups = len(config_lib.corpora(config)) if config.task == "mlsf" else 1
  split = (
    ("fsdp", "model.width", model.width),
    ("tensor", "model.heads", model.heads),
    ("tensor", "model.feed_forward", model.feed_forward),
    ("language", "languages of task mlsf", groups),
  )
  return [entry for entry in split if entry[2] % shape[entry[0]]]


def check_model(mesh: Mesh, config: config_lib.Experiment) -> None:
  """Refuses a mesh along which the model cannot be split.

  Raises:
    UsageError: an axis does not divide the dimension that it splits.
  """
  for axis, name, size in unsplit(mesh.shape, config):
    raise errors.UsageError(
      f"--config.mesh.{axis}={mesh.shape[axis]}",
      expected=f"a divisor of {size} ({name})",
      hint="--dry-run --devices=N --memory=GIB finds a mesh",
    )


def shardings(abstract: Any, mesh: Mesh) -> Any:
  """Builds the NamedShardings of a tree of arrays and NNX variables.

  RULES map the metadata `axes` of an NNX variable to axes of the mesh, each
  used at most once; everything else is replicated.
  """

  def place(leaf):
    if not isinstance(leaf, nnx.Variable):
      return NamedSharding(mesh, PartitionSpec())
    names = leaf.get_metadata().get("axes", ())
    spec, used = [], set()
    for name in names:
      axis = RULES[name]
      if axis is None or axis in used:
        spec.append(None)
      else:
        used.add(axis)
        spec.append(axis)
    return NamedSharding(mesh, PartitionSpec(*spec))

  return jax.tree.map(
    place, abstract, is_leaf=lambda leaf: isinstance(leaf, nnx.Variable)
  )


def gathered(matrix: jax.Array, axes: tuple[str, ...]) -> jax.Array:
  """Gathers a matrix along `fsdp` for a product, inside a compiled program.

  Without this constraint XLA gathers twice as much, or rows instead.

  Args:
    matrix: in the dtype of the product.
    axes: its logical axes.
  """
  if not _splits_parameters():
    return matrix
  split = PartitionSpec(*(RULES[name] for name in axes))
  return summed(jax.lax.with_sharding_constraint(matrix, split), axes)


def summed(matrix: jax.Array, axes: tuple[str, ...]) -> jax.Array:
  """Sums a matrix's gradient as a whole along `fsdp`, before it is split.

  Without this constraint XLA splits what the gradient is computed from like the
  gradient, and with more axes it replicates activations, and warns of it.

  Args:
    matrix: a product over rows, or the matrix itself.
    axes: its logical axes.
  """
  if not _splits_parameters():
    return matrix
  whole = (RULES[name] for name in axes)
  spec = PartitionSpec(*(None if axis == "fsdp" else axis for axis in whole))
  return jax.lax.with_sharding_constraint(matrix, spec)


def look_up(table: jax.Array, ids: jax.Array) -> jax.Array:
  """Rows [B, ..., D] of an embedding table, split by rows alone.

  Inside a compiled program. Without the last constraint XLA splits the result
  like the table, along `fsdp`, and gathers the rows of all devices in every
  later layer. Without the others it would replicate the result on the way, and
  warn of it, where the mesh has more axes: each device looks up its columns for
  the rows of its group along `data`, then the group exchanges them.

  Args:
    table: [V, D].
    ids: [B, ...] row numbers.
  """
  if not _splits_parameters():
    return table[ids]
  # Else XLA splits the look-up like the ids: by rows, and not by language.
  ids = jax.lax.with_sharding_constraint(ids, PartitionSpec("data"))
  states = table[ids]
  between = [None] * (ids.ndim - 1)
  for spec in (PartitionSpec("data", *between, "fsdp"), PartitionSpec(_ROWS)):
    states = jax.lax.with_sharding_constraint(states, spec)
  return states


def _splits_parameters() -> bool:
  """Whether the mesh of the compilation splits parameters along `fsdp`."""
  mesh = jax.sharding.get_abstract_mesh()
  return not mesh.empty and mesh.shape["fsdp"] > 1


def batch_rows(mesh: Mesh, count: int, most: int) -> int:
  """Rounds the rows of a batch up, so that few sizes are compiled.

  Args:
    mesh: whose devices share the rows.
    count: number of samples, at least 1.
    most: rows of a full batch; a smaller one takes the next power of two.
  """
  if count >= most:
    return most
  parts = mesh.shape["data"] * mesh.shape["fsdp"]
  return batch_plan.round_up(1 << (count - 1).bit_length(), parts)


def batch_sharding(mesh: Mesh, stacked: bool) -> NamedSharding:
  """Sharding of batches; `stacked` as in `put_batch`."""
  spec = PartitionSpec("language", _ROWS) if stacked else PartitionSpec(_ROWS)
  return NamedSharding(mesh, spec)


def rows_of_process(
  mesh: Mesh, shape: tuple[int, ...], stacked: bool
) -> np.ndarray:
  """Marks the rows of a batch that this process gives to its devices.

  Args:
    mesh: of all processes.
    shape: [B] of a batch, [L, B] if stacked.
    stacked: as in `put_batch`.

  Returns:
    bool of that shape; no device of this process reads the rows that are False.
  """
  rows = np.zeros(shape, bool)
  sharding = batch_sharding(mesh, stacked)
  for index in sharding.addressable_devices_indices_map(shape).values():
    rows[index] = True
  return rows


def put_batch(
  batch: dict[str, np.ndarray], mesh: Mesh, stacked: bool = False
) -> dict[str, jax.Array]:
  """Puts a batch on the mesh; every process gives its rows.

  Args:
    batch: arrays [B, ...], or [L, B, ...] if stacked by language; of the rows
      only those of `rows_of_process` are read.
    mesh: of the devices.
    stacked: whether the arrays have a leading axis of languages.
  """
  sharding = batch_sharding(mesh, stacked)
  return {
    name: jax.make_array_from_callback(
      value.shape, sharding, lambda index, value=value: value[index]
    )
    for name, value in batch.items()
  }


def to_host(tree: Any) -> Any:
  """Copies whole arrays to the host of every process; all must call."""
  if jax.process_count() > 1:
    return multihost_utils.process_allgather(tree, tiled=True)
  return jax.device_get(tree)
