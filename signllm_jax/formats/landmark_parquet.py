"""MediaPipe's landmarks as Parquet, of Google's two corpora of ASL.

  isolated signs   a file a clip, a row a point: frame, type (face, left_hand,
                   pose or right_hand), landmark_index, x, y, z
  fingerspelling   a file with many clips, a row a frame: sequence_id (the
                   index), frame, x_pose_0 ... z_right_hand_20

x and y are shares of the picture; a part that was not seen is NaN. There is no
visibility: a joint that was seen has confidence 1. z and face are left out.

Source: kaggle.com/competitions/asl-signs and asl-fingerspelling, data.
"""

import functools
import os
from typing import Any

import numpy as np

from signllm_jax.core import clips, errors, extras, foreign_files, limits
from signllm_jax.formats import detections, landmarks, mediapipe_arrays

_TYPES = ("pose", "left_hand", "right_hand")
_COUNTS = {"pose": 33, "left_hand": 21, "right_hand": 21}
_NUMBERED = [  # `mediapipe_arrays.POINTS` by part and MediaPipe's number
  *(("pose", number) for number in mediapipe_arrays.BODY),
  *(("left_hand", number) for number in range(_COUNTS["left_hand"])),
  *(("right_hand", number) for number in range(_COUNTS["right_hand"])),
]
_MAX_ROWS = 5_000_000  # of a file; fingerspelling's have some 200,000
_LONG = ("frame", "type", "landmark_index", "x", "y")


def read_isolated(
  path: str | os.PathLike, *, fps: float, size: tuple[int, int]
) -> clips.Keypoints:
  """Reads a clip of isolated signs.

  Args:
    path: the file.
    fps: frames per second, which it does not store.
    size: width and height of the picture in pixels, likewise.

  Raises:
    UsageError: pyarrow is not installed.
    DataError: the file is missing, damaged, of another form, or too long.
    StorageError: it cannot be read.
  """
  stamp = foreign_files.stamp(path, limits.MAX_ARCHIVE)
  table = _read(os.fspath(path), _LONG, stamp)
  kinds = table["type"]
  frames, rows = np.unique(_integers(table["frame"], path), return_inverse=True)
  if not len(frames):
    raise errors.DataError("no frames", path=path)
  t = int(frames[-1] - frames[0]) + 1
  _check_length(t, path)
  at = (frames - frames[0])[rows]
  share = np.full((t, len(mediapipe_arrays.POINTS), 2), np.nan)
  index = {
    (kind, number): place for place, (kind, number) in enumerate(_NUMBERED)
  }
  numbers = _integers(table["landmark_index"], path)
  for kind in _TYPES:
    of_kind = kinds == kind
    wanted = np.array(
      [index.get((kind, n), -1) for n in range(_COUNTS[kind])], np.int64
    )
    number = numbers[of_kind]
    if ((number < 0) | (number >= len(wanted))).any():
      raise errors.DataError(
        f"landmark_index of {kind} beyond {len(wanted) - 1}", path=path
      )
    place = wanted[number]
    used = place >= 0
    for axis, name in enumerate(("x", "y")):
      values = table[name][of_kind].astype(np.float64)
      share[at[of_kind][used], place[used], axis] = values[used]
  return _to_keypoints(share, path, fps, size)


def read_sequence(
  path: str | os.PathLike,
  sequence: int,
  *,
  fps: float,
  size: tuple[int, int],
) -> clips.Keypoints:
  """Reads a clip of fingerspelling; raises as `read_isolated`.

  The numbers of the last file are kept, as clips are read file by file.
  """
  columns = [
    f"{axis}_{kind}_{number}" for kind, number in _NUMBERED for axis in "xy"
  ]
  stamp = foreign_files.stamp(path, limits.MAX_ARCHIVE)
  table = _read(os.fspath(path), ("sequence_id", "frame", *columns), stamp)
  chosen = np.flatnonzero(table["sequence_id"] == sequence)
  if not len(chosen):
    raise errors.DataError(f"no sequence {sequence}", path=path)
  _check_length(len(chosen), path)
  frame = _integers(table["frame"][chosen], path)
  chosen = chosen[np.argsort(frame, kind="stable")]
  values = np.stack([table[name][chosen] for name in columns], -1)
  shape = (len(chosen), len(mediapipe_arrays.POINTS), 2)
  return _to_keypoints(
    values.astype(np.float64).reshape(shape), path, fps, size
  )


def _to_keypoints(
  share: np.ndarray,
  path: str | os.PathLike,
  fps: float,
  size: tuple[int, int],
) -> clips.Keypoints:
  """Keypoints of points [T, N, 2] in shares of the picture; NaN is not seen."""
  seen = np.asarray(np.isfinite(share).all(-1))
  limit = 2 * limits.MAX_PIXEL
  pixels = np.where(seen[..., None], share, 0).clip(-limit, limit) * size
  joints = landmarks.to_joints(
    mediapipe_arrays.POINTS, pixels, np.asarray(seen, np.float32)
  )
  if joints is None:
    raise AssertionError("points that lack a joint")
  if bad := detections.first_invalid(joints):
    at, problem = bad
    raise errors.DataError(
      problem, path=path, frame=at + 1, expected="shares of the picture"
    )
  return clips.Keypoints(detections.clean(joints), fps, size)


def _check_length(t: int, path: str | os.PathLike) -> None:
  if t > limits.MAX_FRAMES:
    raise errors.DataError(
      f"{t} frames", path=path, expected=f"at most {limits.MAX_FRAMES}"
    )


def _integers(values: np.ndarray, path: str | os.PathLike) -> np.ndarray:
  if values.dtype.kind not in "iu":
    raise errors.DataError(
      f"numbers of type {values.dtype}", path=path, expected="integers"
    )
  return values.astype(np.int64)


@functools.lru_cache(maxsize=1)
def _read(
  path: str, columns: tuple[str, ...], stamp: tuple[int, int]
) -> dict[str, np.ndarray]:
  """Columns of a file as arrays.

  Args:
    path: the file.
    columns: that it must have.
    stamp: of the file: part of the cache's key.
  """
  del stamp
  parquet = _parquet()
  with foreign_files.parsing(path, "Parquet file"):
    file = parquet.ParquetFile(path)
    names = set(file.schema_arrow.names)
    count = file.metadata.num_rows
  missing = [name for name in columns if name not in names]
  if missing or count > _MAX_ROWS:
    raise errors.DataError(
      f"no column {missing[0]!r}" if missing else f"{count} rows",
      path=path,
      expected=", ".join(columns[:6])
      + f" of at most {_MAX_ROWS} rows of landmarks",
    )
  with foreign_files.parsing(path, "Parquet file"):
    table = file.read(columns=list(columns), use_threads=False)
    found = {name: table[name].to_numpy() for name in columns}
  for name in columns:
    kind = found[name].dtype.kind
    if kind not in "iuf" and name != "type":
      raise errors.DataError(
        f"column {name!r} of type {found[name].dtype}",
        path=path,
        expected="numbers",
      )
  return found


def _parquet() -> Any:
  try:
    import pyarrow.parquet as parquet
  except ModuleNotFoundError as error:
    raise extras.not_installed("Parquet is read", error.name, "data") from error
  return parquet
