"""The data card's plots, as SVG that takes its colours from the page.

Drawn by matplotlib in stand-in colours, each of which becomes a variable of
the page's style sheet: one picture serves light and dark. Equal data give equal
bytes.
"""

import html
import io
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib import axes, figure, ticker

from data_pipeline.lifting import bones
from signllm_jax.core import skeleton

INK, FAINT, PAGE = "#010101", "#020202", "#030303"
SERIES = ("#110101", "#120202", "#130303", "#140404")
MISSING = ("#210101", "#220202", "#230303", "#240404", "#250505")
# Stand-in colour -> the page's variable.
COLOURS = {
  INK: "--ink",
  FAINT: "--faint",
  PAGE: "--page",
  **{colour: f"--series-{i}" for i, colour in enumerate(SERIES)},
  **{colour: f"--missing-{i}" for i, colour in enumerate(MISSING)},
}
_DASHES = ("-", "--", ":", "-.")  # splits differ in more than colour
_WIDTH = 4.4  # inches; a phone shows it at four fifths
_STYLE: dict[Any, Any] = {
  "svg.hashsalt": "signllm_jax",
  "svg.fonttype": "none",
  "text.parse_math": False,
  "font.family": "DejaVu Sans",
  "font.size": 9,
  "text.color": INK,
  "axes.labelcolor": INK,
  "axes.edgecolor": FAINT,
  "axes.spines.top": False,
  "axes.spines.right": False,
  "axes.grid": True,
  "axes.axisbelow": True,
  "grid.color": FAINT,
  "grid.alpha": 0.25,
  "xtick.color": FAINT,
  "ytick.color": FAINT,
  "xtick.labelcolor": INK,
  "ytick.labelcolor": INK,
  "legend.frameon": False,
}
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
  what: str,
  *,
  whole: bool = False,
) -> str:
  """Shares of clips over values, a line a split.

  Args:
    values: split -> a number a clip.
    unit: label of the numbers.
    what: title of the picture, for those who cannot see it.
    whole: whether they are whole numbers, with bins around them.
  """
  every = np.concatenate([np.asarray(each, float) for each in values.values()])
  top = max(float(every.max(initial=0)), 1e-3)
  bins = int(np.clip(2 * np.sqrt(len(every)), 6, 25))
  if whole:
    step = max(1, math.ceil(top / bins))
    edges = np.arange(-0.5, top + step, step)
  else:
    edges = np.linspace(0, top, bins + 1)
  with mpl.rc_context(_STYLE):
    plot, ax = _figure(2.5)
    for i, (split, each) in enumerate(values.items()):
      counts, _ = np.histogram(each, edges)
      shares = 100 * counts / max(len(each), 1)
      colour = SERIES[i % len(SERIES)]
      dashes = _DASHES[i % len(_DASHES)]
      if not i:  # more than one would be a mixture of colours
        ax.stairs(shares, edges, fill=True, color=colour, alpha=0.15)
      ax.stairs(shares, edges, color=colour, ls=dashes, lw=1.6, label=split)
    ax.set(xlabel=unit, ylabel="% of the split's clips", xlim=edges[[0, -1]])
    ax.set_ylim(bottom=0)
    if len(values) > 1:
      ax.legend()
    return _svg(plot, what)


def rank_frequency(counts: Sequence[int], tokens: str) -> str:
  """How often each token occurs, the most frequent first, on log scales."""
  with mpl.rc_context(_STYLE):
    plot, ax = _figure(2.5)
    ranks = np.arange(1, len(counts) + 1)
    ax.plot(
      ranks,
      sorted(counts, reverse=True),
      marker="o" if len(counts) < 100 else None,
      color=SERIES[0],
      ms=3,
    )
    ax.set(xscale="log", yscale="log", xlabel="rank", ylabel="occurrences")
    for axis, ends in (
      (ax.xaxis, ranks),
      (ax.yaxis, counts),
    ):
      narrow = max(ends, default=1) < 300 * min(ends, default=1)
      axis.set_major_locator(
        ticker.LogLocator(subs=(1, 2, 5)[: 3 if narrow else 1])
      )
      axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
      axis.set_minor_formatter(lambda *_: "")
    return _svg(plot, f"Occurrences of {tokens} by rank, on log scales")


def bone_lengths(lengths: np.ndarray) -> str:
  """Median and middle 90 % of bones [clips, K], in shoulder widths."""
  with mpl.rc_context(_STYLE):
    plot, ax = _figure(4.6)
    for i in range(skeleton.BONES):
      known = lengths[~np.isnan(lengths[:, i]), i]
      if not len(known):
        ax.text(0, i, "never seen", color=FAINT, va="center", fontsize=8)
        continue
      low, middle, high = np.percentile(known, [5, 50, 95])
      ax.plot([low, high], [i, i], color=SERIES[0], lw=4, alpha=0.35)
      ax.plot(middle, i, "o", color=SERIES[0], ms=4)
    ax.set_yticks(range(skeleton.BONES), bones.NAMES)
    ax.set(xlabel="length in shoulder widths", ylim=(skeleton.BONES - 0.5, -1))
    ax.set_xlim(left=0)
    ax.grid(axis="y", visible=False)
    return _svg(plot, "Length of each bone: median and middle 90 % of clips")


def missing(shares: np.ndarray) -> str:
  """How often each joint [J] is missing, on a figure that faces the reader."""
  with mpl.rc_context(_STYLE):
    plot, ax = _figure(2.3)
    points = _schema()
    for parent, child, _ in skeleton.LIMBS:
      if {parent, child} not in ({7, 8}, {4, 29}):  # hands are drawn apart
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
    return _svg(plot, "Share of frames in which each joint is missing")


def _schema() -> np.ndarray:
  """Places [J, 2] for a signer who faces the reader, hands large beside."""
  places = np.zeros((skeleton.J, 2))
  places[0] = 0, -0.75
  for x, shoulder in (
    (-1, skeleton.RIGHT_SHOULDER),
    (1, skeleton.LEFT_SHOULDER),
  ):
    places[shoulder : shoulder + 3] = (
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
  for x, root in ((-1, skeleton.RIGHT_HAND), (1, skeleton.LEFT_HAND)):
    wrist = np.array([2.2 * x, 1.15])
    places[root] = wrist
    for finger, (angle, reach) in enumerate(fingers):
      way = np.array(
        [-x * np.sin(np.radians(angle)), -np.cos(np.radians(angle))]
      )
      first = root + 1 + 4 * finger
      places[first : first + 4] = wrist + 1.25 * np.outer(reach, way)
  return places


def _figure(height: float) -> tuple[figure.Figure, axes.Axes]:
  plot = figure.Figure(figsize=(_WIDTH, height), layout="constrained")
  return plot, plot.add_subplot()


def _svg(plot: figure.Figure, title: str) -> str:
  """The picture as an element of the page."""
  buffer = io.StringIO()
  kept_out = dict.fromkeys(("Date", "Creator", "Format", "Type"))
  plot.savefig(buffer, format="svg", transparent=True, metadata=kept_out)
  _, _, body = buffer.getvalue().partition("<svg")
  box = re.search(r'viewBox="[^"]*"', body)
  assert box  # matplotlib always writes one
  body = body.partition(">")[2]
  # Names of all of the page's pictures must differ.
  prefix = re.sub(r"\W+", "-", title.lower())
  body = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
  # Their style would hold for all of the page, which says the same itself.
  body = re.sub(
    r"<style.*?</style>|<metadata>.*?</metadata>", "", body, flags=re.S
  )
  for colour, variable in COLOURS.items():
    body = body.replace(colour, f"var({variable})")
  return (
    f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box[0]} role="img">\n'
    f"<title>{html.escape(title)}</title>{body}"
  )
