"""Times a build of many clips by stage, with its memory, kill and resume.

  python -m benchmarks.scale --clips 300 1500         # whole clips
  python -m benchmarks.scale --clips 30000 --frames 24 --kill

The clips are copies (hard links) of real ones in the form in which How2Sign is
downloaded, built by one command from JSON to ArrayRecord. A stage's processor
seconds are those of the build's own process, for reading of the processes that
read. With several counts the growth of memory from the first to the last is
printed. --kill builds the last count again, kills it with SIGKILL when half of
the clips are lifted, resumes it and compares the bytes.
"""

import argparse
import functools
import json
import multiprocessing
import os
import pathlib
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import psutil

from benchmarks import copies, lifting, timing

_SPAWN = multiprocessing.get_context("spawn")
STAGES = ("finding", "reading", "lifting", "writing clips", "records", "checks")


class Built(NamedTuple):
  """A measured build.

  Attributes:
    seconds: of the clock, all of it.
    processor: seconds, of all its processes.
    stages: seconds of the clock and of the processor, by stage.
    memory: most anonymous memory of the build's process, bytes.
    readers: the same of the largest other process.
  """

  seconds: float
  processor: float
  stages: dict[str, tuple[float, float]]
  memory: int
  readers: int


def command(source: pathlib.Path, output: pathlib.Path) -> list[str]:
  """The build of a folder."""
  return [
    "build",
    "--dataset=prompt2sign/asl",
    "--file_format=array_record",
    f"--input={source}",
    f"--output={output}",
  ]


def _timed(
  stages: dict[str, list[float]], stage: str, function: Callable[..., Any]
) -> Callable[..., Any]:
  @functools.wraps(function)
  def call(*args: Any, **kwargs: Any) -> Any:
    wall, processor = time.perf_counter(), time.process_time()
    try:
      return function(*args, **kwargs)
    finally:
      taken = stages.setdefault(stage, [0.0, 0.0])
      taken[0] += time.perf_counter() - wall
      taken[1] += time.process_time() - processor

  return call


def _waited(
  stages: dict[str, list[float]], read: Callable[..., Iterator]
) -> Callable[..., Iterator]:
  """Times how long the caller of a generator waits for its items."""

  @functools.wraps(read)
  def items(*args: Any, **kwargs: Any) -> Iterator:
    following = functools.partial(next, read(*args, **kwargs))
    step = _timed(stages, "reading", following)
    while True:
      try:
        yield step()
      except StopIteration:
        return

  return items


def _build(words: Sequence[str], report: str) -> None:
  """Runs in a process of its own: builds, and writes the seconds by stage."""
  os.setpgrp()
  from data_pipeline.building import build, record_reader
  from data_pipeline.cli import parser
  from data_pipeline.corpora import recognise
  from data_pipeline.keypoints import read_clips
  from data_pipeline.lifting import lifter, lifting_run

  stages: dict[str, list[float]] = {}
  run: Any = lifting_run._Run
  for place, name, stage in (
    (recognise, "recognise", "finding"),
    (lifter, "lift", "lifting"),
    (run, "lift", "chunks"),
    (build, "_write", "records"),
    (build, "_complete", "checks"),
    (record_reader, "summarise", "checks"),
  ):
    setattr(place, name, _timed(stages, stage, getattr(place, name)))
  read_clips.read_all = _waited(stages, read_clips.read_all)
  code = parser.main(words)
  chunks, lifts = stages.pop("chunks"), stages["lifting"]
  stages["writing clips"] = [a - b for a, b in zip(chunks, lifts, strict=True)]
  own = time.process_time()
  readers = resource.getrusage(resource.RUSAGE_CHILDREN)
  stages["reading"][1] += readers.ru_utime + readers.ru_stime
  pathlib.Path(report).write_text(
    json.dumps(
      {
        "stages": stages,
        "processor": own + readers.ru_utime + readers.ru_stime,
      }
    )
  )
  sys.exit(code)


def build(source: pathlib.Path, output: pathlib.Path) -> Built:
  """Builds in another process and watches its memory."""
  report = output.with_suffix(".json")
  began = time.perf_counter()
  process = _SPAWN.Process(
    target=_build, args=(command(source, output), str(report))
  )
  process.start()
  memory = readers = 0
  watched = psutil.Process(process.pid)
  while process.is_alive():
    for each in (watched, *_children(watched)):
      size = _anonymous(each.pid)
      if each.pid == process.pid:
        memory = max(memory, size)
      else:
        readers = max(readers, size)
    process.join(0.2)
  if process.exitcode:
    sys.exit(f"the build ended with {process.exitcode}")
  found = json.loads(report.read_text())
  stages = {name: tuple(taken) for name, taken in found["stages"].items()}
  seconds = time.perf_counter() - began
  return Built(seconds, found["processor"], stages, memory, readers)


def _children(process: psutil.Process) -> list[psutil.Process]:
  try:
    return process.children(recursive=True)
  except psutil.NoSuchProcess:
    return []


def _anonymous(pid: int) -> int:
  """Anonymous memory of a process in bytes, without pages of files."""
  try:
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
  except OSError:
    return 0
  sizes = [line.split()[1] for line in lines if line.startswith("RssAnon")]
  return int(sizes[0]) << 10 if sizes else 0


def kill_and_resume(
  source: pathlib.Path, output: pathlib.Path, count: int
) -> tuple[int, Built]:
  """Kills a build at half of its clips; returns those lifted, and the rest."""
  process = _SPAWN.Process(
    target=_build, args=(command(source, output), str(output) + ".json")
  )
  process.start()
  folder = output / ".lifted" / "prompt2sign" / "asl" / "train"
  lifted = 0
  while process.is_alive() and lifted < count // 2:
    process.join(0.5)
    lifted = len(list(folder.glob("[!.]*.npz"))) if folder.is_dir() else 0
  os.killpg(process.pid or 0, signal.SIGKILL)
  process.join()
  return lifted, build(source, output)


def _print(count: int, frames: int, built: Built) -> None:
  print(
    f"\n{count} clips of {frames / count:.0f} frames: {built.seconds:.0f} s, "
    f"{count / built.seconds:.1f} clips/s; processor {built.processor:.0f} s"
  )
  print(f"{'':16}{'clock s':>10}{'processor s':>14}{'clips/s of it':>16}")
  for stage in STAGES:
    clock, processor = built.stages[stage]
    rate = count / processor if processor else 0
    print(f"{stage:16}{clock:10.1f}{processor:14.1f}{rate:16.0f}")
  print(
    f"memory: {built.memory / 1e6:.0f} MB, "
    f"a reader {built.readers / 1e6:.0f} MB"
  )


def main() -> None:
  """The command line."""
  parser = timing.parser("scale", __doc__)
  parser.add_argument(
    "--clips", type=int, nargs="+", default=[300, 1500], help="counts to build"
  )
  parser.add_argument(
    "--frames", type=int, help="first frames of each clip (default: all)"
  )
  parser.add_argument(
    "--kill", action="store_true", help="also kill and resume the last count"
  )
  parser.add_argument(
    "--data", type=pathlib.Path, default=lifting.ROOT.parent / "shared" / "data"
  )
  parser.add_argument(
    "--work", type=pathlib.Path, help="folder for the clips and builds"
  )
  options: argparse.Namespace = parser.parse_args()
  results = []
  with tempfile.TemporaryDirectory(dir=options.work) as name:
    for count in options.clips:
      work = pathlib.Path(name, str(count))
      frames = copies.how2sign(work / "in", count, options.frames, options.data)
      built = build(work / "in", work / "out")
      _print(count, frames, built)
      results.append({"clips": count, "frames": frames, **built._asdict()})
    if options.kill:
      lifted, rest = kill_and_resume(work / "in", work / "killed", count)
      sums = "prompt2sign/asl/1.0.0/SHA256SUMS"
      same = (work / "out" / sums).read_bytes() == (
        work / "killed" / sums
      ).read_bytes()
      print(
        f"\nkilled with {lifted} of {count} clips lifted; the rest took "
        f"{rest.seconds:.0f} s, processor {rest.processor:.0f} s, "
        f"{rest.memory / 1e6:.0f} MB; "
        f"{'the same' if same else 'OTHER'} bytes"
      )
      if not same:
        sys.exit(1)
  if len(results) > 1:
    first, last = results[0], results[-1]
    grown = last["memory"] - first["memory"]
    each = grown / (last["clips"] - first["clips"])
    print(f"\nmemory from the first to the last: {each:.0f} bytes a clip")
  timing.write(options.json, (), builds=results)


if __name__ == "__main__":
  main()
