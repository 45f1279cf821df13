"""An animated drawing of a clip as inline SVG, for notebooks.

The animation is declared in the SVG (SMIL), so it runs without scripts; where
animation is not supported, the first frame stands still.
"""

import collections
import math
from collections.abc import Mapping, Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.visualization import cells, marks, svg_figure, themes, view

_MOST_POINTS = 22_000  # that are drawn; of a longer clip every n-th frame
_NOTHING = "M0 0"  # a path that draws nothing; an empty value is an error
_CELL = 600  # side of the square that a figure is drawn in
_SIZE = 280  # pixels


def html(clip: clips.Clip) -> str:
  """The clip as an animated SVG with its text, a fragment of HTML.

  On a card of its own colour, so that it reads the same on light and dark
  pages; the caption takes the page's colour.

  Args:
    clip: any number of frames.
  """
  caption = " ".join(clip.text.split()) or clip.name
  length = f"{len(clip)} frames, {len(clip) / clip.fps:.2f} s"
  gloss = svg_figure.escape(clip.gloss)
  gloss = f"<br><small>{gloss}</small>" if gloss else ""
  drawing = ""
  if not np.isfinite(clip.frames).all():
    length += ", with NaN or infinity: not drawn"
  elif len(clip):
    drawing = svg(clip, caption, width=_SIZE, hands=False)
  return (
    f'<figure style="margin:0;width:{_SIZE}px;font-family:sans-serif">'
    f'{drawing}<figcaption style="overflow-wrap:anywhere">'
    f'{svg_figure.escape(caption)} <small style="opacity:.7">{length}</small>'
    f"{gloss}</figcaption></figure>"
  )


def svg(
  clip: clips.Clip,
  title: str,
  *,
  width: int | str,
  hands: bool,
  theme: Mapping[str, str] = themes.LIGHT,
  still: bool = False,
) -> str:
  """The clip as one animated SVG without a script.

  Args:
    clip: finite, at least one frame.
    title: for those who do not see it.
    width: of the picture, as an attribute of HTML.
    hands: whether the cards of the hands are shown below the body's.
    theme: colours.
    still: whether only the frame in the middle is shown.
  """
  geometry = view.Geometry(clip)
  shared = view.fit([geometry])
  cell = cells.Cell(geometry, "", shared, _CELL, len(clip))
  sides = tuple(cell.hands) if hands else ()
  step = math.ceil(geometry.seen.size * (1 + len(sides)) / _MOST_POINTS)
  times = range(0, len(clip), step)
  seconds = len(times) * step / clip.fps
  if still:
    times, seconds = [len(clip) // 2], 0.0
  body = [cell.body_marks(t) for t in times]
  cards = [_card(cell.body, body, seconds, theme)]
  for side in sides:
    drawn = [cell.hand_marks(t, side) for t in times]
    cards.append(_card(cell.hands[side], drawn, seconds, theme))
  height = cell.foot.y if sides else cell.body.y + cell.body.height
  margin = cell.body.x - 2  # the edge of a card stays
  box = f"{margin} {margin} {_CELL - 2 * margin} {height - margin + 2}"
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{width}" '
    f'viewBox="{box}" {svg_figure.STYLE}>'
    f"<title>{svg_figure.escape(title)}</title>{''.join(cards)}</svg>"
  )


def _card(
  card: cells.Card,
  frames: Sequence[list[marks.Mark]],
  seconds: float,
  theme: Mapping[str, str],
) -> str:
  """A card with the marks of all frames."""
  numbered = [_numbered(drawn) for drawn in frames]
  # Depth changes with time, and the order of elements does not.
  paths = []
  for key in sorted({key for each in numbered for key in each}):
    known = [each.get(key) for each in numbered]
    look = svg_figure.look(next(mark for mark in known if mark), theme)
    values = [svg_figure.path(mark) if mark else _NOTHING for mark in known]
    moving = (
      '<animate attributeName="d" calcMode="discrete" '
      f'dur="{seconds:.3f}s" repeatCount="indefinite" '
      f'values="{";".join(values)}"/>'
    )
    if len(values) == 1:
      moving = ""
    paths.append(f'<path {look} d="{values[0]}">{moving}</path>')
  size = f'width="{card.width}" height="{card.height}"'
  edge = f'width="{card.width - 2}" height="{card.height - 2}" rx="18"'
  return (
    f'<svg x="{card.x}" y="{card.y}" {size}>'
    f'<rect x="1" y="1" {edge} fill="{theme["card"]}"/>{"".join(paths)}'
    f'<rect x="1" y="1" {edge} stroke="{theme["edge"]}" stroke-width="2"/>'
    "</svg>"
  )


def _numbered(drawn: list[marks.Mark]) -> dict[tuple[int, int], marks.Mark]:
  """The marks by shape, and number within the shape."""
  counts = collections.Counter()
  found = {}
  for mark in drawn:
    found[mark.shape, counts[mark.shape]] = mark
    counts[mark.shape] += 1
  return found
