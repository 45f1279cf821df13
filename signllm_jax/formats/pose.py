"""`.pose`: the file of pose-format and its viewers, in OpenPose's 137 points.

Our 50 joints are points 0-7 of the body (BODY_25) and the two hands; all other
points, and missing joints, have confidence 0. Positions are x, y, z in a space
of 512 x 512 x 512 pixels: a canonical clip (neck at 0, shoulders 1/3 apart)
gets its neck at (256, 192, 0) and shoulders 128 pixels apart, which leaves the
head and the signing space inside the picture:

  pixel = 384 * value + (256, 192, 0)

Source: github.com/sign-language-processing/pose, specification 0.2.
"""

import os
import pathlib
import struct
import warnings

import numpy as np
import pose_format
from pose_format import pose_header
from pose_format.numpy import NumPyPoseBody

from signllm_jax import clips, errors, skeleton
from signllm_jax.formats import atomic

with warnings.catch_warnings():
  # Python warns of a pattern in it when it compiles the module.
  warnings.simplefilter("ignore")
  from pose_format.utils import openpose

SIZE = 512  # pixels of width, height and depth
_SCALE = 0.75  # of the height
_ORIGIN = np.array([0.5, 0.375, 0.0])  # of width, height, depth
_PARTS = {  # component of OpenPose -> first of our joints, how many
  "pose_keypoints_2d": (0, 8),
  "hand_left_keypoints_2d": (skeleton.LEFT_HAND, skeleton.HAND_JOINTS),
  "hand_right_keypoints_2d": (skeleton.RIGHT_HAND, skeleton.HAND_JOINTS),
}


def write(path: str | os.PathLike, clip: clips.Clip) -> None:
  """Writes one clip; text, gloss and name have no place in the format.

  Args:
    path: the file to make; replaced as a whole.
    clip: canonical, to be inside the picture.

  Raises:
    DataError: the clip holds NaN or infinity.
    StorageError: the file cannot be written.
  """
  finite = np.isfinite(clip.frames).all((1, 2))
  if not finite.all():
    raise errors.DataError(
      f"clip {clip.name!r} holds NaN or infinity",
      path=path,
      frame=int(np.argmin(finite)) + 1,
      expected="finite numbers",
    )
  components = [
    pose_header.PoseHeaderComponent(
      part.name, part.points, part.limbs, part.colors, "XYZC"
    )
    for part in openpose.OpenPose_Components
  ]
  header = pose_header.PoseHeader(
    0.2, pose_header.PoseHeaderDimensions(SIZE, SIZE, SIZE), components
  )
  points = header.total_points()
  data = np.zeros((len(clip), 1, points, 3), np.float32)
  confidence = np.zeros((len(clip), 1, points), np.float32)
  at = _points(header)
  pixels = clip.frames * (_SCALE * SIZE) + _ORIGIN * SIZE
  data[:, 0, at] = np.where(clip.valid[..., None], pixels, 0)
  confidence[:, 0, at] = clip.valid
  body = NumPyPoseBody(clip.fps, data, confidence)
  with atomic.replacing(path) as part, part.open("wb") as file:
    pose_format.Pose(header, body).write(file)


def read(path: str | os.PathLike) -> clips.Clip:
  """Reads a clip in OpenPose's layout, of `write` or of another tool.

  The scaling of `write` is undone for the picture's size in the header. Files
  without z get z = 0. The clip is named after the file.

  Raises:
    DataError: the file is missing or damaged, has another layout, more than one
      person, or numbers that are not finite.
  """
  path = pathlib.Path(path)
  try:
    pose = pose_format.Pose.read(path.read_bytes())
  except FileNotFoundError as error:
    raise errors.DataError("no such file", path=path) from error
  except (
    struct.error,
    ValueError,
    TypeError,
    IndexError,
    ArithmeticError,
    NotImplementedError,
  ) as error:
    raise errors.DataError(
      f"not a whole .pose file ({error})", path=path
    ) from error
  sizes = {part.name: len(part.points) for part in pose.header.components}
  expected = {
    part.name: len(part.points) for part in openpose.OpenPose_Components
  }
  if any(sizes.get(name) != expected[name] for name in _PARTS):
    raise errors.DataError(
      f"components {sizes}",
      path=path,
      expected=f"OpenPose's {expected}",
      hint="Poses of other layouts must be converted first",
    )
  t, people, _, dims = pose.body.data.shape
  if people != 1 or dims not in (2, 3):
    raise errors.DataError(
      f"{people} people in {dims} dimensions",
      path=path,
      expected="1 person in 2 or 3",
    )
  at = _points(pose.header)
  size = pose.header.dimensions
  valid = np.asarray(pose.body.confidence)[:, 0, at] > 0
  pixels = np.zeros((t, skeleton.J, 3))
  pixels[..., :dims] = np.ma.getdata(pose.body.data)[:, 0, at]
  pixels -= _ORIGIN * [size.width, size.height, size.depth]
  frames = pixels / (_SCALE * max(size.height, 1))
  if dims == 2:
    frames[..., 2] = 0
  frames[~valid] = 0
  finite = np.isfinite(frames).all((1, 2))
  if not finite.all():
    raise errors.DataError(
      "NaN or infinity where the confidence is above 0",
      path=path,
      frame=int(np.argmin(finite)) + 1,
      expected="finite numbers",
    )
  return clips.Clip(
    frames.astype(np.float32), valid, float(pose.body.fps), path.stem
  )


def _points(header: pose_header.PoseHeader) -> np.ndarray:
  """The point [J] of each of our joints."""
  at = np.zeros(skeleton.J, np.int64)
  first = 0
  for part in header.components:
    if part.name in _PARTS:
      joint, count = _PARTS[part.name]
      at[joint : joint + count] = first + np.arange(count)
    first += len(part.points)
  return at
