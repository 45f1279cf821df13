"""Compares training steps with PyTorch modules of the same shape.

  GLIBC_TUNABLES=glibc.malloc.hugetlb=1 python -m benchmarks.step [--one-core]
  python -m benchmarks.step --cells 8x100 --rounds 3 --ways eager    # quick
  python -m benchmarks.step --models pt 40m --cells 8x100 8x300

All ways are timed in turn in one run; the median of the rounds is reported.
Only ratios are meaningful on another machine. Compiling and the first step are
not timed, nor is the first step of a turn, since in training a step follows
another step of the same program. Both sides train on the same full-length batch
with dropout, noise, clipping and Adam; `torch_transformer.py` defines "eager"
and "tuned". Our step also guards against NaN and sums five metrics.

The launch scripts give the heap huge pages on Linux (GLIBC_TUNABLES above); set
them here too, for both sides.
"""

import statistics
import sys
from collections.abc import Callable, Sequence

import torch

from benchmarks import timing, torch_step, workload

WAYS = {
  "eager": torch_step.Way(),
  "tuned": torch_step.Way(tuned=True),
  "compile": torch_step.Way(tuned=True, compiled=True),
}
# Against PyTorch as it is usually written; other ways are only recorded.
GOALS = {"float32": 1.7, "bfloat16": 1.0}
MEDIAN_GOAL = 1.2  # of bfloat16 over all cells


def measure(
  model: str,
  cell: tuple[int, int],
  ways: Sequence[str],
  count: int,
  clock: timing.Clock,
) -> dict[str, float]:
  """Seconds a step of every way.

  Args:
    model: one of `workload.MODELS`.
    cell: rows and frames of the batch.
    ways: ways of PyTorch, keys of WAYS.
    count: number of rounds.
    clock: the clock.

  Returns:
    "ours float32", "eager float32", ... -> seconds.
  """
  rows, frames = cell
  batch = workload.batch(rows, frames)
  runs: dict[str, Callable[[], float]] = {}
  for dtype in GOALS:
    config = workload.experiment(model, dtype)
    runs[f"ours {dtype}"] = workload.train_step(config, rows, frames)
    for name in ways:
      way = WAYS[name]._replace(autocast=dtype == "bfloat16")
      runs[f"{name} {dtype}"] = torch_step.train_step(
        config, workload.VOCABULARY, batch, way
      )
  for run in runs.values():
    run()
  return timing.medians(runs, count, clock, ahead=1)


def main(arguments: Sequence[str] | None = None) -> None:
  """The command line."""
  parser = timing.parser("step", __doc__)
  parser.add_argument(
    "--models", nargs="+", choices=workload.MODELS, default=["pt"]
  )
  parser.add_argument(
    "--cells",
    type=timing.cell,
    nargs="+",
    metavar="BxT",
    default=[(8, 100), (8, 200), (32, 100), (32, 200)],
  )
  parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
  parser.add_argument("--rounds", type=int, default=7)
  timing.add_one_core(parser)
  options = parser.parse_args(arguments)
  clock, kind = timing.clock_of(options.one_core, "step")
  if options.one_core:
    torch.set_num_threads(1)
  print(timing.machine(), flush=True)
  print(
    f"{'':16}{'':10}" + "".join(f"{w:>12}" for w in ["ours", *options.ways])
  )
  records, ratios = [], []
  for model in options.models:
    for cell in options.cells:
      took = measure(model, cell, options.ways, options.rounds, clock)
      where = f"{model} {cell[0]}x{cell[1]}"
      for dtype, goal in GOALS.items():
        ours = took[f"ours {dtype}"]
        times = [took[f"{way} {dtype}"] for way in options.ways]
        cells = "".join(f"{1e3 * x:9.1f} ms" for x in [ours, *times])
        print(f"{where:16}{dtype:10}{cells}", flush=True)
        for way, other in zip(options.ways, times, strict=True):
          name = f"{kind} {where} {dtype} / {way}"
          recorded_only = way != "eager" or model != "pt"
          ratios.append(
            timing.Ratio(name, other / ours, None if recorded_only else goal)
          )
      records.append({"model": model, "cell": cell, "seconds": took})
  half_precision = [
    r.value for r in ratios if r.goal is not None and "bfloat16" in r.name
  ]
  if half_precision:
    ratios.append(
      timing.Ratio(
        f"{kind} pt, median, bfloat16 / eager",
        statistics.median(half_precision),
        MEDIAN_GOAL,
      )
    )
  timing.print_ratios(ratios)
  timing.write(options.json, ratios, records=records)


if __name__ == "__main__":
  main(sys.argv[1:])
