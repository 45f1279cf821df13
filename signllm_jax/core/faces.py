"""Points of faces: iBUG's 68, and 128 contour points of MediaPipe's mesh.

Sources: Sagonas et al., 300 Faces in-the-Wild (iBUG), and the contours of
MediaPipe's face mesh (FACEMESH_CONTOURS). Left and right are the signer's own,
in the features; iBUG counts from the signer's right.
"""

from typing import NamedTuple

Line = tuple[int, ...]


class Face(NamedTuple):
  """The points of a face.

  Attributes:
    joints: their names.
    numbers: of each point in its source, ascending.
    lines: part of the face -> its lines, in numbers of the source; a closed
      line ends where it began.
    mirrored: pairs of numbers that change places with left and right.
  """

  joints: tuple[str, ...]
  numbers: tuple[int, ...]
  lines: dict[str, tuple[Line, ...]]
  mirrored: tuple[tuple[int, int], ...]

  def part(self, first: int) -> tuple[int, ...]:
    """The joints of the face in a skeleton, which begins there with it."""
    return tuple(range(first, first + len(self.joints)))

  def _places(self, first: int) -> dict[int, int]:
    return {number: first + i for i, number in enumerate(self.numbers)}

  def lines_from(self, first: int) -> dict[str, tuple[Line, ...]]:
    """`lines` in joints of a skeleton whose face begins at joint `first`."""
    place = self._places(first)
    return {
      feature: tuple(tuple(place[n] for n in line) for line in lines)
      for feature, lines in self.lines.items()
    }

  def mirrored_from(self, first: int) -> tuple[tuple[int, int], ...]:
    """`mirrored` in joints of a skeleton whose face begins at `first`."""
    place = self._places(first)
    return tuple((place[one], place[other]) for one, other in self.mirrored)


def _ibug() -> Face:
  def run(first: int, last: int, *, closed: bool = False) -> Line:
    line = tuple(range(first, last + 1))
    return (*line, first) if closed else line

  pairs = [(16 - i, i) for i in range(8)]  # the jaw
  pairs += [(26 - i, 17 + i) for i in range(5)]  # brows
  pairs += [(35, 31), (34, 32)]  # nostrils
  pairs += [(45, 36), (44, 37), (43, 38), (42, 39), (47, 40), (46, 41)]  # eyes
  pairs += [(54, 48), (53, 49), (52, 50), (55, 59), (56, 58)]  # outer lips
  pairs += [(64, 60), (63, 61), (65, 67)]  # inner lips
  return Face(
    joints=tuple(f"ibug_{i}" for i in range(68)),
    numbers=tuple(range(68)),
    lines={
      "outline": (run(0, 16),),
      "brows": (run(17, 21), run(22, 26)),
      "nose": (run(27, 30), run(31, 35)),
      "eyes": (run(36, 41, closed=True), run(42, 47, closed=True)),
      "mouth": (run(48, 59, closed=True), run(60, 67, closed=True)),
    },
    mirrored=tuple(pairs),
  )


IBUG = _ibug()

# Of the mesh, from the signer's right to the left, except the outline: from the
# forehead down the signer's left side and up the right one.
_OUTER_TOP = (61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291)
_OUTER_BOTTOM = (61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291)
_INNER_TOP = (78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308)
_INNER_BOTTOM = (78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308)
_RIGHT_EYE_TOP = (33, 246, 161, 160, 159, 158, 157, 173, 133)
_RIGHT_EYE_BOTTOM = (33, 7, 163, 144, 145, 153, 154, 155, 133)
_LEFT_EYE_TOP = (263, 466, 388, 387, 386, 385, 384, 398, 362)
_LEFT_EYE_BOTTOM = (263, 249, 390, 373, 374, 380, 381, 382, 362)
_RIGHT_BROW = ((70, 63, 105, 66, 107), (46, 53, 52, 65, 55))
_LEFT_BROW = ((300, 293, 334, 296, 336), (276, 283, 282, 295, 285))
_OUTLINE = (
  *(10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288),
  *(397, 365, 379, 378, 400, 377, 152, 148, 176, 149, 150, 136),
  *(172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109),
)


def _mediapipe() -> Face:
  def ring(top: Line, bottom: Line) -> Line:
    return (*top, *bottom[-2::-1])

  lines = {
    "outline": ((*_OUTLINE, _OUTLINE[0]),),
    "brows": (*_RIGHT_BROW, *_LEFT_BROW),
    "eyes": (
      ring(_RIGHT_EYE_TOP, _RIGHT_EYE_BOTTOM),
      ring(_LEFT_EYE_TOP, _LEFT_EYE_BOTTOM),
    ),
    "mouth": (
      ring(_OUTER_TOP, _OUTER_BOTTOM),
      ring(_INNER_TOP, _INNER_BOTTOM),
    ),
  }
  lips = (_OUTER_TOP, _OUTER_BOTTOM, _INNER_TOP, _INNER_BOTTOM)
  pairs = {pair for line in lips for pair in zip(line, line[::-1], strict=True)}
  halves = [
    (_LEFT_EYE_TOP, _RIGHT_EYE_TOP),
    (_LEFT_EYE_BOTTOM, _RIGHT_EYE_BOTTOM),
    *zip(_LEFT_BROW, _RIGHT_BROW, strict=True),
    (_OUTLINE[1:18], _OUTLINE[:18:-1]),
  ]
  for left, right in halves:
    pairs |= set(zip(left, right, strict=True))
  numbers = sorted(
    {n for all_ in lines.values() for line in all_ for n in line}
  )
  order = sorted(
    {(min(pair), max(pair)) for pair in pairs} - {(n, n) for n in numbers}
  )
  return Face(
    joints=tuple(f"mesh_{n}" for n in numbers),
    numbers=tuple(numbers),
    lines=lines,
    mirrored=tuple(order),
  )


MEDIAPIPE = _mediapipe()

# iBUG's point -> the points of MediaPipe's mesh whose middle it is. Source:
# github.com/PeizhiYan/Mediapipe_2_Dlib_Landmarks; point 13 is there 361 alone
# and here the mirror image of point 3.
IBUG_OF_MESH: tuple[tuple[int, ...], ...] = (
  # The jaw, from the signer's right ear to the left one.
  *((127,), (234,), (93,), (132, 58), (58, 172), (136,), (150,), (176,)),
  *((152,), (400,), (379,), (365,), (397, 288), (361, 288), (323,)),
  *((454,), (356,)),
  *((70,), (63,), (105,), (66,), (107,)),  # the right brow
  *((336,), (296,), (334,), (293,), (300,)),
  *((168, 6), (197, 195), (5,), (4,)),  # the ridge of the nose
  *((75,), (97,), (2,), (326,), (305,)),
  *((33,), (160,), (158,), (133,), (153,), (144,)),  # the right eye
  *((362,), (385,), (387,), (263,), (373,), (380,)),
  *((61,), (39,), (37,), (0,), (267,), (269,), (291,)),  # the outer lips
  *((321,), (314,), (17,), (84,), (91,)),
  *((78,), (82,), (13,), (312,), (308,), (317,), (14,), (87,)),
)
