"""An animated drawing of a clip as inline SVG, for notebooks.

The animation is declared in the SVG (SMIL), so it runs without scripts; where
animation is not supported, the first frame stands still.
"""

import collections
import math

import numpy as np

from signllm_jax.core import clips
from signllm_jax.visualization import marks, posed, svg_figure, themes, view

_MOST_POINTS = 25_000  # that are drawn; of a longer clip every n-th frame
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
    drawing = _drawing(clip, caption)
  return (
    f'<figure style="margin:0;width:{_SIZE}px;font-family:sans-serif">'
    f'{drawing}<figcaption style="overflow-wrap:anywhere">'
    f'{svg_figure.escape(caption)} <small style="opacity:.7">{length}</small>'
    f"{gloss}</figcaption></figure>"
  )


def _drawing(clip: clips.Clip, title: str) -> str:
  geometry = view.Geometry(clip)
  step = math.ceil(geometry.seen.size / _MOST_POINTS)
  times = range(0, len(clip), step)
  shared, figure = view.fit([geometry]), posed.Posed(geometry)
  figures = [_marks(figure.body(t, shared, _CELL)) for t in times]
  seconds = len(times) * step / clip.fps
  # Depth changes with time, and the order of elements does not.
  keys = sorted({key for marks_of in figures for key in marks_of})
  paths = []
  for key in keys:
    known = [each.get(key) for each in figures]
    first = next(mark for mark in known if mark)
    values = [svg_figure.path(mark) if mark else _NOTHING for mark in known]
    paths.append(
      f"<path {svg_figure.look(first, themes.LIGHT)} "
      f'd="{values[0]}"><animate attributeName="d" calcMode="discrete" '
      f'dur="{seconds:.3f}s" repeatCount="indefinite" '
      f'values="{";".join(values)}"/></path>'
    )
  box = f'width="{_CELL}" height="{_CELL}" rx="30"'
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_SIZE}" '
    f'height="{_SIZE}" viewBox="0 0 {_CELL} {_CELL}" {svg_figure.STYLE} '
    'style="max-width:100%">'
    f"<title>{svg_figure.escape(title)}</title>"
    f'<rect {box} fill="{themes.LIGHT["card"]}"/>{"".join(paths)}'
    f'<rect {box} stroke="{themes.LIGHT["edge"]}" stroke-width="3"/></svg>'
  )


def _marks(drawn: list[marks.Mark]) -> dict[tuple[int, int], marks.Mark]:
  """The marks by shape, and number within the shape."""
  counts = collections.Counter()
  found = {}
  for mark in drawn:
    found[mark.shape, counts[mark.shape]] = mark
    counts[mark.shape] += 1
  return found
