"""Units of keypoints: pixels, or shares of the picture's width and height.

OpenPose writes pixels, with `--keypoint_scale` 3 shares from 0 to 1 and with 4
numbers from -1 to 1. No file says which, but pixels of a person are nowhere
near 0 in a whole clip.
"""

import os

import numpy as np

from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton

MAX_SHARE = 2.0  # of the picture; detectors guess a little beyond its edge
_NEGATIVE = -0.05  # below it, shares are those from -1 to 1
_SURE = 0.3  # confidence of a joint that must be inside the picture
# How far outside the picture joints may be, as a share of it, and how many of
# those that are sure. MediaPipe guesses hands below the picture's edge.
_STRICT = 0.02, 0.05
_GUESSED = 0.25, 0.2


def to_pixels(
  values: np.ndarray,
  size: tuple[int, int] | None,
  path: str | os.PathLike,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> np.ndarray:
  """Converts keypoints in shares of the picture to pixels.

  Body, hands and face are tested one by one: some tools scale only one of them.

  Args:
    values: [M, J, 3] x, y, confidence of all people of a clip.
    size: width and height of the picture; None if unknown.
    path: of the clip, for the message.
    skeleton: of the joints.

  Returns:
    [M, J, 3]; the same array if it holds pixels.

  Raises:
    DataError: it holds shares, and the picture's size is unknown.
  """
  converted = values
  for part in skeleton.parts.values():
    joints = list(part)
    points = values[:, joints, :2]
    seen = values[:, joints, 2] > 0
    points = points[seen & np.isfinite(points).all(-1)]
    if len(points) < 2 or np.abs(points).max() > MAX_SHARE:
      continue
    signed = points.min() < _NEGATIVE
    if size is None:
      raise errors.DataError(
        f"no point is farther than {np.abs(points).max():.3g} from 0: shares "
        "of the picture, as of OpenPose's --keypoint_scale "
        + ("4" if signed else "3"),
        path=path,
        expected="pixels",
        hint="Give the picture's size, such as --size=1280x720",
      )
    if converted is values:
      converted = values.copy()
    share = values[:, joints, :2]
    share = (share + 1) / 2 if signed else share
    converted[:, joints, :2] = np.where(seen[..., None], share * size, 0)
  return converted


def check_inside(keypoints: clips.Keypoints, *, guessed: bool) -> None:
  """Refuses a picture's size that contradicts the keypoints.

  Args:
    keypoints: in pixels.
    guessed: whether the detector guesses joints outside the picture, as
      MediaPipe does.

  Raises:
    DataError: many of the joints that were detected with confidence are outside
      the picture.
  """
  if keypoints.size is None:
    return
  edge, most = _GUESSED if guessed else _STRICT
  sure = keypoints.frames[..., 2] > _SURE
  share = keypoints.frames[..., :2] / np.array(keypoints.size, np.float32)
  outside = sure & ((share < -edge) | (share > 1 + edge)).any(-1)
  if outside.sum() <= most * sure.sum():
    return
  frame, joint = np.argwhere(outside)[0]
  x, y = keypoints.frames[frame, joint, :2].tolist()
  width, height = keypoints.size
  raise errors.DataError(
    f"{outside.sum() / sure.sum():.0%} of the joints of {keypoints.name!r} are "
    f"outside the picture of {width}x{height}, such as "
    f"{keypoints.skeleton.joints[joint]} at ({x:.4g}, {y:.4g}) in frame "
    f"{frame + 1}",
    expected="joints inside the picture",
    hint="Check --size, or the size that the file states",
  )
