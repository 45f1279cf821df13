"""Compares lifting and reading of clips with plain Python and numpy.

  python -m benchmarks.lift [--json FILE]

All ways are timed in turn in one run; the median of the rounds is reported.
Only ratios are meaningful on another machine. Lifting is measured on clips made
by repeating and cutting the real clips of ../shared/data or, where those are
absent, letter recordings of the package spoken-to-signed. The plain lifter is
timed on a few of the clips and scaled by frames; compiling is timed apart.
"""

import argparse
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from benchmarks import plain_lift, reading, timing
from data_pipeline.lifting import hanging, lifter
from signllm_jax.core import clips, reduction
from signllm_jax.core.skeleton import (
  DWPOSE128,
  DWPOSE128_LIFTED,
  HOLISTIC178,
  PROMPT2SIGN50,
)

ROOT = pathlib.Path(__file__).parents[1]
TOLERANCE = 1e-4  # of joints in the normalised unit, `reference` to plain numpy


class Row(NamedTuple):
  """A line of the table."""

  name: str
  clips_a_second: float
  ratio: float | None = None  # to the baseline of its group
  goal: float | None = None


def keypoints(data: pathlib.Path) -> list[np.ndarray]:
  """Reads real clips [T, J, 3] of How2Sign, or spells words with letters."""
  folder = data / "how2sign_mini" / "openpose"
  if folder.is_dir():
    return [
      reading.plain_json(sorted(path.iterdir()))
      for path in sorted(folder.iterdir())
    ]
  print(f"no {folder}: spelling words with spoken-to-signed instead")
  from data_pipeline.fingerspelling import alphabets, spell

  words = ("signing", "benchmark", "hands")
  language = alphabets.ALPHABETS["asl"]
  return [spell.spell(word, language, 25.0).frames for word in words]


def of_length(clip: np.ndarray, frames: int) -> np.ndarray:
  """Repeats a clip forward and backward up to a number of frames."""
  whole = np.concatenate([clip, clip[::-1]])
  return np.concatenate([whole] * (frames // len(whole) + 1))[:frames]


def lifting(
  sources: Sequence[np.ndarray], options: argparse.Namespace
) -> tuple[list[Row], list[lifter.Lifted]]:
  """Times the modes of the lifter; returns the rows and the clips of `fast`."""
  lengths = np.linspace(*options.frames, options.clips).astype(int).tolist()
  sequences = [
    of_length(sources[i % len(sources)], t) for i, t in enumerate(lengths)
  ]
  middle = sorted(range(len(sequences)), key=lambda i: lengths[i])[
    len(sequences) // 2 :
  ]
  few = [sequences[i] for i in middle[: options.plain_clips]]
  results = {}
  for mode in ("reference", "fast"):
    began = time.perf_counter()
    results[mode] = lifter.lift(sequences, mode=mode)
    first = time.perf_counter() - began
    began = time.perf_counter()
    lifter.lift(sequences, mode=mode)
    again = time.perf_counter() - began
    print(f"{mode}: compiled in {first - again:.1f} s, not counted below")
  _check(few, results["reference"], results["fast"])
  seconds = timing.medians(
    {
      "numpy": lambda: [plain_lift.lift(clip) for clip in few],
      "reference": lambda: lifter.lift(sequences, mode="reference"),
      "fast": lambda: lifter.lift(sequences, mode="fast"),
    },
    options.rounds,
  )
  timed = sum(map(len, few))
  print(
    f"lifting: {len(sequences)} clips, {sum(lengths)} frames; plain numpy "
    f"timed on {len(few)} clips of {timed} frames (100 frames in "
    f"{seconds['numpy'] / timed * 100:.2f} s) and scaled by frames"
  )
  seconds["numpy"] *= sum(lengths) / timed
  rows = [Row("lift, plain numpy", len(sequences) / seconds["numpy"])]
  for mode, goal in (("reference", 60), ("fast", 250)):
    ratio = seconds["numpy"] / seconds[mode]
    rows.append(
      Row(f"lift, {mode}", len(sequences) / seconds[mode], ratio, goal)
    )
  return rows, results["fast"]


def faces(
  lifted: Sequence[lifter.Lifted], options: argparse.Namespace
) -> list[Row]:
  """Times clips with a face: lifted with the face hung on, and as they are."""
  random = np.random.default_rng(0)
  found = {}
  for skeleton in (DWPOSE128, HOLISTIC178):
    found[skeleton] = []
    for clip in lifted:
      frames = random.uniform(
        1, 100, (len(clip.frames), skeleton.num_joints, 3)
      )
      frames[..., 2] = 1
      for joint, name in enumerate(PROMPT2SIGN50.joints):
        if (at := skeleton.find(name)) is not None:
          frames[:, at, :2] = clip.frames[:, joint, :2]
      found[skeleton].append(
        clips.Keypoints(
          frames.astype(np.float32),
          name="a",
          skeleton=skeleton,
          depth=frames[..., 0].astype(np.float32),
        )
      )

  def hung() -> None:
    bodies = [reduction.reduce(x, PROMPT2SIGN50) for x in found[DWPOSE128]]
    results = lifter.lift([body.frames for body in bodies])
    for keypoints, result in zip(found[DWPOSE128], results, strict=True):
      hanging.hang(keypoints, result, DWPOSE128_LIFTED)

  ways = {"lift, fast, dwpose128_lifted": hung}
  for skeleton, keypoints in found.items():
    ways[f"taken as they are, {skeleton.name}"] = lambda keypoints=keypoints: [
      clips.canonical(clip.as_clip()) for clip in keypoints
    ]
  seconds = timing.medians(ways, options.rounds)
  return [Row(name, len(lifted) / taken) for name, taken in seconds.items()]


def _check(
  few: Sequence[np.ndarray],
  reference: Sequence[lifter.Lifted],
  fast: Sequence[lifter.Lifted],
) -> None:
  """Exits if the lifter and the baseline differ."""
  ours = lifter.lift(few, mode="reference", keep_stages=True)
  for clip, lifted in zip(few, ours, strict=True):
    assert lifted.stages is not None
    for stage, plain in zip(lifted.stages, plain_lift.lift(clip), strict=True):
      gap = np.abs(stage - plain).max()
      if gap > TOLERANCE:
        sys.exit(f"reference and plain numpy differ by {gap:g}")
  print(f"reference and plain numpy agree within {TOLERANCE:g} in all stages")
  lower = [
    a.objective[1] / b.objective[1]
    for a, b in zip(fast, reference, strict=True)
  ]
  if max(lower) >= 1:
    sys.exit("fast has not reached a lower objective on every clip")
  print(f"objective of fast / reference: {min(lower):.3f} to {max(lower):.3f}")


def inputs(
  lifted: Sequence[lifter.Lifted], options: argparse.Namespace
) -> list[Row]:
  """Times reading clips from JSON, .skels and records."""
  rows = []
  folder = options.data / "how2sign_mini" / "openpose"
  groups = [reading.json_ways(folder)] if folder.is_dir() else []
  if not groups:
    print(f"JSON: skipped, there is no {folder}")
  poses = [
    clips.canonical(
      clips.Clip(clip.frames, clip.valid, name=f"{i}", text="a text")
    )
    for i, clip in enumerate(lifted)
  ]
  with tempfile.TemporaryDirectory() as work:
    groups += reading.pose_ways(pathlib.Path(work), poses)
    for count, slow, ways, goals in groups:
      for way in ways.values():
        way()  # into the page cache
      seconds = timing.medians(
        ways, options.rounds if count > 1000 else 4 * options.rounds + 1
      )
      for name, taken in seconds.items():
        ratio = None if name == slow else seconds[slow] / taken
        rows.append(Row(name, count / taken, ratio, goals.get(name)))
  return rows


def main() -> None:
  """The command line."""
  parser = timing.parser("lift", __doc__)
  parser.add_argument(
    "--clips", type=int, default=32, help="number of clips to lift"
  )
  parser.add_argument(
    "--frames",
    type=int,
    nargs=2,
    default=(60, 300),
    metavar=("SHORTEST", "LONGEST"),
    help="lengths of the clips, evenly spread",
  )
  parser.add_argument(
    "--plain-clips", type=int, default=2, help="number of clips for plain numpy"
  )
  parser.add_argument("--rounds", type=int, default=3, help="number of rounds")
  parser.add_argument(
    "--data", type=pathlib.Path, default=ROOT.parent / "shared" / "data"
  )
  options = parser.parse_args()
  rows, lifted = lifting(keypoints(options.data), options)
  rows += faces(lifted, options)
  rows += inputs(lifted, options)
  print(f"\n{'':34}{'clips/s':>10}{'ratio':>9}{'goal':>7}")
  for row in rows:
    ratio = "" if row.ratio is None else f"{row.ratio:.1f}"
    goal = "" if row.goal is None else f"{row.goal:g}"
    print(f"{row.name:34}{row.clips_a_second:10.2f}{ratio:>9}{goal:>7}")
  ratios = [
    timing.Ratio(row.name, row.ratio, row.goal)
    for row in rows
    if row.ratio is not None
  ]
  figures = {row.name: row._asdict() for row in rows}
  timing.write(options.json, ratios, figures=figures)
