"""OpenPose's JSON, one file per frame: `<clip>_%012d_keypoints.json`.

A file is {"version": 1.3, "people": [...]}. A person has pose_keypoints_2d (25
points of BODY_25 or 18 of COCO-18; the first 8 are the same),
face_keypoints_2d (iBUG's 68 points and two pupils), hand_left_keypoints_2d and
hand_right_keypoints_2d (21 points each). Points are x, y in pixels and a
confidence, (0, 0, 0) if not seen; a list is empty if its detector was off. Keys
of version 1.0 lack `_2d`. "people" is empty if nobody was seen; its order is
arbitrary. Confidences above 1 occur.

prompt2sign50 takes the first 8 points of the body and the hands. dwpose128
takes COCO-18's points and the face too, without the pupils. The dialects of
other tools are read too (`openpose_people.py`).

Source: github.com/CMU-Perceptual-Computing-Lab/openpose, doc/02_output.md.
"""

import array
import functools
import os
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips, errors
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import DWPOSE128, PROMPT2SIGN50, Skeleton
from signllm_jax.formats import (
  frame_files,
  frame_io,
  openpose_frame,
  openpose_people,
  units,
)
from signllm_jax.formats.frame_files import FrameFiles

NAMING = frame_files.Naming(12, 0, "_keypoints.json")


def find(root: str | os.PathLike) -> list[FrameFiles]:
  """Finds the clips in a folder and its subfolders, by folder and prefix.

  A folder may hold the files of one clip or of many.
  """
  return frame_files.find(root, NAMING)


def read(
  source: FrameFiles | str | os.PathLike | Sequence[str | os.PathLike],
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  name: str = "",
  skeleton: Skeleton = PROMPT2SIGN50,
) -> clips.Keypoints:
  """Reads a clip; of several people the signer (`detections.select_signer`).

  A frame number without a file, between the first and the last, is a frame
  without detections. A joint with confidence 0 is all 0. A file of a detector
  without faces has none in dwpose128 either: they are not seen.

  Args:
    source: a clip of `find`, a folder with the files of one clip, or the files.
    fps: frames per second, which the files lack.
    size: width and height of the image, which they lack too, except those of
      ControlNet. Points in shares of it are converted to pixels.
    name: the clip's name; that of its files if not given.
    skeleton: prompt2sign50, or dwpose128 with legs, eyes, ears and face.

  Raises:
    DataError: no files, or those of several clips; a file is too large, not
      UTF-8, not JSON, of another version or skeleton, repeats a key, or has
      invalid numbers; the points are shares of a picture of unknown size. The
      content of unused keys is not checked.
    StorageError: a file cannot be read.
  """
  _check_skeleton(skeleton, "OpenPose's JSON as asked for")
  files = frame_files.one_clip(source, NAMING)
  numbers = array.array("d")  # 8 bytes each; a list takes 32
  counts = []
  for path, data in frame_io.read_all(files):
    count, canvas = openpose_people.append(data, path, numbers, skeleton)
    counts.append(count)
    if canvas is not None and size not in (None, canvas):
      raise errors.DataError(
        f"a canvas of {canvas[0]}x{canvas[1]}",
        path=path,
        expected=f"{size[0]}x{size[1]}, as of the frames before or as given",
      )
    size = size or canvas
  values = np.frombuffer(numbers).reshape(-1, skeleton.num_joints, 3)
  place = os.path.join(files.folder, f"{files.prefix}*{files.naming.tail}")
  openpose_people.check_body_25(values, place)
  return frame_io.to_keypoints(
    files,
    units.to_pixels(values, size, place, skeleton),
    counts,
    expected="pixels and a confidence",
    fps=fps,
    size=size,
    name=name,
    skeleton=skeleton,
  )


def _check_skeleton(skeleton: Skeleton, what: str) -> None:
  if skeleton != PROMPT2SIGN50:
    skeleton_lib.check_same(skeleton, DWPOSE128, what)


def write(folder: str | os.PathLike, keypoints: clips.Keypoints) -> None:
  """Writes one file per frame, in version 1.3.

  A frame without a visible joint has no people. `read` returns the same bits;
  fps, size, text and gloss are not stored. dwpose128 has the face of 70 points,
  whose pupils are not seen, and in BODY_25 the middle of the hips.

  Args:
    folder: the folder to create, or to replace if it holds only this clip.
    keypoints: the clip; its name becomes that of the files.

  Raises:
    DataError: the keypoints have invalid values or another skeleton, or the
      name cannot be part of a file name.
    StorageError: the folder holds other files, or cannot be written.
  """
  _check_skeleton(keypoints.skeleton, f"clip {keypoints.name!r}")
  frame_io.check_frames(folder, keypoints.frames, keypoints.skeleton)
  prefix = f"{keypoints.name}_" if keypoints.name else ""
  form = functools.partial(openpose_frame.to_json, keypoints.skeleton)
  frame_io.write(folder, prefix, map(form, keypoints.frames), NAMING)
