"""What the benchmarks share: interleaved timing, ratios, the machine's name."""

import argparse
import json
import os
import pathlib
import platform
import statistics
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from typing import Any, NamedTuple

HUGE_PAGES = "glibc.malloc.hugetlb=1"  # as in launch/local.sh


class Ratio(NamedTuple):
  """How many times something is better than what it is compared with.

  Attributes:
    name: unique among all benchmarks; the key in the history.
    value: above 1 where ours is better.
    goal: the least it shall be; None where it is only watched.
  """

  name: str
  value: float
  goal: float | None = None


def cell(text: str) -> tuple[int, int]:
  """Rows and frames of "8x100"."""
  rows, _, frames = text.partition("x")
  return int(rows), int(frames)


Clock = Callable[[], float]


def one_core() -> Clock:
  """Keeps this process on one core; returns the clock of processor time.

  For machines that others use too: a core's time is ours alone, and no thread
  waits for another that is not running. Before JAX or PyTorch starts threads.
  """
  os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
  return time.process_time


def seconds(
  run: Callable[[], object], clock: Clock = time.perf_counter
) -> float:
  """How long one call takes."""
  began = clock()
  run()
  return clock() - began


def best(run: Callable[[], object], repeats: int = 5) -> float:
  """The least of the seconds of some calls, after one that is not timed."""
  run()
  return min(seconds(run) for _ in range(repeats))


def medians(
  ways: Mapping[str, Callable[[], object]],
  rounds: int,
  clock: Clock = time.perf_counter,
  ahead: int = 0,
) -> dict[str, float]:
  """Seconds of each way, measured in turn, so that a slow minute meets all.

  Args:
    ways: what is measured, by name.
    rounds: turns of each.
    clock: what measures.
    ahead: calls of a turn before the one that is timed, for what in life
      follows itself: the others have left the caches and the heap to it.
  """
  taken: dict[str, list[float]] = {name: [] for name in ways}
  for _ in range(rounds):
    for name, way in ways.items():
      for _ in range(ahead):
        way()
      taken[name].append(seconds(way, clock))
  return {name: statistics.median(each) for name, each in taken.items()}


def machine() -> dict[str, Any]:
  """Where this runs."""
  model = platform.processor() or platform.machine()
  cpuinfo = pathlib.Path("/proc/cpuinfo")
  if cpuinfo.exists():
    for line in cpuinfo.read_text().splitlines():
      if line.startswith("model name"):
        model = line.partition(":")[2].strip()
        break
  versions = {}
  for package in ("jax", "torch"):
    try:
      versions[package] = metadata.version(package)
    except metadata.PackageNotFoundError:
      continue
  huge = HUGE_PAGES in os.environ.get("GLIBC_TUNABLES", "")
  return {
    "processor": model,
    "cores": os.cpu_count(),
    **versions,
    "huge_pages": huge,
  }


def parser(name: str, doc: str | None) -> argparse.ArgumentParser:
  """A command line that prints the module's text as its help."""
  made = argparse.ArgumentParser(
    prog=f"python -m benchmarks.{name}",
    description=doc,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  made.add_argument(
    "--json", type=pathlib.Path, metavar="FILE", help="write the figures here"
  )
  return made


def offer_one_core(made: argparse.ArgumentParser) -> None:
  """Adds --one-core, of `clock_of`."""
  made.add_argument(
    "--one-core", action="store_true", help="processor time, for busy machines"
  )


def clock_of(on_one_core: bool, name: str) -> tuple[Clock, str]:
  """What measures a benchmark, and the name of its ratios."""
  if on_one_core:
    return one_core(), f"{name} on one core,"
  return time.perf_counter, name


def print_ratios(ratios: Iterable[Ratio]) -> None:
  """The ratios beside their goals, a line each."""
  for ratio in ratios:
    line = f"{ratio.name:48} {ratio.value:8.2f}"
    if ratio.goal is not None:
      met = "met" if ratio.value >= ratio.goal else "MISSED"
      line += f"  goal {ratio.goal:g}: {met}"
    print(line)


def write(
  path: pathlib.Path | None, ratios: Iterable[Ratio], **more: Any
) -> None:
  """Writes ratios, machine and whatever else to a JSON file, if wanted."""
  if path is None:
    return
  found = {
    ratio.name: {"ratio": ratio.value, "goal": ratio.goal} for ratio in ratios
  }
  text = json.dumps({"machine": machine(), "ratios": found, **more}, indent=1)
  path.write_text(text + "\n")
