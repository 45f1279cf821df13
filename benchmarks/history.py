"""Recorded runs, one a line of `history.jsonl`.

Ratios are compared only with those of the same processor.
"""

import datetime
import json
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import timing

FILE = pathlib.Path(__file__).with_name("history.jsonl")
WORST = 0.85  # of the median


def read(path: pathlib.Path, processor: str) -> list[dict[str, Any]]:
  """Reads the recorded runs on a processor, oldest first."""
  if not path.exists():
    return []
  runs = [json.loads(line) for line in path.read_text().splitlines()]
  return [run for run in runs if run["machine"]["processor"] == processor]


def record(path: pathlib.Path, ratios: Sequence[timing.Ratio]) -> None:
  """Adds a line to the history."""
  line = {
    "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    "machine": timing.machine(),
    "ratios": {ratio.name: round(ratio.value, 3) for ratio in ratios},
    "goals": {r.name: r.goal for r in ratios if r.goal is not None},
  }
  with path.open("a") as file:
    file.write(json.dumps(line) + "\n")


def worse(
  ratios: Sequence[timing.Ratio], history: Sequence[dict[str, Any]]
) -> list[str]:
  """Describes every ratio that is more than 15 % below its recorded median.

  Args:
    ratios: ratios of this run.
    history: recorded runs, from `read`.
  """
  lines = []
  for ratio in ratios:
    before = [
      run["ratios"][ratio.name]
      for run in history
      if ratio.name in run["ratios"]
    ]
    if before and ratio.value < WORST * statistics.median(before):
      lines.append(
        f"{ratio.name}: {ratio.value:.2f}, was "
        f"{statistics.median(before):.2f} in {len(before)} runs"
      )
  return lines


def plot(path: pathlib.Path, history: Sequence[dict[str, Any]]) -> None:
  """Draws every ratio of the last run, with earlier runs and its goal.

  Args:
    path: path of the picture.
    history: recorded runs, from `read`; at least one.
  """
  from matplotlib import figure

  names = sorted({name for run in history for name in run["ratios"]})
  goals = {k: v for run in history for k, v in run.get("goals", {}).items()}
  picture = figure.Figure((9, 1.5 + 0.18 * len(names)), layout="constrained")
  axes = picture.add_subplot()

  def mark(run: dict[str, float], **style: Any) -> None:
    rows = [i for i, name in enumerate(names) if name in run]
    axes.plot([run[names[i]] for i in rows], rows, linestyle="", **style)

  before = {"marker": ".", "color": "silver", "label": "before"}
  for run in history[:-1]:
    mark(run["ratios"], **before)
    before.pop("label", None)
  mark(history[-1]["ratios"], marker="o", markersize=4, label="last run")
  mark(goals, marker="|", markersize=9, color="black", label="goal")
  axes.set_yticks(range(len(names)), names, fontsize=7)
  axes.set_ylim(len(names), -1)
  axes.set_xscale("log")
  axes.axvline(1, color="black", linewidth=0.5)
  axes.grid(axis="x", alpha=0.3)
  axes.set_xlabel("times as fast as the baseline")
  axes.set_title(
    f"{history[-1]['machine']['processor']}, {history[-1]['date']}; "
    f"{len(history) - 1} recorded before",
    fontsize=9,
  )
  axes.legend(fontsize=7)
  picture.savefig(path, dpi=80)
