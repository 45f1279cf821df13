"""Layout of contact sheets: pictures in rows under a caption."""

from PIL import Image, ImageDraw

from signllm_jax.visualization import fonts, themes


def caption(text: str, width: int, size: int) -> Image.Image:
  """Draws a strip with the text in at most two lines; height 0 without text."""
  unit = size / 320
  face = fonts.find(text, 14 * unit)
  margin = 12 * unit
  lines = _wrap(text, face, width - 2 * margin) if text.strip() else []
  step = 18 * unit
  height = round(step * len(lines) + 8 * unit) if lines else 0
  strip = Image.new("RGB", (width, height), themes.LIGHT["page"])
  for i, line in enumerate(lines):
    ImageDraw.Draw(strip).text(
      (margin, 9 * unit + step * (i + 0.5)),
      line,
      themes.LIGHT["ink"],
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


def grid(
  rows: list[list[Image.Image]], head: Image.Image, least: int = 0
) -> Image.Image:
  """Places rows of pictures below a strip of their width.

  Args:
    rows: pictures of one width; of a row the highest gives the height.
    head: the strip.
    least: height of the picture below the strip, if the rows are lower.
  """
  heights = [max(cell.height for cell in row) for row in rows]
  height = head.height + max(sum(heights), least)
  size = _even(head.width), _even(height)
  page = Image.new("RGB", size, themes.LIGHT["page"])
  page.paste(head, (0, 0))
  top = head.height
  for row, height in zip(rows, heights, strict=True):
    left = 0
    for cell in row:
      page.paste(cell, (left, top))
      left += cell.width
    top += height
  return page


def stack(sheets: list[Image.Image]) -> Image.Image:
  """Places pictures below one another, on a page as wide as the widest."""
  width = max(sheet.width for sheet in sheets)
  height = sum(sheet.height for sheet in sheets)
  page = Image.new("RGB", (width, height), themes.LIGHT["page"])
  top = 0
  for sheet in sheets:
    page.paste(sheet, (0, top))
    top += sheet.height
  return page


def _even(n: int) -> int:
  return n + n % 2
