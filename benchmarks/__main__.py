"""Runs the benchmarks and prints all ratios beside their goals.

  python -m benchmarks                          # all: 35 minutes on two cores
  python -m benchmarks --only dtw step          # some of them
  python -m benchmarks --record --plot out.png  # adds to the history
  python -m benchmarks --check                  # fails where a ratio got worse
  python -m benchmarks --quick                  # one cell each: some minutes

Each runs in a process of its own, with huge pages for the heap on Linux as the
launch scripts have them. Ratios are comparable on one kind of machine only, so
`--check` compares with the history of this processor: it fails where a ratio is
worse by 15 % than the median there, and says so where there is none.
"""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from benchmarks import history, rounds

# Benchmark -> options of each time that it runs.
ALL = {
  "step": [
    "",
    "--models 40m --cells 8x100 8x300 32x100 --ways eager --rounds 3",
    "--models 120m --cells 8x100 8x300 --ways eager --rounds 3",
  ],
  "generation": [""],
  "dtw": [""],
  "lift": [""],
  "around": [""],
  "communication": ["--models pt"],
}
QUICK = {
  "step": ["--cells 8x100 --ways eager"],
  "generation": ["--cells 1x100"],
  "dtw": ["--frames 150"],
  "around": ["--only compile save memory"],
}


def run(asked: Mapping[str, Sequence[str]]) -> list[rounds.Ratio]:
  """Runs benchmarks, as in ALL, in turn; returns their ratios."""
  ratios = []
  with tempfile.TemporaryDirectory() as folder:
    for name, options in ((k, each) for k, v in asked.items() for each in v):
      print("==", name, options, flush=True)
      out = pathlib.Path(folder, f"{name}.json")
      command = [sys.executable, "-m", f"benchmarks.{name}", *options.split()]
      subprocess.run([*command, "--json", out], check=True)
      found = json.loads(out.read_text())["ratios"]
      ratios += [
        rounds.Ratio(key, each["ratio"], each["goal"])
        for key, each in found.items()
      ]
  return ratios


def main(arguments: Sequence[str] | None = None) -> int:
  """The command line; returns the exit code."""
  parser = rounds.parser("", __doc__)
  parser.prog = "python -m benchmarks"
  parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL))
  parser.add_argument("--quick", action="store_true", help="one cell each")
  parser.add_argument("--record", action="store_true", help="keep the ratios")
  parser.add_argument("--check", action="store_true", help="compare with those")
  parser.add_argument("--plot", type=pathlib.Path, help="draw those here")
  parser.add_argument("--history", type=pathlib.Path, default=history.FILE)
  options = parser.parse_args(arguments)
  if sys.platform == "linux":  # for what is started, and told of the machine
    os.environ.setdefault("GLIBC_TUNABLES", rounds.HUGE_PAGES)
  processor = rounds.machine()["processor"]
  before = history.read(options.history, processor)
  known = QUICK if options.quick else ALL
  ratios = run({k: v for k, v in known.items() if k in options.only})
  print("== all")
  rounds.print_ratios(ratios)
  rounds.write(options.json, ratios)
  if options.record:
    history.record(options.history, ratios)
  if options.plot:
    history.plot(options.plot, history.read(options.history, processor))
  if options.check:
    if not before:
      print(f"no history of {processor}: nothing to compare with")
    found = history.worse(ratios, before)
    print("\n".join(f"worse: {line}" for line in found) or "none is worse")
    return 1 if found else 0
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
