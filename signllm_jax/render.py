"""Pictures of clips: frames, GIF, MP4, and a contact sheet as PNG."""

import contextlib
import itertools
import math
import os
import pathlib
from collections.abc import Callable, Iterator, Mapping

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageColor, ImageDraw

from signllm_jax import clips, drawing, errors
from signllm_jax.formats import atomic

SUFFIXES = (".gif", ".mp4", ".png")


def frames(
  clips: Mapping[str, clips.Clip], caption: str = "", size: int = 320
) -> Iterator[np.ndarray]:
  """Draws clips side by side, one view and one scale for all of them.

  Args:
    clips: label -> clip, all at one frame rate; canonical ones share a scale.
      A label is shown when there are several.
    caption: the text, above.
    size: width of each clip in pixels.

  Yields:
    Images [H, W, 3] uint8, H and W even, as many as the longest clip has
    frames; a shorter one holds its last.

  Raises:
    UsageError: nothing to draw, or frame rates differ.
    NonFiniteError: a clip holds NaN or infinity.
  """
  draw, count = _scene(clips, caption, size)
  for t in range(count):
    yield np.asarray(draw(t))


def save(
  path: str | os.PathLike,
  clips: Mapping[str, clips.Clip],
  caption: str = "",
  size: int = 320,
  columns: int = 5,
) -> None:
  """Writes clips as the suffix says; the file is replaced as a whole.

  .gif loops; above 50 frames a second, which no viewer plays, frames are left
  out. .mp4 is H.264, yuv420p. .png is a contact sheet: one row a clip, so many
  columns evenly spaced in time.

  Raises:
    UsageError: unknown suffix, nothing to draw, or frame rates differ.
    NonFiniteError: a clip holds NaN or infinity.
    StorageError: the file cannot be written.
  """
  path = pathlib.Path(path)
  suffix = path.suffix.lower()
  if suffix not in SUFFIXES:
    raise errors.UsageError(
      f"unknown suffix {path.suffix!r}",
      path=path,
      expected="one of " + ", ".join(SUFFIXES),
    )
  fps = _check(clips)
  with atomic.replacing(path) as part:
    if suffix == ".png":
      _sheet(clips, caption, size, columns).save(part, optimize=True)
    elif suffix == ".gif":
      _save_gif(part, *_scene(clips, caption, size), fps)
    else:
      _save_mp4(part, frames(clips, caption, size), fps)


def _check(sequence: Mapping[str, clips.Clip]) -> float:
  """The frame rate that all have."""
  if not sequence or not all(len(clip) for clip in sequence.values()):
    raise errors.UsageError("nothing to draw", expected="clips with frames")
  for label, clip in sequence.items():
    finite = np.isfinite(clip.frames).all((1, 2))
    if not finite.all():
      raise errors.NonFiniteError(
        f"clip {label!r} holds NaN or infinity", frame=int(finite.argmin()) + 1
      )
  rates = {clip.fps for clip in sequence.values()}
  if len(rates) > 1:
    raise errors.UsageError(
      f"clips at {sorted(rates)} frames a second",
      expected="one frame rate",
      hint="Bring them to one with clips.resample",
    )
  return rates.pop()


def _artists(sequence, size: int) -> list[drawing.Artist]:
  _check(sequence)
  view = drawing.fit(list(sequence.values()))
  longest = max(map(len, sequence.values()))
  return [
    drawing.Artist(
      clip, label if len(sequence) > 1 else "", view, size, longest
    )
    for label, clip in sequence.items()
  ]


def _scene(
  sequence, caption: str, size: int
) -> tuple[Callable[[int], Image.Image], int]:
  """What draws frame t of all clips, and how many frames there are."""
  artists = _artists(sequence, size)
  head = _caption(caption, size * len(artists), size)
  return (
    lambda t: _grid([[artist.draw(t) for artist in artists]], head),
    artists[0].longest,
  )


def _caption(text: str, width: int, size: int) -> Image.Image:
  """A strip with the text in at most two lines; of height 0 without."""
  unit = size / 320
  face = drawing.font(text, 14 * unit)
  margin = 12 * unit
  lines = _wrap(text, face, width - 2 * margin) if text.strip() else []
  step = 18 * unit
  height = round(step * len(lines) + 8 * unit) if lines else 0
  strip = Image.new("RGB", (width, height), drawing.PAGE)
  for i, line in enumerate(lines):
    ImageDraw.Draw(strip).text(
      (margin, 9 * unit + step * (i + 0.5)),
      line,
      drawing.INK,
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


def _grid(rows: list[list[Image.Image]], head: Image.Image) -> Image.Image:
  width, height = rows[0][0].size
  columns = len(rows[0])
  page = Image.new(
    "RGB",
    (_even(width * columns), _even(head.height + height * len(rows))),
    drawing.PAGE,
  )
  page.paste(head, (0, 0))
  for r, row in enumerate(rows):
    for c, cell in enumerate(row):
      page.paste(cell, (c * width, head.height + r * height))
  return page


def _even(n: int) -> int:
  return n + n % 2


def _sheet(sequence, caption: str, size: int, columns: int) -> Image.Image:
  artists = _artists(sequence, size)
  longest = artists[0].longest
  columns = min(columns, longest)
  times = np.linspace(0, longest - 1, columns).round().astype(int).tolist()
  rows = [[artist.draw(t) for t in times] for artist in artists]
  return _grid(rows, _caption(caption, size * columns, size))


def _save_gif(path, draw, count: int, fps: float) -> None:
  step = math.ceil(fps / 50)
  times = range(0, count, step)
  # Delays are whole hundredths of a second: rounded so that they add up.
  ends = np.round(np.arange(len(times) + 1) * step * 100 / fps).astype(int)
  palette = _palette([draw(t) for t in times[:: max(1, len(times) // 8)]])
  pictures = (
    draw(t).quantize(palette=palette, dither=Image.Dither.NONE) for t in times
  )
  next(pictures).save(
    path,
    save_all=True,
    append_images=pictures,
    duration=(10 * np.diff(ends)).tolist(),
    loop=0,
    optimize=True,
  )


def _palette(pictures: list[Image.Image]) -> Image.Image:
  """One palette for a whole clip, or its colours would flicker.

  The drawing's own colours as they are, and the shades between them, each
  counted once: by area, the white would take all places. Pillow looks colours
  up in cells of 4 x 4 x 4, so no shade may come that near to an own colour.
  """
  pixels = np.concatenate([np.asarray(p).reshape(-1, 3) for p in pictures])
  codes = np.unique(pixels.astype(np.int32) @ [1 << 16, 1 << 8, 1])
  shades = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1)
  own = np.array([ImageColor.getrgb(c) for c in drawing.COLOURS])
  mixed = Image.fromarray(shades[None].astype(np.uint8)).quantize(
    255 - len(own), Image.Quantize.MEDIANCUT
  )
  mixed = np.reshape(mixed.getpalette() or [], (-1, 3))
  near = (np.abs(mixed[:, None] - own).max(-1) < 8).any(1)
  palette = Image.new("P", (1, 1))
  palette.putpalette(np.concatenate([own, mixed[~near]]).ravel().tolist())
  return palette


def _save_mp4(path, images: Iterator[np.ndarray], fps: float) -> None:
  first = next(images)
  writer = imageio_ffmpeg.write_frames(
    str(path),
    (first.shape[1], first.shape[0]),
    fps=fps,  # pyright: ignore[reportArgumentType]
    codec="libx264",
    pix_fmt_out="yuv420p",
    quality=None,  # pyright: ignore[reportArgumentType]
    macro_block_size=2,
    output_params=["-crf", "18", "-movflags", "+faststart"],
  )
  with contextlib.closing(writer):
    writer.send(None)
    for image in itertools.chain([first], images):
      writer.send(np.ascontiguousarray(image))
