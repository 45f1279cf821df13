"""Plots of a report as SVG that takes the page's colour of text.

The same report gives the same bytes.
"""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from signllm_jax.evaluation.report import report

_INK = "#123456"  # becomes the page's own colour
_COLOURS = {
  "produced": "#2f6fde",
  "truth": "#2f9e44",
  "mean_pose": "#e8590c",
  "frozen": "#a61e4d",
  "other_clip": "#8d6bd1",
  "nearest_train": "#0ca5a0",
}
_STYLE: dict[Any, Any] = {
  "svg.fonttype": "none",  # text stays text: small, and read by screen readers
  "svg.hashsalt": "signllm_jax",
  "font.family": "sans-serif",
  "font.size": 10,
  "text.color": _INK,
  "axes.labelcolor": _INK,
  "axes.edgecolor": _INK,
  "xtick.color": _INK,
  "ytick.color": _INK,
  "axes.spines.top": False,
  "axes.spines.right": False,
}


def _svg(figure: Figure, alt: str) -> str:
  out = io.StringIO()
  figure.savefig(out, format="svg", transparent=True, metadata={"Date": None})
  text = out.getvalue()
  text = text[text.index("<svg") :].replace(_INK, "currentColor")
  return text.replace("<svg", f'<svg role="img" aria-label="{alt}"', 1)


def _axes(height: float):
  figure = Figure(figsize=(6.4, height), layout="constrained")
  return figure, figure.subplots()


def intervals(made: report.Report) -> str:
  """DTW-MJE of every row with its interval."""
  with matplotlib.rc_context(_STYLE):
    figure, axes = _axes(2.6)
    names = list(made.scores)
    for y, name in enumerate(reversed(names)):
      value, low, high = made.scores[name]["dtw_mje"]
      axes.plot([low, high], [y, y], color=_COLOURS[name], linewidth=3)
      axes.plot([value], [y], "o", color=_COLOURS[name])
    labels = [report.ROW_NAMES[name] for name in reversed(names)]
    axes.set_yticks(range(len(names)), labels)
    axes.set_xlim(left=0)
    axes.set_xlabel(_leaky(made, "DTW-MJE, lower is better"))
    return _svg(figure, "DTW-MJE of each row with its interval")


def distribution(made: report.Report) -> str:
  """How DTW-MJE is spread over the sequences, row by row."""
  with matplotlib.rc_context(_STYLE):
    figure, axes = _axes(3.2)
    share = np.arange(1, len(made.true) + 1) / len(made.true)
    for name in made.rows:
      values = np.sort(made.each(name, "dtw_mje"))
      axes.step(
        values,
        share,
        where="post",
        color=_COLOURS[name],
        label=report.ROW_NAMES[name],
      )
    axes.set_xlabel(_leaky(made, "DTW-MJE of a sequence"))
    axes.set_ylabel("share of sequences at or below")
    axes.set_ylim(0, 1.02)
    axes.legend(frameon=False, fontsize=8)
    return _svg(figure, "Share of sequences at or below each DTW-MJE, by row")


def lengths(made: report.Report) -> str:
  """Produced against true length."""
  with matplotlib.rc_context(_STYLE):
    figure, axes = _axes(3.2)
    true = [len(clip) for clip in made.true]
    produced = [len(clip) for clip in made.rows["produced"]]
    most = max(*true, *produced)
    axes.plot([0, most], [0, most], color="#8a93a3", linewidth=1)
    axes.plot(
      true, produced, "o", color=_COLOURS["produced"], alpha=0.5, markersize=4
    )
    axes.set_xlabel("true frames")
    axes.set_ylabel(_leaky(made, "produced frames"))
    return _svg(figure, "Produced frames of each sequence over its true frames")


def curves(
  runs: Mapping[str, Sequence[Sequence[tuple[float, float, float]]]],
) -> str:
  """Scores against steps and against minutes, each run a line.

  Args:
    runs: row -> its runs -> step, seconds and score of each evaluation.
  """
  with matplotlib.rc_context(_STYLE):
    figure = Figure(figsize=(9.6, 3.6), layout="constrained")
    by_step, by_time = figure.subplots(1, 2, sharey=True)
    for number, (row, each) in enumerate(runs.items()):
      colour = list(_COLOURS.values())[number % len(_COLOURS)]
      for i, run in enumerate(each):
        steps, seconds, scores = zip(*run, strict=True)
        label = None if i else row
        by_step.plot(steps, scores, color=colour, linewidth=1, label=label)
        minutes = [s / 60 for s in seconds]
        by_time.plot(minutes, scores, color=colour, linewidth=1)
    by_step.set_yscale("log")
    by_step.set_ylabel("DTW-MJE of dev, free running")
    by_step.set_xlabel("steps")
    by_time.set_xlabel("minutes of training, compiling left out")
    by_step.legend(frameon=False, fontsize=8)
    return _svg(figure, "DTW-MJE of every run against steps and minutes")


def _leaky(made: report.Report, label: str) -> str:
  return f"{label} (leaky)" if made.leaky else label
