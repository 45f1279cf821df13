"""Runs the benchmarks and prints the ratios with their goals.

  python -m benchmarks                          # all: 35 minutes on two cores
  python -m benchmarks --only dtw step          # some of them
  python -m benchmarks --record --plot out.png  # adds to the history
  python -m benchmarks --check                  # fails if a ratio got worse
  python -m benchmarks --quick                  # one cell each: some minutes

Each benchmark runs in its own process, on Linux with huge pages for the heap,
as in the launch scripts. Ratios are comparable only on one kind of machine, so
`--check` compares with the history of this processor. It fails if a ratio is 15
% below the median of the history, and reports if there is no history.
"""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from benchmarks import history, timing

# Benchmark -> the options of each of its runs.
ALL = {
  "step": [
    "",
    "--models 40m --cells 8x100 8x300 32x100 --ways eager --rounds 3",
    "--models 120m --cells 8x100 8x300 --ways eager --rounds 3",
  ],
  "generation": [""],
  "dtw": ["", "--skeletons dwpose128 holistic178 --frames 150"],
  "lift": [""],
  "run_costs": [""],
  "communication": ["--models pt"],
}
QUICK = {
  "step": ["--cells 8x100 --ways eager"],
  "generation": ["--cells 1x100"],
  "dtw": ["--frames 150"],
  "run_costs": ["--only compile save memory"],
}


WITH_TORCH = ("step", "generation", "run_costs")  # compared with PyTorch


def run(benchmarks: Mapping[str, Sequence[str]]) -> list[timing.Ratio]:
  """Runs benchmarks, given as in ALL, in turn; returns their ratios."""
  ratios = []
  with tempfile.TemporaryDirectory() as folder:
    runs = [(name, o) for name, listed in benchmarks.items() for o in listed]
    for name, options in runs:
      print("==", name, options, flush=True)
      out = pathlib.Path(folder, f"{name}.json")
      command = [sys.executable, "-m", f"benchmarks.{name}", *options.split()]
      subprocess.run([*command, "--json", out], check=True)
      results = json.loads(out.read_text())["ratios"]
      ratios += [
        timing.Ratio(key, result["ratio"], result["goal"])
        for key, result in results.items()
      ]
  return ratios


def main(arguments: Sequence[str] | None = None) -> int:
  """The command line; returns the exit code."""
  parser = timing.parser("", __doc__)
  parser.prog = "python -m benchmarks"
  parser.add_argument(
    "--only",
    nargs="+",
    choices=ALL,
    default=list(ALL),
    help="run these benchmarks",
  )
  parser.add_argument(
    "--quick", action="store_true", help="run one cell of each"
  )
  parser.add_argument(
    "--record", action="store_true", help="add the ratios to the history"
  )
  parser.add_argument(
    "--check", action="store_true", help="compare the ratios with the history"
  )
  parser.add_argument(
    "--plot", type=pathlib.Path, help="draw the history into this picture"
  )
  parser.add_argument(
    "--history",
    type=pathlib.Path,
    default=history.FILE,
    help="file of the recorded ratios",
  )
  options = parser.parse_args(arguments)
  missing = [name for name in WITH_TORCH if name in options.only]
  if missing and not importlib.util.find_spec("torch"):
    parser.error(
      f"PyTorch is not installed, which {', '.join(missing)} compare with; "
      'pip install "signllm-jax[bench]", or choose others by --only'
    )
  if sys.platform == "linux":  # for the benchmarks and the description of it
    os.environ.setdefault("GLIBC_TUNABLES", timing.HUGE_PAGES)
  processor = timing.machine()["processor"]
  before = history.read(options.history, processor)
  selected = QUICK if options.quick else ALL
  ratios = run({k: v for k, v in selected.items() if k in options.only})
  print("== all")
  timing.print_ratios(ratios)
  timing.write(options.json, ratios)
  if options.record:
    history.record(options.history, ratios)
  if options.plot:
    history.plot(options.plot, history.read(options.history, processor))
  if options.check:
    if not before:
      print(f"no history of {processor}: nothing to compare with")
    lines = history.worse(ratios, before)
    print("\n".join(f"worse: {line}" for line in lines) or "none is worse")
    return 1 if lines else 0
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
