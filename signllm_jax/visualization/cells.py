"""The cell of a clip: cards of the body and the hands, and a line of time.

Films, sheets and SVG draw the same cell.
"""

from typing import NamedTuple

from signllm_jax.visualization import posed, view


class Card(NamedTuple):
  """A card of a cell, in pixels."""

  x: int
  y: int
  width: int
  height: int


class Progress(NamedTuple):
  """The line below the cards.

  Attributes:
    text: the time and the clip's length.
    track: length of the clip, as a share of the longest.
    done: length up to now, as a share of the longest.
  """

  text: str
  track: float
  done: float


class Cell:
  """The layout of a clip at a size, and its figure.

  Attributes:
    label: shown in the body's card; may be empty.
    size: width and height in pixels.
    unit: a pixel of a cell of 320.
    body: the body's card.
    hands: the cards of the hands that the clip shows; one alone is as wide as
      the body's.
    foot: the place of the progress.
  """

  def __init__(
    self,
    geometry: view.Geometry,
    label: str,
    shared: view.View,
    size: int,
    longest: int,
  ):
    """Lays out a cell.

    Args:
      geometry: of the clip.
      label: shown in its card; may be empty.
      shared: view of all clips of the picture.
      size: width of the cell in pixels.
      longest: frames of the longest clip beside it.
    """
    self.label, self._clip, self._shared = label, geometry.clip, shared
    self._longest, self._figure = longest, posed.Posed(geometry)
    self.unit = size / 320
    gap = round(8 * self.unit)
    side = size - 2 * gap
    self.body = Card(gap, gap, side, side)
    top, half = 2 * gap + side, (side - gap) // 2
    sides = list(geometry.hands)
    width = half if len(sides) == 2 else side
    self.hands = {
      name: Card(gap if i == 0 else gap + side - width, top, width, half)
      for i, name in enumerate(sides)
    }
    top += half if sides else -gap
    self.foot = Card(gap, top, side, round(22 * self.unit))
    self.size = (size, top + self.foot.height)

  def body_marks(self, t: int):
    """The marks of the body's card in frame t, from its corner."""
    return self._figure.body(self._frame(t), self._shared, self.body.width)

  def hand_marks(self, t: int, side: str):
    """The marks of a hand's card in frame t, from its corner."""
    card = self.hands[side]
    size = card.width, card.height
    return self._figure.hand(self._frame(t), self._shared, side, size)

  def progress(self, t: int) -> Progress:
    """The line of time in frame t."""
    count, now = len(self._clip), self._frame(t) + 1
    text = f"{now / self._clip.fps:.2f} / {count / self._clip.fps:.2f} s"
    return Progress(text, count / self._longest, now / self._longest)

  def _frame(self, t: int) -> int:
    """Beyond the end the last frame stays."""
    return min(t, len(self._clip) - 1)
