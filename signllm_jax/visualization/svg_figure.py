"""Marks of a figure as SVG."""

import html
import re
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from signllm_jax.visualization import marks

# Of a group of figures: lines without sharp ends.
STYLE = 'fill="none" stroke-linecap="round" stroke-linejoin="round"'
_NOT_XML = re.compile(
  "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # nor escaped
)


def figure(
  drawn: Iterable[marks.Mark], theme: Mapping[str, str]
) -> Iterator[str]:
  """Elements of marks, for a group with `STYLE`."""
  for mark in drawn:
    yield f"<path {look(mark, theme)} d={path(mark)!r}/>".replace("'", '"')


def look(mark: marks.Mark, theme: Mapping[str, str]) -> str:
  """The attributes of a mark's colours and width."""
  fill = f'fill="{theme[mark.fill]}"' if mark.fill else ""
  if not mark.colour:
    return fill
  width = max(round(mark.width, 1), 1)
  return (
    f'stroke="{theme[mark.colour]}" stroke-width="{width:g}" {fill}'.strip()
  )


def path(mark: marks.Mark) -> str:
  """The data of a mark's path, in whole pixels."""
  points = np.round(mark.points).astype(int)
  if mark.kind == "disc":
    (x, y), r = points[0].tolist(), round(mark.radius)
    return f"M{x - r} {y}a{r} {r} 0 1 0 {2 * r} 0a{r} {r} 0 1 0 {-2 * r} 0z"
  closed = mark.kind == "area"
  if mark.smooth and len(points) > 2:
    curves = marks.controls(mark.points, closed=closed)
    ways = np.round(curves[:, 1:]).astype(int)
    starts = np.round(curves[:, :1]).astype(int)
    numbers = (ways - starts).reshape(len(ways), 6).tolist()
    steps = "".join("c" + _joined(each) for each in numbers)
  else:
    steps = "".join(
      "l" + _joined(way) for way in np.diff(points, axis=0).tolist()
    )
  return f"M{_joined(points[0].tolist())}{steps}{'z' if closed else ''}"


def _joined(numbers: Iterable[int]) -> str:
  """Numbers with a blank between them where no sign tells them apart."""
  return " ".join(map(str, numbers)).replace(" -", "-")


def escape(text: str) -> str:
  """Text for SVG and HTML; characters that XML cannot hold are left out."""
  return html.escape(_NOT_XML.sub("", text))
