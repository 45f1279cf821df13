"""Plots of the data card, as SVG in the page's colours."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from markupsafe import Markup
from matplotlib import ticker

from data_pipeline.lifting import bones
from signllm_jax.core.skeleton import SIDES, Skeleton
from signllm_jax.visualization import themed_plots
from signllm_jax.visualization.themed_plots import FAINT, INK, MISSING, SERIES

# Upper ends of the classes of missing shares.
CLASSES = {
  "never": 0.0,
  "up to 1 %": 0.01,
  "up to 10 %": 0.1,
  "up to 50 %": 0.5,
  "over 50 %": 1.0,
}


def histogram(
  values: Mapping[str, Sequence[float]],
  unit: str,
  title: str,
  *,
  whole: bool = False,
) -> Markup:
  """Histogram of a value a clip, in % of the split's clips, a line a split.

  Args:
    values: split -> a value a clip.
    unit: label of the values.
    title: of the picture, read aloud.
    whole: whether the values are whole numbers, with bins around them.
  """
  pooled = np.concatenate([np.asarray(x, float) for x in values.values()])
  top = max(float(pooled.max(initial=0)), 1e-3)
  bins = int(np.clip(2 * np.sqrt(len(pooled)), 6, 25))
  if whole:
    step = max(1, math.ceil(top / bins))
    edges = np.arange(-0.5, top + step, step)
  else:
    edges = np.linspace(0, top, bins + 1)
  with themed_plots.style():
    plot, ax = themed_plots.new_figure(2.5)
    for i, (split, of_split) in enumerate(values.items()):
      counts, _ = np.histogram(of_split, edges)
      shares = 100 * counts / max(len(of_split), 1)
      colour = SERIES[i % len(SERIES)]
      dashes = themed_plots.DASHES[i % len(themed_plots.DASHES)]
      if not i:  # more than one would be a mixture of colours
        ax.stairs(shares, edges, fill=True, color=colour, alpha=0.15)
      ax.stairs(shares, edges, color=colour, ls=dashes, lw=1.6, label=split)
    ax.set(xlabel=unit, ylabel="% of the split's clips", xlim=edges[[0, -1]])
    ax.set_ylim(bottom=0)
    if len(values) > 1:
      ax.legend()
    return themed_plots.to_svg(plot, title)


def rank_frequency(counts: Sequence[int], tokens: str) -> Markup:
  """Occurrences of each token by rank, the most frequent first, log-log."""
  with themed_plots.style():
    plot, ax = themed_plots.new_figure(2.5)
    ranks = np.arange(1, len(counts) + 1)
    ax.plot(
      ranks,
      sorted(counts, reverse=True),
      marker="o" if len(counts) < 100 else None,
      color=SERIES[0],
      ms=3,
    )
    ax.set(xscale="log", yscale="log", xlabel="rank", ylabel="occurrences")
    for axis, values in ((ax.xaxis, ranks), (ax.yaxis, counts)):
      narrow = max(values, default=1) < 300 * min(values, default=1)
      axis.set_major_locator(
        ticker.LogLocator(subs=(1, 2, 5)[: 3 if narrow else 1])
      )
      axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
      axis.set_minor_formatter(lambda *_: "")
    return themed_plots.to_svg(
      plot, f"Occurrences of {tokens} by rank, on log scales"
    )


def bone_lengths(lengths: np.ndarray, skeleton: Skeleton) -> Markup:
  """Median and middle 90 % of bones [clips, K], in shoulder widths."""
  with themed_plots.style():
    plot, ax = themed_plots.new_figure(4.6)
    for i in range(skeleton.num_bones):
      known = lengths[~np.isnan(lengths[:, i]), i]
      if not len(known):
        ax.text(0, i, "never seen", color=FAINT, va="center", fontsize=8)
        continue
      low, middle, high = np.percentile(known, [5, 50, 95])
      ax.plot([low, high], [i, i], color=SERIES[0], lw=4, alpha=0.35)
      ax.plot(middle, i, "o", color=SERIES[0], ms=4)
    ax.set_yticks(range(skeleton.num_bones), bones.names(skeleton))
    ax.set(
      xlabel="length in shoulder widths", ylim=(skeleton.num_bones - 0.5, -1)
    )
    ax.set_xlim(left=0)
    ax.grid(axis="y", visible=False)
    return themed_plots.to_svg(
      plot, "Length of each bone: median and middle 90 % of clips"
    )


def missing(shares: np.ndarray, skeleton: Skeleton) -> Markup:
  """Share of frames without each joint [J], on a figure that faces you.

  It shows the arms and hands; the page's tables have the face and the legs.
  """
  with themed_plots.style():
    plot, ax = themed_plots.new_figure(2.3)
    points = _joint_places(skeleton)
    wrists = [skeleton.hand(side) for side in SIDES]
    for parent, child, _ in skeleton.limbs:
      if child not in wrists:  # hands are drawn apart
        ends = points[[parent, child]]
        ax.plot(ends[:, 0], ends[:, 1], color=FAINT, lw=1.2, alpha=0.6)
    classes = np.searchsorted(list(CLASSES.values()), shares - 1e-12)
    for i, label in enumerate(CLASSES):
      at = points[classes == i]
      ax.scatter(
        at[:, 0],
        at[:, 1],
        16 + 9 * i,
        MISSING[i],
        edgecolors=INK,
        lw=0.5,
        zorder=3,
        label=label,
      )
    for x, side in ((-2.2, "right"), (2.2, "left")):
      ax.text(x, 1.5, f"{side} hand", ha="center", color=INK)
    ax.set(aspect="equal", xlim=(-3.1, 3.1), ylim=(1.55, -0.95))
    ax.axis("off")
    ax.legend(
      loc="upper center",
      bbox_to_anchor=(0.5, 0.02),
      ncols=5,
      fontsize=8,
      handletextpad=0.1,
      columnspacing=1,
    )
    return themed_plots.to_svg(
      plot, "Share of frames in which each joint is missing"
    )


def _joint_places(skeleton: Skeleton) -> np.ndarray:
  """Positions [J, 2] of a signer who faces you, the hands large beside.

  NaN, which is not drawn, for joints of legs and face.
  """
  places = np.full((skeleton.num_joints, 2), np.nan)
  for name, place in (("nose", (0, -0.75)), ("neck", (0, 0))):
    joint = skeleton.find(name)
    if joint is not None:
      places[joint] = place
  for x, side in ((-1, "right"), (1, "left")):
    places[list(skeleton.arm(side))] = (
      (0.5 * x, 0.05),
      (0.7 * x, 0.65),
      (0.55 * x, 1.2),
    )
  # Angle from upright towards the thumb's side, and where its joints lie.
  fingers = (
    (58, (0.35, 0.6, 0.78, 0.92)),
    (20, (0.62, 0.92, 1.1, 1.26)),
    (3, (0.62, 0.98, 1.19, 1.36)),
    (-13, (0.6, 0.92, 1.12, 1.27)),
    (-30, (0.55, 0.8, 0.94, 1.07)),
  )
  for x, side in ((-1, "right"), (1, "left")):
    root = skeleton.hand(side)
    wrist = np.array([2.2 * x, 1.15])
    places[root] = wrist
    for finger, (angle, reach) in enumerate(fingers):
      way = np.array(
        [-x * np.sin(np.radians(angle)), -np.cos(np.radians(angle))]
      )
      first = root + 1 + 4 * finger
      places[first : first + 4] = wrist + 1.25 * np.outer(reach, way)
  return places
