"""Interleaved timing, ratios and command line, shared by the benchmarks."""

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
  """How many times better a measure of ours is than that of a baseline.

  Attributes:
    name: unique among all benchmarks; the key in the history.
    value: above 1 where ours is better.
    goal: the smallest acceptable value; None if it is only recorded.
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
  """Pins this process to one core; returns the clock of processor time.

  For shared machines: processor time excludes other processes, and no thread
  waits for one that is not scheduled. Call it before JAX or PyTorch starts
  threads.
  """
  os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
  return time.process_time


def seconds(
  run: Callable[[], object], clock: Clock = time.perf_counter
) -> float:
  """Duration of one call."""
  began = clock()
  run()
  return clock() - began


def best(run: Callable[[], object], repeats: int = 5) -> float:
  """The shortest duration of some calls, after one that is not timed."""
  run()
  return min(seconds(run) for _ in range(repeats))


def medians(
  ways: Mapping[str, Callable[[], object]],
  rounds: int,
  clock: Clock = time.perf_counter,
  ahead: int = 0,
) -> dict[str, float]:
  """Median seconds of each way, measured in turn: a slow minute affects all.

  Args:
    ways: the measured functions, by name.
    rounds: timed calls of each.
    clock: the clock.
    ahead: untimed calls before each timed one. In practice a step follows
      another step, not a different program that has filled caches and heap.
  """
  taken: dict[str, list[float]] = {name: [] for name in ways}
  for _ in range(rounds):
    for name, way in ways.items():
      for _ in range(ahead):
        way()
      taken[name].append(seconds(way, clock))
  return {name: statistics.median(times) for name, times in taken.items()}


def machine() -> dict[str, Any]:
  """Describes the machine: processor, cores, versions, huge pages."""
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
  """A command line with the module's docstring as its help."""
  command_line = argparse.ArgumentParser(
    prog=f"python -m benchmarks.{name}",
    description=doc,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  command_line.add_argument(
    "--json",
    type=pathlib.Path,
    metavar="FILE",
    help="write the results to this file",
  )
  return command_line


def add_one_core(command_line: argparse.ArgumentParser) -> None:
  """Adds --one-core; see `clock_of`."""
  command_line.add_argument(
    "--one-core", action="store_true", help="processor time, for busy machines"
  )


def clock_of(on_one_core: bool, name: str) -> tuple[Clock, str]:
  """The clock of a benchmark and the prefix of its ratios' names."""
  if on_one_core:
    return one_core(), f"{name} on one core,"
  return time.perf_counter, name


def print_ratios(ratios: Iterable[Ratio]) -> None:
  """Prints each ratio with its goal."""
  for ratio in ratios:
    line = f"{ratio.name:48} {ratio.value:8.2f}"
    if ratio.goal is not None:
      met = "met" if ratio.value >= ratio.goal else "MISSED"
      line += f"  goal {ratio.goal:g}: {met}"
    print(line)


def write(
  path: pathlib.Path | None, ratios: Iterable[Ratio], **results: Any
) -> None:
  """Writes ratios, machine and other results to a JSON file, if given."""
  if path is None:
    return
  values = {
    ratio.name: {"ratio": ratio.value, "goal": ratio.goal} for ratio in ratios
  }
  text = json.dumps(
    {"machine": machine(), "ratios": values, **results}, indent=1
  )
  path.write_text(text + "\n")
