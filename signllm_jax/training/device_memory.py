"""Memory that a run needs on each device, computed without allocating any."""

import jax
import numpy as np

from signllm_jax.parallel import sharding
from signllm_jax.training import setup


def measure(run: setup.Run) -> dict[str, int]:
  """Compiles the step for the longest batch; returns its bytes a device.

  The numbers are the backend's own: XLA plans temporary memory differently on
  CPU, GPU and TPU. Parameters, optimiser state and batch are the same
  everywhere.
  """
  plan = run.corpora[0].plan
  lengths = [plan[i][0] for i in range(plan.batches_per_epoch)]
  longest = run.batches()[int(np.argmax(lengths))]
  placement = sharding.batch_sharding(run.mesh, run.stacked)
  batch = {
    name: jax.ShapeDtypeStruct(value.shape, value.dtype, sharding=placement)
    for name, value in longest.items()
  }
  with jax.set_mesh(run.mesh):
    compiled = run.make_step().lower(run.abstract, batch).compile()
  sizes = compiled.memory_analysis()
  return {
    "state and batch": sizes.argument_size_in_bytes,
    "temporary": sizes.temp_size_in_bytes,
    "results": sizes.output_size_in_bytes - sizes.alias_size_in_bytes,
  }


def describe(run: setup.Run) -> str:
  """Formats `measure` as a line."""
  parts = measure(run)
  total = sum(parts.values()) >> 20
  listed = ", ".join(f"{name} {n >> 20:,}" for name, n in parts.items())
  return f"memory      {total:,} MiB a device: {listed}"
