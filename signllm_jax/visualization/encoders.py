"""Encoders of films: one palette for a GIF, and H.264 by ffmpeg."""

import contextlib
import fractions
import itertools
import pathlib
import subprocess
import tempfile
from collections.abc import Iterable, Iterator

import imageio_ffmpeg
import numpy as np
from PIL import Image, ImageColor

from signllm_jax.core import errors
from signllm_jax.visualization import themes


def make_palette(pictures: Iterable[Image.Image]) -> Image.Image:
  """Makes one palette for a whole file; several would flicker.

  It holds the colours of the drawing and shades between them. Each shade counts
  once: by area, white would take all entries. Pillow looks colours up in cells
  of 4 x 4 x 4, so shades that near to a colour of the drawing are left out.
  """
  codes = np.empty(0, np.int64)
  for picture in pictures:
    pixels = np.asarray(picture).reshape(-1, 3).astype(np.int64)
    codes = np.union1d(codes, pixels @ [1 << 16, 1 << 8, 1])
  shades = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], -1)
  colours = dict.fromkeys(themes.LIGHT.values())
  own = np.array([ImageColor.getrgb(colour) for colour in colours])
  mixed = Image.fromarray(shades[None].astype(np.uint8)).quantize(
    255 - len(own), Image.Quantize.MEDIANCUT
  )
  mixed = np.reshape(mixed.getpalette() or [], (-1, 3))
  near = (np.abs(mixed[:, None] - own).max(-1) < 8).any(1)
  palette = Image.new("P", (1, 1))
  palette.putpalette(np.concatenate([own, mixed[~near]]).ravel().tolist())
  return palette


def write_mp4(
  path: pathlib.Path, pictures: Iterator[Image.Image], fps: float
) -> None:
  """Writes pictures of one even size as H.264, yuv420p.

  Raises:
    StorageError: the encoder fails.
  """
  first = next(pictures)
  width, height = first.size
  command = [
    *(imageio_ffmpeg.get_ffmpeg_exe(), "-y", "-v", "error"),
    *("-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"),
    *("-r", str(fractions.Fraction(fps).limit_denominator()), "-i", "-"),
    *("-c:v", "libx264", "-pix_fmt", "yuv420p", "-crf", "18"),
    *("-movflags", "+faststart", str(path)),
  ]
  # Not by imageio_ffmpeg.write_frames, which forks this process with all of
  # JAX's threads and does not notice when the encoder fails.
  with tempfile.TemporaryFile() as log:
    with (
      contextlib.suppress(BrokenPipeError),  # the exit code says why it ended
      subprocess.Popen(
        command, stdin=subprocess.PIPE, stderr=log, process_group=0
      ) as encoder,
    ):
      assert encoder.stdin
      for picture in itertools.chain([first], pictures):
        encoder.stdin.write(picture.tobytes())
    log.seek(0)
    message = log.read().decode(errors="replace").strip()
  if encoder.returncode:
    raise errors.StorageError(f"cannot be encoded: {message}", path=path)
