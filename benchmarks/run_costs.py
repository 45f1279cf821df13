"""Costs of a run other than its steps: input, compiling, saving, memory.

python -m benchmarks.run_costs --data=data/fingerspelling/asl/1.0.0
python -m benchmarks.run_costs --only compile memory

input    batches a second of the quick start, read, decoded and padded without
         training, over its steps a second: at 10.5, steps ten times as fast
         would wait for a twentieth of their time; and the share of time in
         which training does not wait for its reader
compile  first step of PT, 8 x 100, in a fresh process: time without over time
         with the cache of compiled programs
save     time of `torch.save` of as many numbers over the time that training
         pauses for a checkpoint; time of `torch.load` over that of restoring,
         which includes verification
memory   peak memory of a process that trains PT's shape, 32 x 200: PyTorch,
         eager, over ours; compiling is included
mfu      arithmetic operations a second of a step of PT's shape, 32 x 200, over
         those of one large float32 product; only float32, since on some
         processors JAX's bfloat16 products are slower outside a step
"""

import itertools
import os
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

import jax
import numpy as np

from benchmarks import prediction, timing, workload
from configs import quickstart
from signllm_jax import config as config_lib
from signllm_jax.data import loader, pose_corpus
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.parallel import sharding
from signllm_jax.runs import checkpointer, train_state
from signllm_jax.training import train_step

INPUT_GOAL, BUSY_GOAL = 10.5, 0.98
SMALL, LARGE = (8, 100), (32, 200)
STEPS = 200  # steps of `input`; the first tenth is not timed
DATA = "data/fingerspelling/asl/1.0.0"
WAYS = ("ours", "eager")


def measure_input(folder: pathlib.Path) -> list[timing.Ratio]:
  """Measures the input of the quick start on its data set."""
  config = quickstart.get_config()
  config.data.folder, rows = str(folder), config.data.batch_size
  mesh = sharding.make_mesh(config_lib.Mesh(), jax.devices()[:1])
  clips = pose_corpus.PoseCorpus([config.data], 0, rows=rows, multiple=1)
  batches = clips.batches(STEPS)
  sizes = sizes_lib.Sizes(len(clips.info.vocabulary))
  statistics = train_state.measured(clips.summary, config)
  with jax.set_mesh(mesh):
    shapes = train_state.abstract_state(config, sizes, mesh)
    state = train_state.create_state(config, statistics, shapes, sizes)
    step = train_step.make_train_step(
      config, sizes, 100, train_state.shardings_of(shapes)
    )
    for index in range(STEPS):  # compiles every shape
      state, _ = step(state, sharding.put_batch(batches[index], mesh))
    jax.block_until_ready(state)

    began, read = time.perf_counter(), 0
    for read, _ in enumerate(loader.stream(batches, 0, config.data), 1):
      if read == STEPS // 10:
        began = time.perf_counter()
    reading = time.perf_counter() - began

    stream, waited = loader.stream(batches, 0, config.data), 0.0
    for index in range(STEPS):
      if index == STEPS // 10:
        jax.block_until_ready(state)
        began, waited = time.perf_counter(), 0.0
      requested = time.perf_counter()
      batch = next(stream)
      waited += time.perf_counter() - requested
      state, _ = step(state, sharding.put_batch(batch, mesh))
    jax.block_until_ready(state)
    training = time.perf_counter() - began
  return [
    timing.Ratio("input, batches / steps", training / reading, INPUT_GOAL),
    timing.Ratio("input, share not waiting", 1 - waited / training, BUSY_GOAL),
  ]


def first_step(cache: str) -> float:
  """Seconds of the first step of PT, with a folder of compiled programs."""
  jax.config.update("jax_compilation_cache_dir", cache)
  jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)
  return timing.seconds(
    workload.train_step(workload.experiment("pt", "float32"), *SMALL)
  )


def measure_compile() -> list[timing.Ratio]:
  """Measures the first step; creating the state is not included."""
  with tempfile.TemporaryDirectory() as cache:
    cold, cached = (_alone(f"first_step({cache!r})") for _ in range(2))
  print(f"first step {cold:.1f} s, from the cache {cached:.1f} s")
  return [timing.Ratio("compile, cold / from the cache", cold / cached)]


def measure_save() -> list[timing.Ratio]:
  """Measures saving and restoring PT's parameters and two moments."""
  import torch

  config = workload.experiment("pt", "float32")
  mesh = sharding.make_mesh(config_lib.Mesh(), jax.devices()[:1])
  with jax.set_mesh(mesh), tempfile.TemporaryDirectory() as folder:
    state, shapes = workload.state(config, mesh)
    jax.block_until_ready(state)
    arrays = [np.asarray(x) for x in jax.tree.leaves(state.opt_state)]
    arrays += [np.asarray(x) for x in jax.tree.leaves(state.params)]
    theirs = [torch.from_numpy(x.copy()) for x in arrays]
    file = pathlib.Path(folder, "torch.pt")
    path = pathlib.Path(folder, "ours")
    with checkpointer.Checkpoints(path, keep=1) as saved:
      step = itertools.count()
      ways = {
        "stall": lambda: saved.save(next(step), state),
        "rest": saved.wait,
        "save": lambda: torch.save(theirs, file),
        "restore": lambda: saved.restore(shapes),
        "load": lambda: torch.load(file),
      }
      timing.medians(ways, 1)  # Orbax's first save starts its threads
      taken = timing.medians(ways, 3)
  plain, stall = taken["save"], taken["stall"]
  loaded, restored = taken["load"], taken["restore"]
  print(
    f"save {plain:.2f} s, ours pauses {stall:.2f} s; "
    f"load {loaded:.2f} s, ours {restored:.2f} s"
  )
  return [
    timing.Ratio("save, torch.save / our stall", plain / stall),
    timing.Ratio("save, torch.load / our restore", loaded / restored),
  ]


def peak(way: str) -> float:
  """Peak memory of this process after three steps, in bytes."""
  import resource

  config = workload.experiment("pt", "float32")
  if way == "ours":
    run = workload.train_step(config, *LARGE)
  else:
    from benchmarks import torch_step

    run = torch_step.train_step(
      config,
      workload.VOCABULARY,
      workload.batch(*LARGE),
      torch_step.Way(),
    )
  for _ in range(3):
    run()
  return 1024.0 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def measure_memory() -> list[timing.Ratio]:
  """Measures the peak memory of one process each."""
  ours, eager = (_alone(f"peak({way!r})") for way in WAYS)
  print(f"peak {ours / 2**30:.2f} GiB, PyTorch {eager / 2**30:.2f} GiB")
  return [timing.Ratio("memory, eager / ours", eager / ours)]


def measure_mfu() -> list[timing.Ratio]:
  """Measures model FLOPs a second over those of one large product."""
  config = workload.experiment("pt", "float32")
  run = workload.train_step(config, *LARGE)
  took = timing.best(run)
  flops = prediction.step_flops(config.model, *LARGE, workload.SOURCE)
  share = flops / took / workload.product_rate()
  return [timing.Ratio("mfu, pt 32x200 float32", share)]


def _alone(call: str) -> float:
  """Calls a function of this module in a fresh process."""
  code = f"from benchmarks import run_costs; print(run_costs.{call})"
  done = subprocess.run(
    [sys.executable, "-c", code],
    check=True,
    stdout=subprocess.PIPE,
    text=True,
    env=os.environ,
  )
  return float(done.stdout.split()[-1])


PARTS = {
  "compile": measure_compile,
  "save": measure_save,
  "memory": measure_memory,
  "mfu": measure_mfu,
}


def main(arguments: Sequence[str] | None = None) -> None:
  """The command line."""
  parser = timing.parser("run_costs", __doc__)
  names = ["input", *PARTS]
  parser.add_argument("--only", nargs="+", choices=names, default=names)
  parser.add_argument(
    "--data",
    type=pathlib.Path,
    default=pathlib.Path(DATA),
    help=f"the quick start's data set ({DATA})",
  )
  options = parser.parse_args(arguments)
  parts = {"input": lambda: measure_input(options.data), **PARTS}
  ratios = [ratio for name in options.only for ratio in parts[name]()]
  timing.print_ratios(ratios)
  timing.write(options.json, ratios)


if __name__ == "__main__":
  main(sys.argv[1:])
