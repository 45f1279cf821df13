"""Pages: pictures in rows, below one another, under a caption."""

from PIL import Image, ImageDraw

from signllm_jax.visualization import skeleton_drawing


def caption(text: str, width: int, size: int) -> Image.Image:
  """A strip with the text in at most two lines; of height 0 without."""
  unit = size / 320
  face = skeleton_drawing.font(text, 14 * unit)
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
  """Words in lines of at most so many pixels; what is too much becomes …."""
  done, line = [], ""
  for word in text.split():
    longer = f"{line} {word}".strip()
    if line and face.getlength(longer) > width:
      done.append(line)
      line = word
    else:
      line = longer
  done.append(line)
  cut = len(done) > lines
  done = done[:lines]
  while done[-1] and face.getlength(done[-1] + "…" * cut) > width:
    done[-1], cut = done[-1][:-1].rstrip(), True
  return [*done[:-1], done[-1] + "…" * cut]


def grid(rows: list[list[Image.Image]], head: Image.Image) -> Image.Image:
  """Rows of pictures below a strip that is as wide as the page."""
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
  """Pictures below one another, on a page as wide as the widest."""
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
