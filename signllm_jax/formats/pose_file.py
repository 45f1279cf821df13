"""Content of `.pose` files: header, points and numbers, of versions 0.0 to 0.2.

A version or a form of points that is not read is called that in the message;
only a file that contradicts itself is called damaged.

Source: github.com/sign-language-processing/pose, specifications 0.0 to 0.2.
"""

import collections
import pathlib
import struct
from typing import NamedTuple

import numpy as np
from pose_format import pose_header
from pose_format.utils import reader

from signllm_jax.core import errors, foreign_files, limits
from signllm_jax.formats import landmarks

VERSIONS = (0.0, 0.1, 0.2)
FORMS = ("XYC", "XYZC")


class PoseFile(NamedTuple):
  """Content of a file; the arrays are views of its bytes from version 0.1 on.

  Attributes:
    points: [N] component and name.
    data: [T, people, N, dims] float32.
    confidence: [T, people, N] float32; 0 where there is no such person.
    fps: frames per second.
    size: width, height and depth.
  """

  points: list[landmarks.Point]
  data: np.ndarray
  confidence: np.ndarray
  fps: float
  size: tuple[int, int, int]

  @property
  def sizes(self) -> dict[str, int]:
    """Number of points of each component."""
    return dict(collections.Counter(component for component, _ in self.points))


def load(path: pathlib.Path) -> PoseFile:
  """Reads a file of at most `limits.MAX_CLIP_FILE` bytes.

  Only parts of the header are read by pose-format: its own reader reuses the
  last header for the next file, with any changes made to it meanwhile.

  Raises:
    DataError: the file is missing, damaged, or of another version or form.
    StorageError: it cannot be read.
  """
  data = foreign_files.read(path, limits.MAX_CLIP_FILE)
  with foreign_files.parsing(path, ".pose file"):
    return _parse(data, path)


def _parse(data: bytes, path: pathlib.Path) -> PoseFile:
  # Each of its points takes 2 bytes at least, but 60 in memory.
  unpack = reader.BufferReader(data[: limits.MAX_POSE_HEADER])
  (version,) = struct.unpack_from("<f", data)
  version = round(version, 3)
  if version not in VERSIONS:
    raise errors.DataError(
      f"version {version:g} of .pose",
      path=path,
      expected="version " + ", ".join(map(str, VERSIONS)),
      hint="Convert it with pose-format, or check that it is a .pose file",
    )
  unpack.advance(reader.ConstStructs.float)
  size = pose_header.PoseHeaderDimensions.read(version, unpack)
  (count,) = struct.unpack_from("<H", data, unpack.read_offset)
  unpack.advance(reader.ConstStructs.ushort)
  components = [
    pose_header.PoseHeaderComponent.read(version, unpack) for _ in range(count)
  ]
  points = [(part.name, name) for part in components for name in part.points]
  forms = sorted({part.format for part in components})
  if len(forms) != 1 or forms[0] not in FORMS:
    raise errors.DataError(
      f"points of form {', '.join(forms)[:60] or 'none'}",
      path=path,
      expected=" or ".join(FORMS) + " in all components",
      hint="Other forms are not read",
    )
  dims = len(forms[0]) - 1
  body = _body_of_0_0 if version == 0.0 else _body
  fps, numbers, confidence = body(
    data, unpack.read_offset, version, len(points), dims
  )
  known = (size.width, size.height, size.depth)
  return PoseFile(points, numbers, confidence, fps, known)


def _body(
  data: bytes, offset: int, version: float, points: int, dims: int
) -> tuple[float, np.ndarray, np.ndarray]:
  """Frame rate, positions and confidences of versions 0.1 and 0.2."""
  body = "<HHH" if version == 0.1 else "<fIH"
  fps, t, count = struct.unpack_from(body, data, offset)
  start = offset + struct.calcsize(body)
  row = 4 * count * points * (dims + 1)  # bytes of a frame
  if not row or not limits.is_rate(fps):
    raise ValueError(f"{count} people, {points} points, {fps:g} fps")
  left = len(data) - start
  if version == 0.1:
    t = left // row  # the number is often too large for its 16 bits
  if left != t * row:
    raise ValueError(f"{left} bytes of frames, not {t} frames of {row}")
  if t * count > limits.MAX_FRAMES:
    raise ValueError(f"{t} frames of {count} people")
  numbers = np.frombuffer(data, "<f4", offset=start)
  middle = t * count * points * dims
  return (
    float(fps),
    numbers[:middle].reshape(t, count, points, dims),
    numbers[middle:].reshape(t, count, points),
  )


def _body_of_0_0(
  data: bytes, offset: int, version: float, points: int, dims: int
) -> tuple[float, np.ndarray, np.ndarray]:
  """The same of version 0.0, whose frames have people of their own number.

  A frame is the number of people, then of each a number and the points.
  """
  del version
  fps, t = struct.unpack_from("<HH", data, offset)
  offset += 4
  if not limits.is_rate(fps) or not points:
    raise ValueError(f"{points} points, {fps:g} fps")
  row = points * (dims + 1)
  people = []  # frame, number in it and first byte of each
  most = 1
  for frame in range(t):
    (count,) = struct.unpack_from("<H", data, offset)
    offset += 2
    if offset + count * (2 + 4 * row) > len(data):
      raise ValueError(f"frame {frame + 1} of {t} is cut")
    most = max(most, count)
    for person in range(count):
      people.append((frame, person, offset + 2))
      offset += 2 + 4 * row
  if offset != len(data):
    raise ValueError(f"{len(data) - offset} bytes after {t} frames")
  size = 4 * t * most * row
  if not t or t * most > limits.MAX_FRAMES or size > limits.MAX_CLIP_FILE:
    raise ValueError(f"{t} frames of {most} people")
  numbers = np.zeros((t, most, points, dims + 1), np.float32)
  for frame, person, start in people:
    numbers[frame, person] = np.frombuffer(data, "<f4", row, start).reshape(
      points, dims + 1
    )
  return float(fps), numbers[..., :-1], numbers[..., -1]
