"""Clips as figures: the marks of a frame in a card."""

import functools
from collections.abc import Iterable

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import SIDES
from signllm_jax.visualization import figure, marks, view


class Posed:
  """A clip's figure in every frame."""

  def __init__(self, geometry: view.Geometry):
    self._geometry = geometry
    self._shapes = geometry.shapes
    ends = np.cumsum([len(shape.points) for shape in self._shapes])
    self._spans = [
      slice(end - len(shape.points), end)
      for end, shape in zip(ends, self._shapes, strict=True)
    ]

  def body(self, t: int, shared: view.View, side: float) -> list[marks.Mark]:
    """The marks of a frame in a square card of so many pixels."""
    scale = side / (2 * shared.half)
    middle = (side / 2, side / 2)
    return self._marks(t, shared, shared.centre, scale, middle)

  def hand(
    self, t: int, shared: view.View, side: str, size: tuple[float, float]
  ) -> list[marks.Mark]:
    """The marks of one hand of a frame in a card of so many pixels.

    The hand lies in the card as a whole: where it reaches farther than the
    view, which only faults of detection do, it is drawn smaller.
    """
    hand = self._geometry.hands[side]
    reach = view.MARGIN * (hand.reach[t] + shared.half_finger)
    scale = min(size) / (2 * max(shared.hand, reach))
    middle = (size[0] / 2, size[1] / 2)
    return self._marks(t, shared, hand.centre[t], scale, middle, side)

  def _marks(
    self,
    t: int,
    shared: view.View,
    centre: np.ndarray,
    scale: float,
    middle: tuple[float, float],
    side: str = "",
  ) -> list[marks.Mark]:
    geometry = self._geometry
    down = np.outer(geometry.down * shared.shoulders, (0, 1))
    at = (geometry.at[t, :, :2] + down - centre) * scale + middle
    units = {"shoulders": shared.shoulders * scale, "palm": shared.palm * scale}
    found = []
    for index in self._order(t):
      shape, span = self._shapes[index], self._spans[index]
      if side in ("", shape.side):
        found += marks.of_shape(
          *(index, shape, at[span], geometry.seen[t, span]),
          width=shape.width * units[shape.unit],
          radius=shared.head * scale,
        )
    return found

  @functools.cached_property
  def _depths(self) -> np.ndarray | None:
    """[T, S] depth of each shape towards the viewer; None in 2-D."""
    geometry = self._geometry
    if geometry.clip.skeleton.dims == 2:
      return None
    z = geometry.at[..., 2]
    own = np.stack([z[:, span].mean(1) for span in self._spans], -1)
    of = [
      i if shape.depth_of is None else shape.depth_of
      for i, shape in enumerate(self._shapes)
    ]
    return depth_sign(geometry.clip) * own[:, of]

  def _order(self, t: int) -> Iterable[int]:
    """Shapes from back to front: by layer, in arms and hands by depth."""
    depths = self._depths
    if depths is None:
      return range(len(self._shapes))

    def key(index: int) -> tuple[int, float]:
      layer = self._shapes[index].layer
      deep = layer in figure.DEEP
      return figure.LAYERS.index(layer), depths[t, index] if deep else 0.0

    return sorted(range(len(self._shapes)), key=key)


def depth_sign(clip: clips.Clip) -> int:
  """The sign of z that puts the wrists before the shoulders: 1 or -1.

  The sign of depth from one camera is ambiguous: mirrored poses look the same.
  People sign in front of their body.
  """
  ahead = []
  for side in SIDES:
    shoulder, _, wrist = clip.skeleton.arm(side)
    seen = clip.valid[:, [shoulder, wrist]].all(1)
    ahead.append(clip.frames[seen, wrist, 2] - clip.frames[seen, shoulder, 2])
  ways = np.concatenate(ahead)
  return 1 if len(ways) and np.median(ways) > 0 else -1
