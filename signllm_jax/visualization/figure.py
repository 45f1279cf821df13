"""The figure: its shapes, their widths, colours and order.

Every drawing of a skeleton follows this description: films and sheets through
`posed`, the page through `/v1/info`. It serves any entry of the table of
skeletons; parts that a skeleton lacks have no shapes.
"""

import dataclasses
import functools
import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

from signllm_jax.core.skeleton_type import SIDES, Skeleton

# From back to front, for a viewer before the signer and for one behind. Within
# arms and within hands depth decides.
LAYERS = ("torso", "neck", "head", "face", "arms", "hands")
BEHIND = ("hands", "arms", "face", "neck", "head", "torso")
DEEP = ("arms", "hands")
Layer = Literal["torso", "neck", "head", "face", "arms", "hands"]
Kind = Literal["line", "area", "wedge", "disc"]
Side = Literal["left", "right"]

# Widths in shoulder widths; of fingers in lengths of the palm.
LIMB, FOREARM, WRIST = 0.108, 0.093, 0.07
OUTLINE, BROW, FINE = 0.03, 0.03, 0.018
FINGER = 0.175
HALO = 1.4  # of a finger's width; separates fingers that cross
TORSO_LENGTH = 3.0  # shoulder widths: beyond every card
HEAD_LIFT = 0.12  # of its radius, from the nose up
_FOREHEAD = 0.62  # height above the ears, over the jaw's depth below them


class Point(NamedTuple):
  """A weighted sum of joints; the weights sum to 1.

  Attributes:
    joints: their indices.
    weights: of each joint.
    down: further down, in shoulder widths.
  """

  joints: tuple[int, ...]
  weights: tuple[float, ...]
  down: float = 0.0


@dataclasses.dataclass(frozen=True)
class Shape:
  """A shape of the figure.

  Attributes:
    kind: a line through points; a closed area; a wedge from one point to
      another, half as wide where it begins; or a disc around a point, with the
      head's radius.
    layer: its place from back to front.
    points: where it is.
    colour: role of its line in a theme; empty: no line.
    width: of the line or wedge.
    unit: what widths are measured in: shoulder widths or lengths of the palm.
    fill: role of its inside in a theme; empty: none.
    side: of a hand: it is drawn in that hand's card as well.
    halo: whether a line of the card's colour, HALO times as wide, lies below
      it, from the middle of its first segment on.
    smooth: whether it is a curve through the points (Catmull-Rom).
    depth_of: shape whose depth it takes; None: its own.
    needs: points of an area that must be seen; the others are left out.
  """

  kind: Kind
  layer: Layer
  points: tuple[Point, ...]
  colour: str = ""
  width: float = 0.0
  unit: Literal["shoulders", "palm"] = "shoulders"
  fill: str = ""
  side: Literal["", "left", "right"] = ""
  halo: bool = False
  smooth: bool = False
  depth_of: int | None = None
  needs: int = 0


@functools.cache
def describe(skeleton: Skeleton) -> tuple[Shape, ...]:
  """The shapes of a skeleton, from back to front."""
  shapes = [*_trunk(skeleton)]
  if skeleton.face:
    shapes += _face(skeleton, len(shapes))
  for side in SIDES:
    shapes += _arm(skeleton, side)
  for side in ("left", "right"):
    shapes += _hand(skeleton, side, len(shapes))
  return tuple(shapes)


def find_point(skeleton: Skeleton, name: str) -> Point | None:
  """A joint, or the weights it is derived with; None if there is neither."""
  joint = skeleton.find(name)
  if joint is not None:
    return Point((joint,), (1.0,))
  weights = skeleton.derived.get(name)
  if weights is None:
    return None
  joints = tuple(skeleton.joint(each) for each in weights)
  return Point(joints, tuple(weights.values()))


def combine(*terms: tuple[float, Point]) -> Point:
  """The weighted sum of points."""
  weights: dict[int, float] = {}
  for share, point in terms:
    for joint, weight in zip(point.joints, point.weights, strict=True):
      weights[joint] = weights.get(joint, 0.0) + share * weight
  return Point(tuple(weights), tuple(weights.values()))


def _joint(joint: int) -> Point:
  return Point((joint,), (1.0,))


def _trunk(skeleton: Skeleton) -> Iterator[Shape]:
  right, left = map(_joint, skeleton.shoulders)
  below = [
    combine((0.9, one), (0.1, other))._replace(down=TORSO_LENGTH)
    for one, other in ((left, right), (right, left))
  ]
  yield Shape("area", "torso", (right, left, *below), fill="torso", needs=4)
  neck, nose = (find_point(skeleton, name) for name in ("neck", "nose"))
  across = (right, left) if neck is None else (right, neck, left)
  yield Shape("line", "neck", across, "bone", LIMB)
  head = nose
  if skeleton.face:
    outline = skeleton.features["outline"][0]
    head = combine(*((1 / len(outline), _joint(j)) for j in outline))
  if neck is not None and head is not None:
    yield Shape("line", "neck", (neck, head), "bone", LIMB)
  if nose is not None and not skeleton.face:
    yield Shape("disc", "head", (nose,), "bone", OUTLINE, fill="head")


def _face(skeleton: Skeleton, head: int) -> Iterator[Shape]:
  """A head with brows, eyes, nose and mouth; `head` is its index."""
  features = skeleton.features
  outline = _closed(features["outline"][0])
  yield Shape(
    "area",
    "head",
    outline,
    "bone",
    OUTLINE,
    fill="head",
    smooth=True,
    needs=len(outline) // 2,
  )

  def area(line: tuple[int, ...], colour: str, fill: str) -> Shape:
    points = tuple(map(_joint, line))
    shape = Shape("area", "face", points, colour, FINE, fill=fill, smooth=True)
    return dataclasses.replace(shape, depth_of=head, needs=len(points))

  def line(joints: tuple[int, ...], colour: str, width: float) -> Shape:
    points = tuple(map(_joint, joints))
    shape = Shape("line", "face", points, colour, width, smooth=True)
    return dataclasses.replace(shape, depth_of=head)

  for ring in features.get("eyes", ()):
    yield area(ring[:-1], "bone", "card")
  for way in features.get("nose", ()):
    yield line(way, "lips", FINE)
  for ring, fill in zip(
    features.get("mouth", ()), ("lips", "bone"), strict=False
  ):
    yield area(ring[:-1], "", fill)
  brows = features.get("brows", ())
  if len(brows) == 4:  # upper and lower edge of each
    for upper, lower in (brows[:2], brows[2:]):
      yield area((*upper, *lower[::-1]), "", "bone")
  else:
    for way in brows:
      yield line(way, "bone", BROW)


def _closed(line: tuple[int, ...]) -> tuple[Point, ...]:
  """The outline of a head; above a jaw half an ellipse from ear to ear."""
  points = tuple(map(_joint, line))
  if line[0] == line[-1]:
    return points[:-1]
  first, chin, last = points[0], points[len(points) // 2], points[-1]
  above = []
  for step in range(1, 8):
    across = math.cos(math.pi * step / 8) / 2
    up = _FOREHEAD * math.sin(math.pi * step / 8)
    half = (1 + up) / 2
    above.append(
      combine((half - across, first), (half + across, last), (-up, chin))
    )
  return (*points, *above)


def _arm(skeleton: Skeleton, side: str) -> Iterator[Shape]:
  shoulder, elbow, wrist = map(_joint, skeleton.arm(side))
  hand = _joint(skeleton.hand(side))
  for points, width in (
    ((shoulder, elbow), LIMB),
    ((elbow, wrist), FOREARM),
    ((wrist, hand), WRIST),
  ):
    yield Shape("line", "arms", points, f"{side}_arm", width)


def _hand(skeleton: Skeleton, side: Side, palm: int) -> Iterator[Shape]:
  """A palm and five fingers; `palm` is the palm's index."""
  wrist, *others = map(_joint, skeleton.parts[f"{side}_hand"])
  fingers = [tuple(others[4 * i : 4 * i + 4]) for i in range(5)]
  knuckles = [finger[0] for finger in fingers]

  def shape(kind: Kind, points: tuple[Point, ...], colour: str) -> Shape:
    return Shape(
      kind, "hands", points, f"{side}_{colour}", FINGER, "palm", side=side
    )

  area = shape("area", (wrist, *knuckles), "palm")
  yield dataclasses.replace(area, fill=f"{side}_palm", needs=6)
  for number, knuckle in enumerate(knuckles, 1):
    root = shape("wedge", (wrist, knuckle), f"root_{number}")
    yield dataclasses.replace(root, depth_of=palm)
  for number, finger in enumerate(fingers, 1):
    line = shape("line", finger, f"finger_{number}")
    yield dataclasses.replace(line, halo=True)
