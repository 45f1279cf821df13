"""What is painted of a shape in one frame, in pixels."""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from signllm_jax.visualization import figure


class Mark(NamedTuple):
  """One thing to paint, in pixels.

  Attributes:
    shape: index of its shape in the figure.
    kind: "line" (open), "area" (closed) or "disc" (its one point the centre).
    points: [N, 2] of the line or area.
    colour: role of its line; empty: no line.
    width: of its line.
    fill: role of its inside; empty: none.
    radius: of a disc.
    smooth: whether it is a curve through the points.
  """

  shape: int
  kind: str
  points: np.ndarray
  colour: str = ""
  width: float = 0.0
  fill: str = ""
  radius: float = 0.0
  smooth: bool = False


def of_shape(
  index: int,
  shape: figure.Shape,
  points: np.ndarray,
  seen: np.ndarray,
  width: float,
  radius: float,
) -> Iterator[Mark]:
  """The marks of a shape, as far as it is seen.

  Args:
    index: of the shape in its figure.
    shape: the shape.
    points: [N, 2] its points, in pixels.
    seen: [N] bool, which of them are seen.
    width: of its line, in pixels.
    radius: of the head, in pixels; 0 if it is unknown.
  """
  if shape.kind == "line":
    yield from _lines(Mark(index, "line", points), shape, seen, width)
  elif shape.kind == "disc":
    if seen[0] and radius:
      centre = points - [0, figure.HEAD_LIFT * radius]
      yield Mark(index, "disc", centre, shape.colour, width, shape.fill, radius)
  elif shape.kind == "wedge":
    if seen.all():
      corners = _wedge(points[0], points[1], width)
      yield Mark(index, "area", corners, fill=shape.colour)
  elif seen.sum() >= shape.needs:
    mark = Mark(index, "area", points[seen], shape.colour, width, shape.fill)
    yield mark._replace(smooth=shape.smooth)


def _lines(
  mark: Mark, shape: figure.Shape, seen: np.ndarray, width: float
) -> Iterator[Mark]:
  """Lines through points that follow each other and are seen."""
  starts = np.flatnonzero(seen & ~np.append(False, seen[:-1]))
  ends = np.flatnonzero(seen & ~np.append(seen[1:], False)) + 1
  runs = [
    mark.points[start:end]
    for start, end in zip(starts, ends, strict=True)
    if end - start > 1
  ]
  for run in runs if shape.halo else ():
    halo = np.concatenate([(run[:1] + run[1:2]) / 2, run[1:]])
    wide = figure.HALO * width
    yield mark._replace(points=halo, colour="card", width=wide)
  for run in runs:
    yield mark._replace(
      points=run, colour=shape.colour, width=width, smooth=shape.smooth
    )


def _wedge(start: np.ndarray, end: np.ndarray, width: float) -> np.ndarray:
  """The corners of a wedge, half as wide at its start."""
  way = end - start
  across = np.array([-way[1], way[0]]) / max(float(np.hypot(*way)), 1e-6)
  wide, narrow = across * width / 2, across * width / 4
  return np.array([start - narrow, start + narrow, end + wide, end - wide])


def controls(points: np.ndarray, *, closed: bool) -> np.ndarray:
  """Béziers [S, 4, 2] of the Catmull-Rom curve through points [N, 2].

  S is N for a closed curve, else N - 1.
  """
  if closed:
    before, after = np.roll(points, 1, 0), np.roll(points, -1, 0)
  else:
    before = np.concatenate([points[:1], points[:-1]])
    after = np.concatenate([points[1:], points[-1:]])
  slope = (after - before) / 6
  ends = np.roll(points, -1, 0), np.roll(points - slope, -1, 0)
  curves = np.stack([points, points + slope, ends[1], ends[0]], 1)
  return curves if closed else curves[:-1]
