"""The skeleton of a frame as SVG paths, one for each colour and width."""

import functools
import html
import itertools
import re
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import SIDES, Skeleton
from signllm_jax.visualization import skeleton_drawing

CELL = 1000  # side of the square that a figure is drawn in
_THICK, _THIN, _FACE = 20, 6, 4  # strokes of arms, fingers and faces
_NOT_XML = re.compile(
  "[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]"  # nor escaped
)


class Stroke(NamedTuple):
  """Colour and width of a path."""

  colour: str
  width: int


class Head(NamedTuple):
  """A circle around the nose."""

  x: int
  y: int
  radius: int


HEAD = Stroke(skeleton_drawing.BONE, 8)


@functools.cache
def limbs(skeleton: Skeleton) -> Mapping[Stroke, list[tuple[int, int]]]:
  """The pairs of joints of each stroke, in the order of drawing."""
  colours = {"left": skeleton_drawing.LEFT, "right": skeleton_drawing.RIGHT}
  arms = {
    joint: Stroke(colours[side][0], _THICK)
    for side in SIDES
    for joint in (*skeleton.arm(side)[1:], skeleton.hand(side))
  }
  fingers = {
    joint: Stroke(
      colours[side][1 + (joint - skeleton.hand(side) - 1) // 4], _THIN
    )
    for side in SIDES
    for joint in skeleton.parts[f"{side}_hand"][1:]
  }
  found: dict[Stroke, list[tuple[int, int]]] = {}
  for parent, child, _ in skeleton.limbs:
    stroke = Stroke(skeleton_drawing.BONE, _THICK)
    stroke = (arms | fingers).get(child, stroke)
    if not (skeleton.face and child == skeleton.find("neck")):  # from the nose
      found.setdefault(stroke, []).append((parent, child))
  for line in itertools.chain(*skeleton.features.values()):
    stroke = Stroke(skeleton_drawing.BONE, _FACE)
    found.setdefault(stroke, []).extend(itertools.pairwise(line))
  return found


def draw(
  clip: clips.Clip, view: skeleton_drawing.View, t: int
) -> tuple[dict[Stroke, str], Head | None]:
  """Path data of each stroke with a visible limb, and the head if visible.

  Args:
    clip: finite.
    view: the window of the plane that fills the cell.
    t: the frame.
  """
  points = (clip.frames[t, :, :2] - view.centre) / view.half + 1
  points = np.round(points * CELL / 2).astype(np.int64).tolist()
  valid = clip.valid[t].tolist()
  paths = {}
  for stroke, pairs in limbs(clip.skeleton).items():
    lines = [
      "M{} {}L{} {}".format(*points[a], *points[b])
      for a, b in pairs
      if valid[a] and valid[b]
    ]
    if lines:
      paths[stroke] = "".join(lines)
  head = None
  nose = clip.skeleton.find("nose")
  if nose is not None and valid[nose] and not clip.skeleton.face:
    radius = round(view.head / view.half * CELL / 2)
    x, y = points[nose]
    head = Head(x, y, radius)
  return paths, head


def escape(text: str) -> str:
  """Text for SVG and HTML; characters that XML cannot hold are left out."""
  return html.escape(_NOT_XML.sub("", text))
