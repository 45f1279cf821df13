"""Contact sheets as SVG: sharp lines at any size, and no script."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from signllm_jax.visualization import cells, marks, svg_figure, themes

CELL = 1000  # width of a cell
_LINE = 75  # height of a line of text
_TRACK = 280  # room of the longest time beside a track
_THEME = themes.LIGHT


class Row(NamedTuple):
  """One clip of a sheet.

  Attributes:
    cell: of the clip, CELL wide.
    caption: shown in a line above, unless it is empty.
    times: the frames to draw; beyond the end the last one.
  """

  cell: cells.Cell
  caption: str
  times: Sequence[int]


def sheet(rows: Sequence[Row], size: int) -> str:
  """Draws a sheet, a row a clip, and returns the text of the file.

  Args:
    rows: at least one.
    size: width of a frame in pixels, unless the viewer scales it.
  """
  width = CELL * max(len(row.times) for row in rows)
  top, parts = 0, []
  for row in rows:
    if row.caption:
      parts.append(_text(37, top + 55, _short(row.caption, width), "c"))
      top += _LINE
    for number, t in enumerate(row.times):
      inside = "".join(_cell(row.cell, t))
      parts.append(
        f'<g transform="translate({number * CELL} {top})">{inside}</g>'
      )
    top += row.cell.size[1]
  captions = dict.fromkeys(row.caption for row in rows if row.caption)
  title = "; ".join(captions) or "A signing skeleton"
  scale = size / CELL
  return "\n".join(
    [
      '<svg xmlns="http://www.w3.org/2000/svg" role="img" '
      f'aria-labelledby="title" viewBox="0 0 {width} {top}" '
      f'width="{width * scale:.0f}" height="{top * scale:.0f}">',
      f'<title id="title">{svg_figure.escape(title)}</title>',
      "<style>text{font-family:sans-serif;font-size:34px}"
      f".c{{fill:{_THEME['ink']};font-size:44px}}.t{{fill:{_THEME['faint']}}}"
      f".e{{fill:{_THEME['faint']};text-anchor:end}}"
      f".l{{fill:{_THEME['card']};text-anchor:middle}}</style>",
      f'<rect width="{width}" height="{top}" fill="{_THEME["page"]}"/>',
      *parts,
      "</svg>\n",
    ]
  )


def _cell(cell: cells.Cell, t: int) -> Iterator[str]:
  yield from _card(cell.body, "", cell.body_marks(t))
  if cell.label:
    x, y = cell.body.x + 25, cell.body.y + 25
    wide = 60 + 20 * len(cell.label)
    yield (
      f'<rect x="{x}" y="{y}" width="{wide}" height="60" rx="30" '
      f'fill="{_THEME["ink"]}"/>'
    )
    yield _text(x + wide // 2, y + 42, cell.label, "l")
  for side, card in cell.hands.items():
    yield from _card(card, f"{side} hand", cell.hand_marks(t, side))
  yield from _foot(cell, t)


def _card(
  card: cells.Card, title: str, drawn: Iterable[marks.Mark]
) -> Iterator[str]:
  size = f'width="{card.width}" height="{card.height}"'
  edge = f'width="{card.width - 3}" height="{card.height - 3}" rx="30"'
  yield f'<svg x="{card.x}" y="{card.y}" {size}>'
  yield f'<rect x="1" y="1" {edge} fill="{_THEME["card"]}"/>'
  if title:
    yield _text(25, 55, title, "t")
  yield f"<g {svg_figure.STYLE}>"
  yield from svg_figure.figure(drawn, _THEME)
  yield (
    f'<rect x="1" y="1" {edge} stroke="{_THEME["edge"]}" stroke-width="3"/>'
    "</g></svg>"
  )


def _foot(cell: cells.Cell, t: int) -> Iterator[str]:
  foot, progress = cell.foot, cell.progress(t)
  middle, room = foot.y + foot.height // 2, foot.width - _TRACK
  for share, role in ((progress.track, "edge"), (progress.done, "bone")):
    yield (
      f'<rect x="{foot.x}" y="{middle - 6}" width="{max(room * share, 12):.0f}"'
      f' height="12" rx="6" fill="{_THEME[role]}"/>'
    )
  yield _text(foot.x + foot.width, middle + 12, progress.text, "e")


def _text(x: int, y: int, text: str, kind: str) -> str:
  return (
    f'<text x="{x}" y="{y}" class="{kind}">{svg_figure.escape(text)}</text>'
  )


def _short(text: str, width: int) -> str:
  """Shortens a text so that it fits in a line; the title has all of it."""
  limit = width // 44
  text = " ".join(text.split())
  return text if len(text) <= limit else text[: limit - 1] + "…"
