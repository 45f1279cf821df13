"""Runs the benchmarks and prints all ratios beside their goals.

  python -m benchmarks                          # all: an hour on two cores
  python -m benchmarks --only dtw step          # some of them
  python -m benchmarks --record --plot out.png  # adds to the history
  python -m benchmarks --check                  # fails where a ratio got worse
  python -m benchmarks --quick                  # one cell each: some minutes

Each runs in a process of its own, with huge pages for the heap on Linux as the
launch scripts have them. Ratios are comparable on one kind of machine only, so
`--check` compares with the history of this processor: it fails where a ratio is
worse by 15 % than the median there, and says so where there is none.
"""

import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import rounds

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
HISTORY = pathlib.Path(__file__).with_name("history.jsonl")
WORST = 0.85  # of the median


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


def read_history(path: pathlib.Path, processor: str) -> list[dict[str, Any]]:
  """The recorded runs on a processor, oldest first."""
  if not path.exists():
    return []
  runs = [json.loads(line) for line in path.read_text().splitlines()]
  return [each for each in runs if each["machine"]["processor"] == processor]


def worse(
  ratios: Sequence[rounds.Ratio], history: Sequence[dict[str, Any]]
) -> list[str]:
  """A line for every ratio that fell below what it was.

  Args:
    ratios: of this run.
    history: of `read_history`.
  """
  lines = []
  for ratio in ratios:
    before = [
      each["ratios"][ratio.name]
      for each in history
      if ratio.name in each["ratios"]
    ]
    if before and ratio.value < WORST * statistics.median(before):
      lines.append(
        f"{ratio.name}: {ratio.value:.2f}, was "
        f"{statistics.median(before):.2f} in {len(before)} runs"
      )
  return lines


def record(path: pathlib.Path, ratios: Sequence[rounds.Ratio]) -> None:
  """Adds a line to the history."""
  line = {
    "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    "machine": rounds.machine(),
    "ratios": {ratio.name: round(ratio.value, 3) for ratio in ratios},
  }
  with path.open("a") as file:
    file.write(json.dumps(line) + "\n")


def plot(path: pathlib.Path, history: Sequence[dict[str, Any]]) -> None:
  """Draws every ratio over the recorded runs."""
  from matplotlib import figure

  picture = figure.Figure((10, 6), layout="constrained")
  axes = picture.add_subplot()
  for name in sorted({name for each in history for name in each["ratios"]}):
    points = [
      (place, each["ratios"][name])
      for place, each in enumerate(history)
      if name in each["ratios"]
    ]
    axes.plot(*zip(*points, strict=True), marker=".", label=name)
  axes.set_xticks(range(len(history)), [each["date"] for each in history])
  axes.set_yscale("log")
  axes.set_ylabel("times as fast as what it is compared with")
  axes.axhline(1, color="black", linewidth=0.5)
  axes.legend(fontsize=6, loc="center left", bbox_to_anchor=(1, 0.5))
  picture.savefig(path)


def main(arguments: Sequence[str] | None = None) -> int:
  """The command line; returns the exit code."""
  parser = rounds.parser("", __doc__)
  parser.prog = "python -m benchmarks"
  parser.add_argument("--only", nargs="+", choices=ALL, default=list(ALL))
  parser.add_argument("--quick", action="store_true", help="one cell each")
  parser.add_argument("--record", action="store_true", help="keep the ratios")
  parser.add_argument("--check", action="store_true", help="compare with those")
  parser.add_argument("--plot", type=pathlib.Path, help="draw those here")
  parser.add_argument("--history", type=pathlib.Path, default=HISTORY)
  options = parser.parse_args(arguments)
  if sys.platform == "linux":  # for what is started, and told of the machine
    os.environ.setdefault("GLIBC_TUNABLES", rounds.HUGE_PAGES)
  processor = rounds.machine()["processor"]
  before = read_history(options.history, processor)
  known = QUICK if options.quick else ALL
  ratios = run({k: v for k, v in known.items() if k in options.only})
  print("== all")
  rounds.print_ratios(ratios)
  rounds.write(options.json, ratios)
  if options.record:
    record(options.history, ratios)
  if options.plot:
    plot(options.plot, read_history(options.history, processor))
  if options.check:
    if not before:
      print(f"no history of {processor}: nothing to compare with")
    found = worse(ratios, before)
    print("\n".join(f"worse: {line}" for line in found) or "none is worse")
    return 1 if found else 0
  return 0


if __name__ == "__main__":
  sys.exit(main(sys.argv[1:]))
