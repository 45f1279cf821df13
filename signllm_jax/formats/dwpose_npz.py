"""DWPose's .npz, one file a frame: `%08d.npz`, from 1, of dwpose128.

Members for n people: bodies (18 n, 2), body_scores (n, 18), hands (2 n, 21, 2),
all left ones first, hands_scores (2 n, 21), faces (n, 68, 2) and faces_scores
(n, 68); points and scores as in the tool's JSON (`dwpose`). Another .npz of the
same tool holds pickled Python objects. It is refused: nothing is unpickled, and
the same tool writes JSON beside it.

Source: github.com/SignLLM/Prompt2Sign, tools-new-2025.
"""

import numpy as np

from signllm_jax.core import clips, errors, limits
from signllm_jax.core.skeleton import DWPOSE128
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


def read(
  files: FrameFiles,
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
) -> clips.Keypoints:
  """Reads a clip, as `dwpose.read` does, with the face.

  Args:
    files: of the clip.
    fps: frames per second, which the files lack.
    size: width and height of the image, which they lack too.

  Raises:
    DataError: a file is damaged, pickled, or of another form; names it.
    StorageError: a file cannot be read.
  """
  files.rows()  # refuses a clip that is too long before it is read
  people = [_people(_members(path), path) for path in files.paths]
  values = np.concatenate(people)
  if size is not None:
    values[..., :2] *= size
  return frame_io.to_keypoints(
    files,
    values,
    list(map(len, people)),
    expected="points inside the image",
    fps=fps,
    size=size,
    name="",
    skeleton=DWPOSE128,
  )


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
