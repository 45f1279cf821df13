"""A contact sheet as SVG: lines that stay sharp at any size, and no script."""

import functools
import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import clips, skeleton
from signllm_jax.visualization import skeleton_drawing

_CELL, _GAP, _LINE = 1000, 25, 75  # of a drawing, between, of a line of text
_THICK, _THIN = 20, 6  # strokes of arms and fingers
_NOT_XML = re.compile(
  "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # nor escaped
)


class Row(NamedTuple):
  """One clip of a sheet.

  Attributes:
    clip: at least one frame, finite.
    label: beside the time; may be empty.
    caption: in a line above; empty: no line.
    view: what of the plane is shown.
    times: the frames to draw; beyond the end the last.
  """

  clip: clips.Clip
  label: str
  caption: str
  view: skeleton_drawing.View
  times: Sequence[int]


def sheet(rows: Sequence[Row], size: int) -> str:
  """The text of a file: a row a clip, its frames from left to right.

  Args:
    rows: at least one.
    size: width of a frame in pixels, where the viewer does not scale.
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
      f'<title id="title">{_escape(title)}</title>',
      "<style>text{font-family:sans-serif;font-size:44px}"
      f".c{{fill:{skeleton_drawing.INK}}}.t{{fill:{skeleton_drawing.FAINT};font-size:36px}}"
      "path,circle{fill:none;stroke-linecap:round;stroke-linejoin:round}"
      "</style>",
      f'<rect width="{width}" height="{top}" fill="{skeleton_drawing.PAGE}"/>',
      *parts,
      "</svg>\n",
    ]
  )


@functools.cache
def _limbs() -> Mapping[tuple[str, int], list[tuple[int, int]]]:
  """Joints to join, by colour and width, in the order of drawing."""
  found: dict[tuple[str, int], list[tuple[int, int]]] = {}
  for parent, child, bone in skeleton.LIMBS:
    colours = skeleton_drawing.LEFT
    if child in range(2, 5) or child >= skeleton.RIGHT_HAND:
      colours = skeleton_drawing.RIGHT
    kind = (skeleton_drawing.BONE, _THICK)
    if bone >= 5:  # of the fingers: four bones each
      kind = (colours[1 + (bone - 5) // 4], _THIN)
    elif bone >= 2:
      kind = (colours[0], _THICK)
    found.setdefault(kind, []).append((parent, child))
  return found


def _figure(row: Row, t: int) -> Iterator[str]:
  clip, view = row.clip, row.view
  points = (clip.frames[t, :, :2] - view.centre) / view.half + 1
  points = np.round(points * _CELL / 2).astype(np.int64).tolist()
  valid = clip.valid[t].tolist()
  for (colour, thick), pairs in _limbs().items():
    lines = [
      "M{} {}L{} {}".format(*points[a], *points[b])
      for a, b in pairs
      if valid[a] and valid[b]
    ]
    if lines:
      yield (
        f'<path stroke="{colour}" stroke-width="{thick}" d="{"".join(lines)}"/>'
      )
  if valid[skeleton.NOSE]:
    x, y = points[skeleton.NOSE]
    radius = view.head / view.half * _CELL / 2
    yield (
      f'<circle cx="{x}" cy="{y}" r="{radius:.0f}" '
      f'stroke="{skeleton_drawing.BONE}" stroke-width="8"/>'
    )


def _text(x: int, y: int, text: str, kind: str) -> str:
  return f'<text x="{x}" y="{y}" class="{kind}">{_escape(text)}</text>'


def _short(text: str, width: int) -> str:
  """What surely has place in a line; the title has all of it."""
  most = width // 44
  text = " ".join(text.split())
  return text if len(text) <= most else text[: most - 1] + "…"


def _escape(text: str) -> str:
  return html.escape(_NOT_XML.sub("", text))
