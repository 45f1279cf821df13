"""Pictures of clips: frames, GIF, MP4 and contact sheets."""

import itertools
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from signllm_jax.core import atomic_files, errors, paths
from signllm_jax.core import clips as clips_lib
from signllm_jax.visualization import (
  cells,
  encoders,
  raster,
  sheet_layout,
  svg_sheet,
  themes,
  view,
)

SUFFIXES = (".gif", ".mp4", ".png", ".svg")
SHEETS = (".png", ".svg")
HOLD = 0.5  # seconds that each of several scenes holds its last frame
MAX_ROWS = 12  # of a sheet; more make pictures that no viewer opens


class Scene(NamedTuple):
  """Clips shown side by side.

  Attributes:
    clips: label -> clip, all at one frame rate; canonical ones share a scale.
      A label is shown when there are several.
    caption: the text, above.
  """

  clips: Mapping[str, clips_lib.Clip]
  caption: str = ""


def frames(
  clips: Mapping[str, clips_lib.Clip], caption: str = "", size: int = 320
) -> Iterator[np.ndarray]:
  """Draws clips side by side, in one view and at one scale.

  Args:
    clips: as in `Scene`.
    caption: as in `Scene`.
    size: width of each clip in pixels.

  Yields:
    Images [H, W, 3] uint8, H and W even, one for each frame of the longest
    clip; a shorter clip holds its last frame.

  Raises:
    UsageError: nothing to draw, or frame rates differ.
    NonFiniteError: a clip holds NaN or infinity.
  """
  scenes = [Scene(clips, caption)]
  _check(scenes)
  for picture in _play(scenes, size, range):
    yield np.asarray(picture)


def save(
  path: str | os.PathLike,
  clips: Mapping[str, clips_lib.Clip],
  caption: str = "",
  size: int = 320,
  columns: int = 5,
) -> None:
  """Writes one scene: see `save_scenes`."""
  save_scenes(path, [Scene(clips, caption)], size, columns)


def save_scenes(
  path: str | os.PathLike,
  scenes: Sequence[Scene],
  size: int = 320,
  columns: int = 5,
) -> None:
  """Writes scenes in the format of the suffix; replaces the file as a whole.

  .gif loops; frames above 50 a second, which no viewer plays, are left out.
  .mp4 is H.264, yuv420p. Both play the scenes one after another, on pages of
  one size, and hold the last frame of each of several scenes for HOLD seconds.
  .png is a contact sheet: a row a clip, columns evenly spaced in time, scenes
  below one another. .svg is the same as vector graphics. A sheet has at most
  MAX_ROWS rows (`sheets` splits scenes).

  Args:
    path: the file to make, also in a bucket.
    scenes: all at one frame rate.
    size: width of each clip in pixels.
    columns: of a contact sheet.

  Raises:
    UsageError: unknown suffix, nothing to draw, frame rates differ, or more
      rows than a sheet has.
    NonFiniteError: a clip holds NaN or infinity.
    StorageError: the file cannot be written.
  """
  path = paths.resolve(path)
  suffix = path.suffix.lower()
  if suffix not in SUFFIXES:
    raise errors.UsageError(
      f"unknown suffix {path.suffix!r}",
      path=path,
      expected="one of " + ", ".join(SUFFIXES),
    )
  fps = _check(scenes)
  rows = sum(len(scene.clips) for scene in scenes)
  if suffix in SHEETS and rows > MAX_ROWS:
    raise errors.UsageError(
      f"a sheet of {rows} rows",
      path=path,
      expected=f"at most {MAX_ROWS}",
      hint="Draw fewer clips, or a film: .gif or .mp4",
    )
  with atomic_files.atomic_write(path) as part:
    if suffix == ".png":
      sheets = [_sheet(scene, size, columns) for scene in scenes]
      sheet_layout.stack(sheets).save(part, optimize=True)
    elif suffix == ".svg":
      rows = [row for scene in scenes for row in _rows(scene, columns)]
      part.write_text(svg_sheet.sheet(rows, size), encoding="utf-8")
    elif suffix == ".gif":
      _save_gif(part, scenes, size, fps)
    else:
      encoders.write_mp4(part, _play(scenes, size, _timeline(scenes, fps)), fps)


def _check(scenes: Sequence[Scene]) -> float:
  """Checks the clips and returns their frame rate."""
  drawn = [item for scene in scenes for item in scene.clips.items()]
  full = all(scene.clips for scene in scenes) and all(len(c) for _, c in drawn)
  if not drawn or not full:
    raise errors.UsageError("nothing to draw", expected="clips with frames")
  for label, clip in drawn:
    finite = np.isfinite(clip.frames).all((1, 2))
    if not finite.all():
      raise errors.NonFiniteError(
        f"clip {label!r} holds NaN or infinity", frame=int(finite.argmin()) + 1
      )
  rates = {clip.fps for _, clip in drawn}
  if len(rates) > 1:
    raise errors.UsageError(
      f"clips at {sorted(rates)} frames a second",
      expected="one frame rate",
      hint="Bring them to one with clips.resample",
    )
  return rates.pop()


def sheets(scenes: Sequence[Scene]) -> list[Sequence[Scene]]:
  """Splits scenes into those of one sheet each, of at most MAX_ROWS rows.

  Every sheet has as many scenes, but the last. A scene is never split.
  """
  rows = max((len(scene.clips) for scene in scenes), default=1)
  each = max(MAX_ROWS // rows, 1)
  return [scenes[i : i + each] for i in range(0, len(scenes), each)]


def _cells(scene: Scene, size: int) -> list[cells.Cell]:
  drawn = [view.Geometry(clip) for clip in scene.clips.values()]
  shared, longest = view.fit(drawn), _longest(scene)
  labels = scene.clips if len(drawn) > 1 else [""]
  return [
    cells.Cell(geometry, label, shared, size, longest)
    for label, geometry in zip(labels, drawn, strict=True)
  ]


def _longest(scene: Scene) -> int:
  return max(map(len, scene.clips.values()))


def _timeline(
  scenes: Sequence[Scene], fps: float, step: int = 1
) -> Callable[[int], list[int]]:
  """Returns a function: number of frames of a scene -> frames to show."""
  hold = round(HOLD * fps) if len(scenes) > 1 else 0
  return lambda count: [
    *range(0, count, step),
    *itertools.repeat(count - 1, len(range(0, hold, step))),
  ]


def _play(
  scenes: Sequence[Scene], size: int, times: Callable[[int], Iterable[int]]
) -> Iterator[Image.Image]:
  """Draws scenes one after another, on pages of the size of the largest.

  Args:
    scenes: at least one.
    size: width of each clip in pixels.
    times: number of frames of a scene -> the frames to draw.
  """
  strips = [
    sheet_layout.caption(s.caption, size * len(s.clips), size) for s in scenes
  ]
  columns = max(len(scene.clips) for scene in scenes)
  height = max(strip.height for strip in strips)
  least = max(_heights(scenes, size))
  for scene, strip in zip(scenes, strips, strict=True):
    head = Image.new("RGB", (size * columns, height), themes.LIGHT["page"])
    head.paste(strip, (0, 0))
    # One scene at a time, to save memory.
    artists = [raster.Artist(cell) for cell in _cells(scene, size)]
    drawn, picture = -1, head
    for t in times(_longest(scene)):
      if t != drawn:
        drawn = t
        picture = sheet_layout.grid(
          [[artist.draw(t) for artist in artists]], head, least
        )
      yield picture


def _heights(scenes: Sequence[Scene], size: int) -> Iterator[int]:
  for scene in scenes:
    yield max(cell.size[1] for cell in _cells(scene, size))


def _sheet(scene: Scene, size: int, columns: int) -> Image.Image:
  artists = [raster.Artist(cell) for cell in _cells(scene, size)]
  times = _sheet_times(scene, columns)
  rows = [[artist.draw(t) for t in times] for artist in artists]
  return sheet_layout.grid(
    rows, sheet_layout.caption(scene.caption, size * len(times), size)
  )


def _sheet_times(scene: Scene, columns: int) -> list[int]:
  longest = _longest(scene)
  times = np.linspace(0, longest - 1, min(columns, longest))
  return times.round().astype(int).tolist()


def _rows(scene: Scene, columns: int) -> list[svg_sheet.Row]:
  times = _sheet_times(scene, columns)
  return [
    svg_sheet.Row(cell, "" if number else scene.caption, times)
    for number, cell in enumerate(_cells(scene, svg_sheet.CELL))
  ]


def _save_gif(path, scenes: Sequence[Scene], size: int, fps: float) -> None:
  step = math.ceil(fps / 50)
  times = _timeline(scenes, fps, step)
  count = sum(len(times(_longest(scene))) for scene in scenes)
  # Delays are whole hundredths of a second, rounded so that they add up.
  ends = np.round(np.arange(count + 1) * step * 100 / fps).astype(int)
  samples = max(1, 8 // len(scenes))  # of each scene
  palette = encoders.make_palette(
    _play(scenes, size, lambda n: range(0, n, max(1, n // samples)))
  )
  pictures = (
    picture.quantize(palette=palette, dither=Image.Dither.NONE)
    for picture in _play(scenes, size, times)
  )
  next(pictures).save(
    path,
    save_all=True,
    append_images=pictures,
    duration=(10 * np.diff(ends)).tolist(),
    loop=0,
    optimize=True,
  )
