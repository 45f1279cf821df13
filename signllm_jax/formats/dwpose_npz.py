"""DWPose's .npz, one file a frame: `%08d.npz`, from 1, of dwpose128.

Members for n people: bodies (18 n, 2), body_scores (n, 18), hands (2 n, 21, 2),
all left ones first, hands_scores (2 n, 21), faces (n, 68, 2) and faces_scores
(n, 68); points and scores as in the tool's JSON (`dwpose`). Another .npz of the
same tool holds pickled Python objects. It is refused: nothing is unpickled, and
the same tool writes JSON beside it.

Source: github.com/SignLLM/Prompt2Sign, tools-new-2025.
"""

import io
import os

import numpy as np

from signllm_jax.core import clips, errors, limits, reduction
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import DWPOSE128, PROMPT2SIGN50, Skeleton
from signllm_jax.formats import (
  archives,
  dwpose,
  frame_files,
  frame_io,
  plain_arrays,
)
from signllm_jax.formats.frame_files import FrameFiles

NAMING = frame_files.Naming(8, 1, ".npz", ("npz", "results_dwpose"))
_BODY, _HAND, _FACE = 18, 21, 68  # points
_EXPECTED = "bodies, body_scores, hands, hands_scores, faces, faces_scores"


def find(root: str | os.PathLike) -> list[FrameFiles]:
  """Finds the clips in a folder and its subfolders, by folder and prefix."""
  return frame_files.find(root, NAMING)


def read(
  files: FrameFiles,
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> clips.Keypoints:
  """Reads a clip, as `dwpose.read` does.

  Args:
    files: of the clip.
    fps: frames per second, which the files lack.
    size: width and height of the image, which they lack too.
    skeleton: dwpose128, or a smaller one, all of whose joints it has.

  Raises:
    DataError: a file is damaged, pickled, or of another form; names it.
    StorageError: a file cannot be read.
  """
  files.rows()  # refuses a clip that is too long before it is read
  people = [_people(_members(path), path) for path in files.paths]
  values = np.concatenate(people)
  if size is not None:
    values[..., :2] *= size
  keypoints = frame_io.to_keypoints(
    files,
    values,
    list(map(len, people)),
    expected="points inside the image",
    fps=fps,
    size=size,
    name="",
    skeleton=DWPOSE128,
  )
  return reduction.reduce(keypoints, skeleton)


def write(folder: str | os.PathLike, keypoints: clips.Keypoints) -> None:
  """Writes one file per frame, with one person or none.

  As lossy as `dwpose.write`. The files are equal, bit by bit, where the
  keypoints are.

  Args:
    folder: the folder to create, or to replace if it holds only such a clip.
    keypoints: of dwpose128, or of prompt2sign50, whose other joints are not
      seen. Without an image size x and y must be shares of the image.

  Raises:
    DataError: another skeleton, or a point far outside the image or not finite.
    StorageError: the folder holds other files, or cannot be written.
  """
  skeleton = keypoints.skeleton
  if skeleton != PROMPT2SIGN50:
    skeleton_lib.check_same(skeleton, DWPOSE128, f"clip {keypoints.name!r}")
  shares = dwpose.to_shares(folder, keypoints)
  frames = np.zeros((len(shares), DWPOSE128.num_joints, 3))
  frames[:, [DWPOSE128.joint(name) for name in skeleton.joints]] = shares
  frame_io.write(folder, "", map(_to_bytes, frames), NAMING)


def _to_bytes(frame: np.ndarray) -> bytes:
  """Content of the file of a frame [128, 3], in shares of the image."""
  seen = frame[:, 2] > 0
  people = frame[None][: int(seen.any())]
  xy = np.where(people[..., 2:] > 0, people[..., :2], -1)
  n, ends = len(people), np.cumsum([_BODY, 2 * _HAND])
  body, hands, face = np.split(xy, ends, 1)
  numbers = np.where(people[:, :_BODY, 2] > 0, np.arange(_BODY), -1.0)
  _, hands_scores, face_scores = np.split(people[..., 2], ends, 1)
  arrays = {
    "bodies": body.reshape(n * _BODY, 2),
    "body_scores": numbers.reshape(n, _BODY),
    "hands": hands.reshape(2 * n, _HAND, 2),
    "hands_scores": hands_scores.reshape(2 * n, _HAND),
    "faces": face,
    "faces_scores": face_scores,
  }
  buffer = io.BytesIO()
  np.savez(buffer, allow_pickle=False, **arrays)
  return buffer.getvalue()


def is_frame(path: str) -> bool:
  """Whether a file has the members of a frame, or only pickled ones."""
  try:
    with archives.open_archive(path) as archive:
      names = {member.filename for member in archive.infolist()}
  except errors.SignLLMError:
    return False
  return "bodies.npy" in names or "num_persons.npy" in names


def _members(path: str) -> dict[str, np.ndarray]:
  """The arrays of a file, each within the limits of a frame."""
  found = {}
  with archives.open_archive(path) as archive:
    for member in archive.infolist():
      place = f"{path}: {member.filename}"
      try:
        header = archives.member_header(archive, member, place)
      except errors.DataError as error:
        raise errors.DataError(
          str(error),
          path=path,
          expected=_EXPECTED,
          hint="The tool writes the same clip as JSON: use that folder",
        ) from error
      if header.size > limits.MAX_FRAME_FILE:
        raise errors.DataError(
          f"{header.size} bytes", path=place, expected="a frame"
        )
      data = archives.unpack(archive, member, place)
      name = member.filename.removesuffix(".npy")
      found[name] = plain_arrays.to_array(data, header, place)
  return found


def _people(arrays: dict[str, np.ndarray], path: str) -> np.ndarray:
  """The people [P, 128, 3] of a frame, in shares of the image."""
  scores = arrays.get("body_scores", np.zeros(0))
  n = len(scores)
  shapes = {
    "bodies": (n * _BODY, 2),
    "body_scores": (n, _BODY),
    "hands": (2 * n, _HAND, 2),
    "hands_scores": (2 * n, _HAND),
    "faces": (n, _FACE, 2),
    "faces_scores": (n, _FACE),
  }
  wrong = {
    key: arrays[key].shape if key in arrays else "missing"
    for key, shape in shapes.items()
    if key not in arrays or arrays[key].shape != shape
  }
  if wrong or n > limits.MAX_PEOPLE:
    raise errors.DataError(
      f"{n} people, and {wrong}"[:300],
      path=path,
      expected=f"{shapes} of at most {limits.MAX_PEOPLE} people",
    )
  confidence = [dwpose.body_confidence(row, i) for i, row in enumerate(scores)]
  hands = np.concatenate(
    [arrays["hands"], arrays["hands_scores"][..., None]], -1
  )
  body = np.concatenate(
    [
      arrays["bodies"].reshape(n, _BODY, 2),
      np.reshape(confidence, (n, _BODY, 1)),
    ],
    -1,
  )
  face = np.concatenate(
    [arrays["faces"], arrays["faces_scores"][..., None]], -1
  )
  values = np.concatenate([body, hands[:n], hands[n:], face], 1)
  return dwpose.clear_unseen(values.astype(np.float64), DWPOSE128)
