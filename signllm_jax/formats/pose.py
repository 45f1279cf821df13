"""`.pose`: the format of pose-format and its viewers.

`pose_layouts` says which points a skeleton has; prompt2sign50 and dwpose128
have OpenPose's, of whose 137 points the 50 joints are points 0-7 of the body
(BODY_25) and the two hands. Other points and missing joints have confidence 0.
Positions are x, y, z in a space of 512 x 512 x 512 pixels. The neck of a
canonical clip (neck at 0, shoulders 1/3 apart) is at (256, 192, 0) and its
shoulders are 128 pixels apart, so that head and signing space are inside the
image:

  pixel = 384 * value + (256, 192, 0)

Source: github.com/sign-language-processing/pose, specification 0.2.
"""

import os
import pathlib

import numpy as np
import pose_format
from pose_format import pose_header
from pose_format.numpy import NumPyPoseBody

from signllm_jax.core import (
  atomic_files,
  clips,
  errors,
  limits,
)
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton
from signllm_jax.formats import detections, landmarks, pose_file, pose_layouts
from signllm_jax.formats.pose_layouts import openpose

SIZE = 512  # pixels of width, height and depth
_SCALE = 0.75  # of the height
_ORIGIN = np.array([0.5, 0.375, 0.0])  # of width, height, depth


def to_pixels(frames: np.ndarray) -> np.ndarray:
  """Converts canonical joints [T, J, D] to the pixels of the SIZE cube."""
  return frames * (_SCALE * SIZE) + _ORIGIN[: frames.shape[-1]] * SIZE


def write(path: str | os.PathLike, clip: clips.Clip) -> None:
  """Writes one clip; text, gloss and name are not stored.

  Args:
    path: the file; written atomically.
    clip: canonical, to be inside the image.

  Raises:
    DataError: the clip holds NaN or infinity, or its skeleton has no layout.
    StorageError: the file cannot be written.
  """
  components = pose_layouts.components(clip.skeleton)
  finite = np.isfinite(clip.frames).all((1, 2))
  if not finite.all():
    raise errors.DataError(
      f"clip {clip.name!r} holds NaN or infinity",
      path=path,
      frame=int(np.argmin(finite)) + 1,
      expected="finite numbers",
    )
  header = pose_header.PoseHeader(
    0.2, pose_header.PoseHeaderDimensions(SIZE, SIZE, SIZE), components
  )
  points = [(c.name, name) for c in components for name in c.points]
  shape = len(clip), 1, len(points)
  data = np.zeros((*shape, clip.skeleton.dims), np.float32)
  confidence = np.zeros(shape, np.float32)
  index = {point: i for i, point in enumerate(points)}
  at = [index[point] for point in pose_layouts.points_of(clip.skeleton)]
  data[:, 0, at] = np.where(clip.valid[..., None], to_pixels(clip.frames), 0)
  confidence[:, 0, at] = clip.valid
  pose_layouts.add_middle(clip.skeleton, points, data, confidence)
  body = NumPyPoseBody(clip.fps, data, confidence)
  with (
    atomic_files.atomic_write(path) as temporary,
    temporary.open("wb") as file,
  ):
    pose_format.Pose(header, body).write(file)


def read(path: str | os.PathLike) -> clips.Clip:
  """Reads a clip in OpenPose's layout, of `write` or of another tool.

  The scaling of `write` is undone with the image size in the header. Files
  without z get z = 0. The clip is named after the file.

  Raises:
    DataError: the file is missing or damaged, has another layout, more than one
      person, or numbers that are not finite.
  """
  path = pathlib.Path(path)
  content = pose_file.load(path)
  if any(point not in content.points for point in landmarks.OPENPOSE.values()):
    raise errors.DataError(
      f"components {content.sizes}",
      path=path,
      expected="OpenPose's "
      + str({c.name: len(c.points) for c in openpose.OpenPose_Components}),
      hint="Poses of other layouts must be converted first",
    )
  t, people_count, _, dims = content.data.shape
  if people_count != 1 or dims not in (2, 3):
    raise errors.DataError(
      f"{people_count} people in {dims} dimensions",
      path=path,
      expected="1 person in 2 or 3",
    )
  at = _points(content.points)
  width, height, depth = content.size
  valid = content.confidence[:, 0, at] > 0
  pixels = np.zeros((t, PROMPT2SIGN50.num_joints, 3))
  pixels[..., :dims] = content.data[:, 0, at]
  pixels -= _ORIGIN * [width, height, depth]
  frames = pixels / (_SCALE * max(height, 1))
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
  return clips.Clip(frames.astype(np.float32), valid, content.fps, path.stem)


def read_keypoints(
  path: str | os.PathLike, skeleton: Skeleton = PROMPT2SIGN50
) -> clips.Keypoints:
  """Reads 2-D keypoints in OpenPose's layout or one of MediaPipe Holistic.

  Points are found by component and name (`landmarks.to_joints`), in complete
  and reduced files; z is left out. Of several people the signer is selected
  (`detections.select_signer`). The clip is named after the file.

  Args:
    path: the file.
    skeleton: of the keypoints; those of holistic178 have a depth, MediaPipe's.

  Raises:
    DataError: the file is missing or damaged, has another layout, nobody in it,
      or numbers that are not finite where the confidence is above 0.
  """
  path = pathlib.Path(path)
  content = pose_file.load(path)
  t, count, _, dims = content.data.shape
  if not 1 <= count <= limits.MAX_PEOPLE or dims < 2:
    raise errors.DataError(
      f"{count} people in {dims} dimensions",
      path=path,
      expected=f"1 to {limits.MAX_PEOPLE} people in 2 or 3",
    )
  if strange := np.argwhere(np.isnan(content.confidence)).tolist():
    raise errors.DataError(
      "a confidence that is no number", path=path, frame=strange[0][0] + 1
    )
  joints = landmarks.to_joints(
    content.points, content.data, content.confidence, skeleton
  )
  if joints is None:
    raise errors.DataError(
      f"components {content.sizes}",
      path=path,
      expected=f"OpenPose's or MediaPipe Holistic's, with all joints of "
      f"{skeleton.name}",
    )
  values = joints.reshape(-1, *joints.shape[-2:])
  frame = np.repeat(np.arange(t), count)
  if bad := detections.first_invalid(values, skeleton):
    at, problem = bad
    raise errors.DataError(
      problem, path=path, frame=int(frame[at]) + 1, expected="pixels"
    )
  detected = (values[..., 2] > 0).any(-1)
  frames = detections.select_signer(
    detections.clean(values[detected]), frame[detected], t, skeleton
  )
  width, height, _ = content.size
  size = (width, height) if width and height else None
  depth = frames[..., 3] if frames.shape[-1] > 3 else None
  known = frames[..., :3], content.fps, size, path.stem
  return clips.Keypoints(*known, skeleton=skeleton, depth=depth)


def _points(points: list[landmarks.Point]) -> list[int]:
  """Indices [J] of the joints among points of OpenPose's layout."""
  index = {point: i for i, point in enumerate(points)}
  return [
    index[landmarks.OPENPOSE[joint]]
    for joint in range(PROMPT2SIGN50.num_joints)
  ]
