"""Matplotlib figures as SVG in the colours of a page's style sheet.

Figures are drawn in stand-in colours, each of which becomes a variable of
`templates/colours.css`: one picture serves light and dark. Equal figures give
equal bytes.
"""

import functools
import html
import importlib.resources
import io
import re
from typing import Any

import matplotlib as mpl
from markupsafe import Markup
from matplotlib import axes, figure

INK, FAINT, PAGE = "#010101", "#020202", "#030303"
SERIES = ("#110101", "#120202", "#130303", "#140404", "#150505", "#160606")
MISSING = ("#210101", "#220202", "#230303", "#240404", "#250505")
DASHES = ("-", "--", ":", "-.")  # series differ in more than colour
WIDTH = 4.4  # inches; a phone shows it at four fifths
_VARIABLES = {
  INK: "--ink",
  FAINT: "--faint",
  PAGE: "--page",
  **{colour: f"--series-{i}" for i, colour in enumerate(SERIES)},
  **{colour: f"--missing-{i}" for i, colour in enumerate(MISSING)},
}
_STYLE: dict[Any, Any] = {
  "svg.hashsalt": "signllm_jax",
  "svg.fonttype": "none",  # text stays text: small, and read by screen readers
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


def style():
  """Context in which a figure is made, drawn and turned into SVG."""
  return mpl.rc_context(_STYLE)


def new_figure(height: float) -> tuple[figure.Figure, axes.Axes]:
  """A figure of WIDTH x height inches with one pair of axes."""
  plot = figure.Figure(figsize=(WIDTH, height), layout="constrained")
  return plot, plot.add_subplot()


def to_svg(plot: figure.Figure, title: str) -> Markup:
  """The figure as an SVG element of a page.

  Args:
    plot: drawn in colours of this module.
    title: read aloud instead of the picture; a page has each title once.
  """
  box, body = _elements(plot, title)
  return Markup(
    f'<svg xmlns:xlink="http://www.w3.org/1999/xlink" {box} role="img">\n'
    f"<title>{html.escape(title)}</title>{body}"
  )


def to_svg_file(plot: figure.Figure, title: str) -> str:
  """The figure as the text of an SVG file, which holds its own colours."""
  box, body = _elements(plot, title)
  return (
    '<svg xmlns="http://www.w3.org/2000/svg" '
    f'xmlns:xlink="http://www.w3.org/1999/xlink" {box} role="img">\n'
    f"<title>{html.escape(title)}</title>\n<style>\n{_colours()}"
    "svg { background: var(--card); font-family: sans-serif; }\n"
    "* { stroke-linejoin: round; stroke-linecap: butt; }\n"
    f"</style>{body}"
  )


@functools.cache
def _colours() -> str:
  folder = importlib.resources.files("signllm_jax.visualization")
  return folder.joinpath("templates", "colours.css").read_text(encoding="utf-8")


def _elements(plot: figure.Figure, title: str) -> tuple[str, str]:
  """The viewBox of a figure, and all that stands inside of its SVG element."""
  buffer = io.StringIO()
  left_out = dict.fromkeys(("Date", "Creator", "Format", "Type"))
  plot.savefig(buffer, format="svg", transparent=True, metadata=left_out)
  _, _, body = buffer.getvalue().partition("<svg")
  box = re.search(r'viewBox="[^"]*"', body)
  assert box  # matplotlib always writes one
  body = body.partition(">")[2]
  # The ids of all pictures of a page must differ.
  prefix = re.sub(r"\W+", "-", title.lower())
  body = re.sub(r'(id="|url\(#|href="#)', rf"\g<1>{prefix}-", body)
  # Matplotlib's style would hold for the whole page, whose own says the same.
  body = re.sub(
    r"<style.*?</style>|<metadata>.*?</metadata>", "", body, flags=re.S
  )
  for colour, variable in _VARIABLES.items():
    body = body.replace(colour, f"var({variable})")
  return box[0], body
