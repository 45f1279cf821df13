"""Plots of a report as SVG; equal reports give equal bytes."""

from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib.figure import Figure

from signllm_jax.evaluation.report import report as report_lib
from signllm_jax.visualization import themed_plots
from signllm_jax.visualization.themed_plots import DASHES, FAINT, INK, SERIES

_HEIGHT = 2.8  # inches
_COLOURS = {
  "produced": SERIES[0],
  "over_seeds": SERIES[0],
  "truth": SERIES[5],
  "same_text": INK,
  "text_mean": FAINT,
  "mean_pose": SERIES[1],
  "frozen": SERIES[4],
  "other_clip": SERIES[3],
  "nearest_train": SERIES[2],
}


def intervals(report: report_lib.Report) -> Markup:
  """DTW-MJE of every row with its interval."""
  with themed_plots.style():
    plot, axes = themed_plots.new_figure(_HEIGHT)
    names = list(report.scores)
    for y, name in enumerate(reversed(names)):
      value, low, high = report.scores[name]["dtw_mje"]
      axes.plot([low, high], [y, y], color=_COLOURS[name], linewidth=3)
      axes.plot([value], [y], "o", color=_COLOURS[name])
    labels = [report_lib.ROW_NAMES[name] for name in reversed(names)]
    axes.set_yticks(range(len(names)), labels)
    axes.set_xlim(left=0)
    axes.set_xlabel(_label(report, "DTW-MJE, lower is better"))
    axes.grid(axis="y", visible=False)
    return themed_plots.to_svg(plot, "DTW-MJE of each row with its interval")


def distribution(report: report_lib.Report) -> Markup:
  """Cumulative distribution of DTW-MJE over the sequences of every row."""
  with themed_plots.style():
    plot, axes = themed_plots.new_figure(_HEIGHT)
    share = np.arange(1, len(report.true) + 1) / len(report.true)
    for number, name in enumerate(report.rows):
      axes.step(
        np.sort(report.per_sequence(name, "dtw_mje")),
        share,
        where="post",
        color=_COLOURS[name],
        ls=DASHES[number % len(DASHES)],
        label=report_lib.ROW_NAMES[name],
      )
    axes.set_xlabel(_label(report, "DTW-MJE of a sequence"))
    axes.set_ylabel("share of sequences")
    axes.set_ylim(0, 1.02)
    plot.legend(loc="outside upper left", ncols=2, fontsize=8)
    return themed_plots.to_svg(
      plot, "Share of sequences at or below each DTW-MJE, by row"
    )


def lengths(report: report_lib.Report) -> Markup:
  """Length of each produced sequence against its true length, in frames."""
  with themed_plots.style():
    plot, axes = themed_plots.new_figure(_HEIGHT)
    true = [len(clip) for clip in report.true]
    produced = [len(clip) for clip in report.rows["produced"]]
    longest = max(*true, *produced)
    axes.plot([0, longest], [0, longest], color=FAINT, linewidth=1)
    axes.plot(
      true, produced, "o", color=_COLOURS["produced"], alpha=0.5, markersize=4
    )
    axes.set_xlabel("true frames")
    axes.set_ylabel(_label(report, "produced frames"))
    return themed_plots.to_svg(
      plot, "Produced frames of each sequence over its true frames"
    )


def curves(
  runs: Mapping[str, Sequence[Sequence[tuple[float, float, float]]]],
  score: str,
) -> str:
  """Scores against steps and against minutes, each run a line, as an SVG file.

  Args:
    runs: row -> its runs -> step, seconds and score of each evaluation.
    score: name of the score and split, one for all runs.
  """
  with themed_plots.style():
    plot = Figure(figsize=(9.6, 3.6), layout="constrained")
    by_step, by_time = plot.subplots(1, 2, sharey=True)
    for number, (row, runs_of_row) in enumerate(runs.items()):
      colour = SERIES[number % len(SERIES)]
      for i, run in enumerate(runs_of_row):
        steps, seconds, scores = zip(*run, strict=True)
        label = None if i else row
        by_step.plot(steps, scores, color=colour, linewidth=1, label=label)
        minutes = [s / 60 for s in seconds]
        by_time.plot(minutes, scores, color=colour, linewidth=1)
    by_step.set_yscale("log")
    by_step.set_ylabel(f"{score}, free running")
    by_step.set_xlabel("steps")
    by_time.set_xlabel("minutes of training, without compilation")
    by_step.legend(fontsize=8)
    return themed_plots.to_svg_file(
      plot, f"{score} of every run against steps and minutes"
    )


def _label(report: report_lib.Report, label: str) -> str:
  return f"{label} (leaky)" if report.leaky else label
