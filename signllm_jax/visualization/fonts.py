"""Fonts of this machine for captions and labels."""

import contextlib
import functools

from PIL import ImageFont

# Fonts to look for; Pillow's own, which has only ASCII, is the last.
_FONTS = (
  "DejaVuSans.ttf",
  "Arial.ttf",
  "LiberationSans-Regular.ttf",
  "NotoSans-Regular.ttf",
  "NotoSansCJK-Regular.ttc",
  "AppleSDGothicNeo.ttc",
  "malgun.ttf",
)


@functools.cache
def _load(size: int) -> list:
  faces = []
  for name in _FONTS:
    with contextlib.suppress(OSError):  # not on this machine
      faces.append(ImageFont.truetype(name, size))
  return [*faces, ImageFont.load_default(size)]


def find(text: str, size: float):
  """Finds the first font on this machine with every character of the text."""
  faces = _load(max(8, round(size)))

  def lacks(face) -> int:
    unknown = bytes(face.getmask("\uffff"))
    return sum(bytes(face.getmask(c)) == unknown for c in set(text.strip()))

  return min(faces, key=lacks)
