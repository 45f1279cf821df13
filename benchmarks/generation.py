"""Compares generation of frames with PyTorch modules of the same shape.

  GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python -m benchmarks.generation
  python -m benchmarks.generation --one-core
  python -m benchmarks.generation --cells 1x100 --rounds 3            # quick

All ways produce B sequences of T frames in PT's shape from the same parameters:
"recompute" runs the decoder over all earlier frames for each new one, as the
Progressive Transformer does; "cached" keeps keys and values. Their outputs are
compared before they are timed. Times are medians of interleaved rounds;
recomputing a large batch takes a minute and is timed once.

The cost of a frame should grow at most linearly with the number of frames:
"growth" is the linear cost over the measured one, from the shortest to the
longest cell with the same rows; above 1 the cost grows more slowly.
"""

import sys
from collections.abc import Callable, Sequence

import jax
import numpy as np
import torch
from flax import nnx

from benchmarks import timing, torch_transformer, workload
from signllm_jax import tasks
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.inference import compiled_model, decoding

# Rows, frames -> goal of the speed-up over recomputing.
GOALS = {(1, 100): 10.0, (1, 300): 20.0, (32, 200): 80.0}
CACHED_GOAL = 2.0
ONCE = 3000  # rows x frames from which recomputing is timed once
TOLERANCE = 1e-3  # of frames after all steps, in units of the poses


def _model(config) -> tuple[nnx.GraphDef, nnx.State]:
  """Initial parameters with a counter that never ends the sequence."""
  build = tasks.get_task(config.task).build_model
  model = nnx.jit(
    lambda: build(config, workload.VOCABULARY, 0, nnx.Rngs(0)),
  )()
  kernel = model.frame_out.kernel
  kernel[...] = kernel[...].at[:, PROMPT2SIGN50.num_values].set(0)
  return nnx.split(model)


def _ways(
  config, graphdef: nnx.GraphDef, params: nnx.State, rows: int, frames: int
) -> dict[str, Callable[[], np.ndarray]]:
  """Functions that generate frames [B, T, 150], by name."""
  source = workload.batch(rows, 1)["source"]
  statistics = PoseStatistics(
    np.zeros(PROMPT2SIGN50.num_values, np.float32),
    np.ones((), np.float32),
    np.ones(PROMPT2SIGN50.num_joints, bool),
  )
  theirs = torch_transformer.Transformer(
    config.model, workload.VOCABULARY, tuned=False
  ).eval()
  torch_transformer.load(theirs, nnx.merge(graphdef, params))
  tuned = torch_transformer.Transformer(
    config.model, workload.VOCABULARY, tuned=True
  ).eval()
  tuned.load_state_dict(theirs.state_dict())
  placed, ids = jax.device_put(source), torch.from_numpy(source).long()

  signer = compiled_model.Model(graphdef, params, statistics)

  def ours() -> np.ndarray:
    parts = [part.frames for part in decoding.decode(signer, (placed,), frames)]
    return np.concatenate(parts, 1).reshape(
      rows, frames, PROMPT2SIGN50.num_values
    )

  return {
    "ours": ours,
    "recompute": lambda: theirs.recompute(ids, frames)[..., :-1].numpy(),
    "cached": lambda: tuned.cached(ids, frames)[..., :-1].numpy(),
  }


def measure(
  cell: tuple[int, int], count: int, clock: timing.Clock
) -> dict[str, float]:
  """Seconds a batch of every way.

  Args:
    cell: rows and frames.
    count: number of rounds.
    clock: the clock.
  """
  rows, frames = cell
  config = workload.experiment("pt", "float32")
  ways = _ways(config, *_model(config), rows, frames)
  short = _ways(config, *_model(config), rows, 20)
  outputs = {name: run() for name, run in short.items()}
  for name, output in outputs.items():
    gap = np.abs(output - outputs["ours"]).max()
    if gap > TOLERANCE:
      raise SystemExit(f"{name} differs from ours by {gap:g}")
  slow = {}
  if rows * frames >= ONCE:
    slow = {"recompute": timing.seconds(ways.pop("recompute"), clock)}
  for run in ways.values():
    run()
  return timing.medians(ways, count, clock) | slow


def main(arguments: Sequence[str] | None = None) -> None:
  """The command line."""
  parser = timing.parser("generation", __doc__)
  parser.add_argument(
    "--cells",
    type=timing.cell,
    nargs="+",
    metavar="BxT",
    default=[(1, 100), (1, 300), (8, 200), (32, 200)],
  )
  parser.add_argument("--rounds", type=int, default=5)
  timing.add_one_core(parser)
  options = parser.parse_args(arguments)
  clock, kind = timing.clock_of(options.one_core, "generation")
  if options.one_core:
    torch.set_num_threads(1)
  print(timing.machine(), flush=True)
  records, ratios = [], []
  frame_cost: dict[int, dict[int, float]] = {}
  print(f"{'':10}{'ours':>12}{'cached':>12}{'recompute':>14}  torch")
  for cell in options.cells:
    took = measure(cell, options.rounds, clock)
    where = f"{cell[0]}x{cell[1]}"
    ms = {name: 1e3 * seconds for name, seconds in took.items()}
    print(
      f"{where:10}{ms['ours']:9.1f} ms{ms['cached']:9.1f} ms"
      f"{ms['recompute']:11.1f} ms",
      flush=True,
    )
    for other, goal in (
      ("recompute", GOALS.get(cell)),
      ("cached", CACHED_GOAL),
    ):
      value = took[other] / took["ours"]
      name = f"{kind} {where} / torch {other}"
      ratios.append(timing.Ratio(name, value, goal))
    frame_cost.setdefault(cell[0], {})[cell[1]] = took["ours"] / cell[1]
    records.append({"cell": cell, "seconds": took})
  for rows, costs in frame_cost.items():
    if len(costs) > 1:
      few, most = min(costs), max(costs)
      name = f"{kind} growth, {rows}x{few} to {rows}x{most}"
      value = costs[few] * most / few / costs[most]
      ratios.append(timing.Ratio(name, value, 1.0))
  timing.print_ratios(ratios)
  timing.write(options.json, ratios, records=records)


if __name__ == "__main__":
  main(sys.argv[1:])
