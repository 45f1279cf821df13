"""Draws cells as pictures with Pillow."""

from collections.abc import Iterable

import numpy as np
from PIL import Image, ImageDraw

from signllm_jax.visualization import cells, fonts, marks, themes

OVER = 4  # oversampling, for smooth edges
_STEPS = 5  # points of a curve between two points
_RADIUS = 10  # of a card's corners, in pixels of a cell of 320
_THEME = themes.LIGHT
TRACK = "000.00 / 000.00 s"  # the longest text beside a track


class Artist:
  """Draws the frames of one cell; its cards are drawn once."""

  def __init__(self, cell: cells.Cell):
    self.cell, self.size = cell, cell.size
    self._px = cell.unit * OVER
    self._face = fonts.find("0", 11 * self._px)
    self._page = Image.new("RGB", cell.size, _THEME["page"])
    self._frames = {
      card: self._frame(card) for card in (cell.body, *cell.hands.values())
    }

  def draw(self, t: int) -> Image.Image:
    """Draws frame t as an image of `size`; beyond the end the last frame."""
    cell, page = self.cell, self._page.copy()
    self._paste(page, cell.body, cell.body_marks(t), cell.label)
    for side, card in cell.hands.items():
      self._paste(page, card, cell.hand_marks(t, side), f"{side} hand")
    page.paste(self._foot(cell.progress(t)), cell.foot[:2])
    return page

  def _paste(
    self,
    page: Image.Image,
    card: cells.Card,
    drawn: Iterable[marks.Mark],
    title: str,
  ) -> None:
    width, height = card.width * OVER, card.height * OVER
    image = Image.new("RGB", (width, height), _THEME["card"])
    draw = ImageDraw.Draw(image)
    if card != self.cell.body:  # below the hand
      at = 8 * self._px
      draw.text((at, at), title, _THEME["faint"], self._face)
    for mark in drawn:
      _paint(draw, mark)
    if card == self.cell.body and title:
      self._label(draw, title)
    image = image.reduce(OVER)
    frame, alpha = self._frames[card]
    image.paste(frame, (0, 0), alpha)
    page.paste(image, card[:2])

  def _frame(self, card: cells.Card) -> tuple[Image.Image, Image.Image]:
    """The page's colour outside the rounded card and its edge; with alpha."""
    size = card.width * OVER, card.height * OVER
    box = (0, 0, size[0] - 1, size[1] - 1)
    look = {"radius": _RADIUS * self._px, "width": OVER}
    alpha = Image.new("L", size, 255)
    ImageDraw.Draw(alpha).rounded_rectangle(box, fill=0, outline=255, **look)
    frame = Image.new("RGB", size, _THEME["page"])
    edge = _THEME["edge"]
    ImageDraw.Draw(frame).rounded_rectangle(box, outline=edge, **look)
    return frame.reduce(OVER), alpha.reduce(OVER)

  def _label(self, draw: ImageDraw.ImageDraw, label: str) -> None:
    face = fonts.find(label, 12 * self._px)
    at, height = 8 * self._px, 19 * self._px
    end = at + face.getlength(label) + height
    box = (at, at, end, at + height)
    draw.rounded_rectangle(box, height / 2, _THEME["ink"])
    middle = ((at + end) / 2, at + height / 2)
    draw.text(middle, label, _THEME["card"], face, anchor="mm")

  def _foot(self, progress: cells.Progress) -> Image.Image:
    """Draws time and progress, on a track as long as the clip."""
    foot = self.cell.foot
    width, height = foot.width * OVER, foot.height * OVER
    image = Image.new("RGB", (width, height), _THEME["page"])
    draw = ImageDraw.Draw(image)
    at = (width, height / 2)
    draw.text(at, progress.text, _THEME["faint"], self._face, anchor="rm")
    room = width - 1.05 * self._face.getlength(TRACK)
    thick = 4 * self._px
    top = (height - thick) / 2
    for share, role in ((progress.track, "edge"), (progress.done, "bone")):
      box = (0, top, max(room * share, thick), top + thick)
      draw.rounded_rectangle(box, thick / 2, _THEME[role])
    return image.reduce(OVER)


def _paint(draw: ImageDraw.ImageDraw, mark: marks.Mark) -> None:
  """Paints a mark on a picture OVER times as large."""
  points, width = mark.points * OVER, max(round(mark.width * OVER), OVER)
  if mark.kind == "disc":
    (centre,) = points
    _disc(draw, centre, mark.radius * OVER + width / 2, _THEME[mark.colour])
    _disc(draw, centre, mark.radius * OVER - width / 2, _THEME[mark.fill])
    return
  closed = mark.kind == "area"
  if mark.smooth and len(points) > 2:
    points = _curve(points, closed=closed)
  if mark.fill:
    draw.polygon(_pairs(points), fill=_THEME[mark.fill])
  if mark.colour:
    if closed:
      points = np.concatenate([points, points[:1]])
    _stroke(draw, points, _THEME[mark.colour], width)


def _stroke(
  draw: ImageDraw.ImageDraw, points: np.ndarray, colour: str, width: int
) -> None:
  draw.line(_pairs(points), fill=colour, width=width)
  if width > 2:
    for point in points:
      _disc(draw, point, width / 2, colour)


def _disc(
  draw: ImageDraw.ImageDraw, centre: np.ndarray, radius: float, colour: str
) -> None:
  x, y = map(float, centre)
  # Pillow's ellipse includes its far edge: one pixel less.
  end = radius - 1
  draw.ellipse((x - radius, y - radius, x + end, y + end), fill=colour)


def _curve(points: np.ndarray, *, closed: bool) -> np.ndarray:
  u = np.arange(_STEPS)[:, None] / _STEPS
  weights = np.concatenate(
    [(1 - u) ** 3, 3 * u * (1 - u) ** 2, 3 * u**2 * (1 - u), u**3], 1
  )
  curve = (weights @ marks.controls(points, closed=closed)).reshape(-1, 2)
  return curve if closed else np.concatenate([curve, points[-1:]])


def _pairs(points: np.ndarray) -> list[tuple[float, float]]:
  return list(map(tuple, points.tolist()))
