"""Layout of contact sheets: pictures in rows under a caption."""

from PIL import Image, ImageDraw

from signllm_jax.visualization import fonts, skeleton_drawing


def caption(text: str, width: int, size: int) -> Image.Image:
  """Draws a strip with the text in at most two lines; height 0 without text."""
  unit = size / 320
  face = fonts.find(text, 14 * unit)
  margin = 12 * unit
  lines = _wrap(text, face, width - 2 * margin) if text.strip() else []
  step = 18 * unit
  height = round(step * len(lines) + 8 * unit) if lines else 0
  strip = Image.new("RGB", (width, height), skeleton_drawing.PAGE)
  for i, line in enumerate(lines):
    ImageDraw.Draw(strip).text(
      (margin, 9 * unit + step * (i + 0.5)),
      line,
      skeleton_drawing.INK,
      face,
      anchor="lm",
    )
  return strip


def _wrap(text: str, face, width: float, lines: int = 2) -> list[str]:
  """Breaks a text into lines of at most so many pixels; the rest becomes …."""
  wrapped, line = [], ""
  for word in text.split():
    longer = f"{line} {word}".strip()
    if line and face.getlength(longer) > width:
      wrapped.append(line)
      line = word
    else:
      line = longer
  wrapped.append(line)
  cut = len(wrapped) > lines
  wrapped = wrapped[:lines]
  while wrapped[-1] and face.getlength(wrapped[-1] + "…" * cut) > width:
    wrapped[-1], cut = wrapped[-1][:-1].rstrip(), True
  return [*wrapped[:-1], wrapped[-1] + "…" * cut]


def grid(rows: list[list[Image.Image]], head: Image.Image) -> Image.Image:
  """Places rows of pictures below a strip of the same width."""
  width, height = rows[0][0].size
  page = Image.new(
    "RGB",
    (_even(head.width), _even(head.height + height * len(rows))),
    skeleton_drawing.PAGE,
  )
  page.paste(head, (0, 0))
  for r, row in enumerate(rows):
    for c, cell in enumerate(row):
      page.paste(cell, (c * width, head.height + r * height))
  return page


def stack(sheets: list[Image.Image]) -> Image.Image:
  """Places pictures below one another, on a page as wide as the widest."""
  width = max(sheet.width for sheet in sheets)
  height = sum(sheet.height for sheet in sheets)
  page = Image.new("RGB", (width, height), skeleton_drawing.PAGE)
  top = 0
  for sheet in sheets:
    page.paste(sheet, (0, top))
    top += sheet.height
  return page


def _even(n: int) -> int:
  return n + n % 2
