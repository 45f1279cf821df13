"""An animated drawing of a clip as inline SVG, for notebooks.

The animation is declared in the SVG (SMIL), so it runs without scripts; where
animation is not supported, the first frame stands still.
"""

import math

import numpy as np

from signllm_jax.core import clips
from signllm_jax.visualization import skeleton_drawing, svg_figure

_MOST_FRAMES = 300  # that are drawn; of a longer clip every n-th
_NOTHING = "M0 0"  # a path that draws nothing; an empty value is an error
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
  step = math.ceil(len(clip) / _MOST_FRAMES)
  times = range(0, len(clip), step)
  view = skeleton_drawing.fit([clip])
  figures = [_paths(clip, view, t) for t in times]
  seconds = len(times) * step / clip.fps
  paths = []
  for stroke in (*svg_figure.limbs(clip.skeleton), svg_figure.HEAD):
    values = [figure.get(stroke, _NOTHING) for figure in figures]
    paths.append(
      f'<path stroke="{stroke.colour}" stroke-width="{stroke.width}" '
      f'd="{values[0]}"><animate attributeName="d" calcMode="discrete" '
      f'dur="{seconds:.3f}s" repeatCount="indefinite" '
      f'values="{";".join(values)}"/></path>'
    )
  cell = svg_figure.CELL
  return (
    f'<svg xmlns="http://www.w3.org/2000/svg" role="img" width="{_SIZE}" '
    f'height="{_SIZE}" viewBox="0 0 {cell} {cell}" fill="none" '
    'stroke-linecap="round" stroke-linejoin="round" style="max-width:100%">'
    f"<title>{svg_figure.escape(title)}</title>"
    f'<rect width="{cell}" height="{cell}" rx="30" '
    f'fill="{skeleton_drawing.CARD}" stroke="{skeleton_drawing.EDGE}"/>'
    f"{''.join(paths)}</svg>"
  )


def _paths(
  clip: clips.Clip, view: skeleton_drawing.View, t: int
) -> dict[svg_figure.Stroke, str]:
  paths, head = svg_figure.draw(clip, view, t)
  if head:
    x, y, r = head
    arc = f"a{r} {r} 0 1 0"
    paths[svg_figure.HEAD] = f"M{x - r} {y}{arc} {2 * r} 0{arc} {-2 * r} 0"
  return paths
