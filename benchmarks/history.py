"""The recorded runs: a line of `history.jsonl` each.

Ratios of two processors are not comparable: a run is looked at beside those of
its own.
"""

import datetime
import json
import pathlib
import statistics
from collections.abc import Sequence
from typing import Any

from benchmarks import rounds

FILE = pathlib.Path(__file__).with_name("history.jsonl")
WORST = 0.85  # of the median


def read(path: pathlib.Path, processor: str) -> list[dict[str, Any]]:
  """The recorded runs on a processor, oldest first."""
  if not path.exists():
    return []
  runs = [json.loads(line) for line in path.read_text().splitlines()]
  return [each for each in runs if each["machine"]["processor"] == processor]


def record(path: pathlib.Path, ratios: Sequence[rounds.Ratio]) -> None:
  """Adds a line to the history."""
  line = {
    "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
    "machine": rounds.machine(),
    "ratios": {ratio.name: round(ratio.value, 3) for ratio in ratios},
    "goals": {r.name: r.goal for r in ratios if r.goal is not None},
  }
  with path.open("a") as file:
    file.write(json.dumps(line) + "\n")


def worse(
  ratios: Sequence[rounds.Ratio], history: Sequence[dict[str, Any]]
) -> list[str]:
  """A line for every ratio that fell below what it was.

  Args:
    ratios: of this run.
    history: of `read`.
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


def plot(path: pathlib.Path, history: Sequence[dict[str, Any]]) -> None:
  """Draws a row for every ratio: its last run, those before, and its goal.

  Args:
    path: of the picture.
    history: of `read`, at least one run.
  """
  from matplotlib import figure

  names = sorted({name for each in history for name in each["ratios"]})
  goals = {k: v for each in history for k, v in each.get("goals", {}).items()}
  picture = figure.Figure((9, 1.5 + 0.18 * len(names)), layout="constrained")
  axes = picture.add_subplot()

  def mark(run: dict[str, float], **style: Any) -> None:
    rows = [i for i, name in enumerate(names) if name in run]
    axes.plot([run[names[i]] for i in rows], rows, linestyle="", **style)

  before = {"marker": ".", "color": "silver", "label": "before"}
  for each in history[:-1]:
    mark(each["ratios"], **before)
    before.pop("label", None)
  mark(history[-1]["ratios"], marker="o", markersize=4, label="last run")
  mark(goals, marker="|", markersize=9, color="black", label="goal")
  axes.set_yticks(range(len(names)), names, fontsize=7)
  axes.set_ylim(len(names), -1)
  axes.set_xscale("log")
  axes.axvline(1, color="black", linewidth=0.5)
  axes.grid(axis="x", alpha=0.3)
  axes.set_xlabel("times as fast as what it is compared with")
  axes.set_title(
    f"{history[-1]['machine']['processor']}, {history[-1]['date']}; "
    f"{len(history) - 1} recorded before",
    fontsize=9,
  )
  axes.legend(fontsize=7)
  picture.savefig(path, dpi=80)
