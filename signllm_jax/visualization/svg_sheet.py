"""Contact sheets as SVG: sharp lines at any size, and no script."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from signllm_jax.core import clips
from signllm_jax.visualization import skeleton_drawing, svg_figure

_CELL = svg_figure.CELL
_GAP, _LINE = 25, 75  # between figures; of a line of text


class Row(NamedTuple):
  """One clip of a sheet.

  Attributes:
    clip: at least one frame, finite.
    label: shown beside the time; may be empty.
    caption: shown in a line above, unless it is empty.
    view: the visible part of the plane.
    times: the frames to draw; beyond the end the last one.
  """

  clip: clips.Clip
  label: str
  caption: str
  view: skeleton_drawing.View
  times: Sequence[int]


def sheet(rows: Sequence[Row], size: int) -> str:
  """Draws a sheet, a row a clip, and returns the text of the file.

  Args:
    rows: at least one.
    size: width of a frame in pixels, unless the viewer scales it.
  """
  columns = max(len(row.times) for row in rows)
  width, top, parts = columns * (_CELL + _GAP) + _GAP, _GAP, []
  for row in rows:
    if row.caption:
      parts.append(_text(_GAP, top + 50, _short(row.caption, width), "c"))
      top += _LINE
    for number, time in enumerate(row.times):
      left = _GAP + number * (_CELL + _GAP)
      t = min(time, len(row.clip) - 1)
      now = f"{row.label} {(t + 1) / row.clip.fps:.2f} s".strip()
      parts.append(
        f'<svg x="{left}" y="{top}" width="{_CELL}" height="{_CELL}">'
        f'<rect width="{_CELL}" height="{_CELL}" rx="30" '
        f'fill="{skeleton_drawing.CARD}"/>{"".join(_figure(row, t))}</svg>'
      )
      parts.append(_text(left, top + _CELL + 50, now, "t"))
    top += _CELL + _LINE + _GAP
  captions = dict.fromkeys(row.caption for row in rows if row.caption)
  title = "; ".join(captions) or "A signing skeleton"
  scale = size / _CELL
  return "\n".join(
    [
      '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
      f'aria-labelledby="title" viewBox="0 0 {width} {top}" '
      f'width="{width * scale:.0f}" height="{top * scale:.0f}">',
      f'<title id="title">{svg_figure.escape(title)}</title>',
      "<style>text{font-family:sans-serif;font-size:44px}"
      f".c{{fill:{skeleton_drawing.INK}}}.t{{fill:{skeleton_drawing.FAINT};font-size:36px}}"
      "path,circle{fill:none;stroke-linecap:round;stroke-linejoin:round}"
      "</style>",
      f'<rect width="{width}" height="{top}" fill="{skeleton_drawing.PAGE}"/>',
      *parts,
      "</svg>\n",
    ]
  )


def _figure(row: Row, t: int) -> Iterator[str]:
  paths, head = svg_figure.draw(row.clip, row.view, t)
  for (colour, width), path in paths.items():
    yield f'<path stroke="{colour}" stroke-width="{width}" d="{path}"/>'
  if head:
    colour, width = svg_figure.HEAD
    yield (
      f'<circle cx="{head.x}" cy="{head.y}" r="{head.radius}" '
      f'stroke="{colour}" stroke-width="{width}"/>'
    )


def _text(x: int, y: int, text: str, kind: str) -> str:
  return (
    f'<text x="{x}" y="{y}" class="{kind}">{svg_figure.escape(text)}</text>'
  )


def _short(text: str, width: int) -> str:
  """Shortens a text so that it fits in a line; the title has all of it."""
  limit = width // 44
  text = " ".join(text.split())
  return text if len(text) <= limit else text[: limit - 1] + "…"
