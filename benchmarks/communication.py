"""Counts the bytes that devices exchange in a step, from the compiled program.

  python -m benchmarks.communication                      # 8 devices, minutes
  python -m benchmarks.communication --devices 64 --meshes data fsdp
  python -m benchmarks.communication --tpu v5e:2x4        # by the TPU compiler
  python -m benchmarks.communication --rows 32            # larger batches

The training step is compiled ahead of time, without allocating anything, once
for each mesh: for simulated devices of the CPU, or for a TPU that is described
and need not exist (the extra `tpu` includes its compiler). The bytes of
every collective of the partitioned program are counted: those of its result on
one device, or of its operands if larger. They are compared with the theoretical
need of the axis:

  data      the gradients, once: 4 bytes a parameter
  fsdp      the parameters in the type of the products for the forward and again
            for the backward pass, and their gradients; where memory allows, XLA
            gathers once for both, which is less
  tensor    activations [B, T, D] after each pair of split matrices, and their
            gradients before it; gradients of what is not split are whole
  language  nothing: the groups share only whether the step is applied

A ratio is the theoretical number over the measured one; below 1, the compiler
sends more than needed. The CPU compiler has no collectives of bfloat16 and
gathers float32. `prediction.py` turns bytes into times.
"""

import math
import os
import re
import sys
from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.experimental import topologies

from benchmarks import prediction, timing, workload
from signllm_jax import config as config_lib
from signllm_jax.parallel import sharding as sharding_lib
from signllm_jax.runs import train_state
from signllm_jax.training import train_step

KINDS = (
  "all-reduce",
  "all-gather",
  "reduce-scatter",
  "all-to-all",
  "collective-permute",
)
_BYTES = {"f32": 4, "bf16": 2, "s32": 4, "u32": 4, "pred": 1, "f16": 2, "s8": 1}
_SHAPE = re.compile(r"(\w+)\[([\d,]*)\]")
_COLLECTIVE = re.compile(
  r"= (?P<result>\(.*?\)|\S+) "
  rf"(?P<kind>{'|'.join(KINDS)})(-start)?\((?P<operands>.*?)\)"
  r"(.*?channel_id=(?P<channel>\d+))?"
)
FRAMES = 96  # of a batch
LANGUAGES = ("ASL", "GSL", "DSGS", "KSL")


class Case(NamedTuple):
  """One mesh for one model."""

  model: str
  mesh: config_lib.Mesh
  rows: int  # of a batch, for each device that shares it

  @property
  def name(self) -> str:
    """A name such as "40m data 2 x tensor 4"."""
    axes = [
      f"{axis} {getattr(self.mesh, axis)}"
      for axis in sharding_lib.AXES
      if getattr(self.mesh, axis) > 1
    ]
    return f"{self.model} " + " x ".join(axes)


def case(model: str, axis: str, devices: int, rows: int) -> Case:
  """A case with the axis as large as possible, other devices along data."""
  shape = workload.experiment(model, "float32").model
  longest = {
    "fsdp": math.gcd(shape.width, devices),
    "tensor": shape.heads,
    "language": len(LANGUAGES),
  }
  size = min(longest.get(axis, devices), devices)
  sizes = {"data": devices // size} | {axis: size}
  return Case(model, config_lib.Mesh(**sizes), rows)


def _size(shapes: str) -> int:
  """Bytes of all shapes named in a piece of HLO."""
  return sum(
    _BYTES[kind] * math.prod(int(n) for n in axes.split(",") if n)
    for kind, axes in _SHAPE.findall(shapes)
    if kind in _BYTES
  )


def collectives(hlo: str) -> dict[str, int]:
  """Bytes a device by kind of collective in a compiled program.

  The TPU compiler writes an asynchronous collective several times, in each
  computation that is a part of it, with the same channel.
  """
  seen, sizes = set(), Counter()
  for number, line in enumerate(hlo.splitlines()):
    match = _COLLECTIVE.search(line)
    if match is None:
      continue
    result = _SHAPE.findall(match["result"])
    key = (match["kind"], match["channel"] or -number, str(result))
    if key not in seen:
      seen.add(key)
      size = max(_size(match["operands"]), _size(match["result"]))
      sizes[match["kind"]] += size
  return dict(sizes)


def compiled(
  case: Case, dtype: str, devices: Sequence[Any]
) -> tuple[Any, train_state.TrainState]:
  """Compiles the step of a case on an abstract state; allocates nothing."""
  config = workload.experiment(case.model, dtype)
  config.mesh = case.mesh
  mesh = sharding_lib.make_mesh(case.mesh, devices)
  stacked = case.mesh.language > 1
  codes = LANGUAGES if stacked else ()
  if stacked:
    config.task = "mlsf"
  abstract = workload.abstract(config, mesh, codes)
  rows = case.rows * case.mesh.data * case.mesh.fsdp
  sharding = sharding_lib.batch_sharding(mesh, stacked)
  stack = (len(codes),) if stacked else ()
  batch = {
    name: jax.ShapeDtypeStruct(
      (*stack, *value.shape), value.dtype, sharding=sharding
    )
    for name, value in workload.batch(rows, FRAMES).items()
  }
  step = train_step.make_train_step(
    config,
    workload.SIZES,
    np.full(len(codes), 1000) if stacked else 1000,
    train_state.shardings_of(abstract),
    np.ones(len(codes), bool) if stacked else None,
  )
  with jax.set_mesh(mesh):
    program = step.lower(abstract, batch).compile()
  return program, abstract


def theory(case: Case, abstract: train_state.TrainState, dtype: str) -> float:
  """Theoretical bytes a device; see the docstring of this module."""
  config, mesh = workload.experiment(case.model, dtype).model, case.mesh
  total = 0.0
  for leaf in jax.tree.leaves(abstract.params):
    held = math.prod(leaf.sharding.shard_shape(leaf.shape))
    if mesh.fsdp > 1 and "fsdp" in tuple(leaf.sharding.spec):
      whole = held * mesh.fsdp
      total += 2 * np.dtype(dtype).itemsize * whole + 4 * whole
    elif mesh.data * mesh.fsdp > 1:
      total += 4 * held
  if mesh.tensor > 1:
    cell = 4 * case.rows * config.width
    frames, tokens = cell * FRAMES, cell * workload.SOURCE
    total += config.encoder_layers * 4 * tokens
    total += config.decoder_layers * (6 * frames + tokens)
  return total


def simulated(devices: int) -> Sequence[Any]:
  """Simulated devices of the CPU; call it before any computation."""
  jax.config.update("jax_platforms", "cpu")
  jax.config.update("jax_num_cpu_devices", devices)
  return jax.devices()


def described(topology: str) -> Sequence[Any]:
  """The devices of a described TPU such as "v5e:2x4"."""
  jax.config.update("jax_platforms", "cpu")
  os.environ.setdefault("TPU_SKIP_MDS_QUERY", "1")  # no host to ask
  os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
  os.environ.setdefault("TPU_WORKER_ID", "0")
  return topologies.get_topology_desc(
    platform="tpu", topology_name=topology
  ).devices


def _record(case: Case, dtype: str, devices: Sequence[Any]) -> dict[str, Any]:
  """Measured and theoretical bytes, memory and predicted times of a case."""
  program, abstract = compiled(case, dtype, devices)
  sent, count = collectives(program.as_text()), len(devices)
  config = workload.experiment(case.model, dtype).model
  split = case.mesh.tensor
  flops = prediction.step_flops(config, case.rows, FRAMES, workload.SOURCE)
  held = sum(
    math.prod(leaf.sharding.shard_shape(leaf.shape))
    for leaf in jax.tree.leaves(abstract.params)
  )
  memory = program.memory_analysis()
  return {
    "case": case.name,
    "devices": count,
    "bytes": sent,
    "theory": theory(case, abstract, dtype),
    "memory": memory.argument_size_in_bytes + memory.temp_size_in_bytes,
    "predicted": {
      name: prediction.seconds(chip, flops / split, held, sent, count)
      for name, chip in prediction.CHIPS.items()
    },
  }


def _line(record: dict[str, Any]) -> str:
  measured, expected = sum(record["bytes"].values()), record["theory"]
  parts = ", ".join(f"{k} {v / 1e6:.1f}" for k, v in record["bytes"].items())
  times = "".join(
    f"{1e3 * sum(seconds.values()):9.2f} ms"
    for seconds in record["predicted"].values()
  )
  return (
    f"{record['case']:24}{record['devices']:4}{measured / 1e6:9.1f}"
    f"{expected / 1e6:9.1f}{expected / measured:7.2f}"
    f"{record['memory'] / 2**20:9.0f} MiB{times}  {parts}"
  )


def main(arguments: Sequence[str] | None = None) -> None:
  """The command line."""
  parser = timing.parser("communication", __doc__)
  parser.add_argument(
    "--devices", type=int, default=8, help="number of simulated devices"
  )
  parser.add_argument(
    "--tpu",
    metavar="TOPOLOGY",
    help="compile for this TPU instead, e.g. v5e:2x4",
  )
  parser.add_argument(
    "--models", nargs="+", choices=workload.MODELS, default=["pt", "40m"]
  )
  parser.add_argument(
    "--meshes", nargs="+", choices=sharding_lib.AXES, default=sharding_lib.AXES
  )
  parser.add_argument(
    "--rows", type=int, default=4, help="rows of a batch for each device"
  )
  parser.add_argument(
    "--dtype", choices=("float32", "bfloat16"), default="bfloat16"
  )
  options = parser.parse_args(arguments)
  devices = (
    described(options.tpu) if options.tpu else simulated(options.devices)
  )
  print(
    f"{options.rows} rows a device of {FRAMES} frames; MB a device, and "
    "predicted ms:\n"
    f"{'':28}{'sent':>9}{'theory':>9}{'ratio':>7}{'memory':>13}"
    + "".join(f"{name:>12}" for name in prediction.CHIPS),
    flush=True,
  )
  records = []
  for model in options.models:
    for axis in options.meshes:
      measured = case(model, axis, len(devices), options.rows)
      records.append(_record(measured, options.dtype, devices))
      print(_line(records[-1]), flush=True)
  where = options.tpu or f"{options.devices} simulated"
  ratios = [
    timing.Ratio(
      f"communication {record['case']}, {where}",
      record["theory"] / sum(record["bytes"].values()),
    )
    for record in records
  ]
  timing.write(options.json, ratios, records=records)


if __name__ == "__main__":
  main(sys.argv[1:])
