"""Recordings of MediaPipe Holistic as plain NumPy arrays.

Two layouts: `SIGN/RECORDING/FRAME.npy`, a file a frame, as the common tutorials
on sign recognition write it; and one `.npz` with an array (N, T, numbers) a
sign. The numbers of a frame, told apart by their count:

  258   pose 33 x (x, y, z, visibility), left hand 21 x (x, y, z), right hand
  1662  the same, with 468 x (x, y, z) of the face after the pose

x and y are shares of the picture; a part that was not seen is all zeros. The
neck is the middle of the shoulders (`landmarks.to_joints`); z is left out. A
joint of the body has its visibility as confidence, one of a seen hand 1.
Nothing is unpickled, and the size that a header claims is checked before an
array is made.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips, errors, limits
from signllm_jax.formats import (
  archives,
  detections,
  frame_io,
  landmarks,
  plain_arrays,
)

COUNTS = (258, 1662)  # numbers of a frame
_POSE, _HAND = 33, 21  # points
# Points of the pose that are joints, by MediaPipe's number.
BODY = {
  0: "NOSE",
  11: "LEFT_SHOULDER",
  12: "RIGHT_SHOULDER",
  13: "LEFT_ELBOW",
  14: "RIGHT_ELBOW",
  15: "LEFT_WRIST",
  16: "RIGHT_WRIST",
}
_HANDS = ("LEFT_HAND_LANDMARKS", "RIGHT_HAND_LANDMARKS")
POINTS = [  # those that are joints, by component and name
  *((landmarks.HOLISTIC_NOSE[0], name) for name in BODY.values()),
  *(
    point
    for hand in _HANDS
    for _, point in sorted(landmarks.HOLISTIC.items())
    if point[0] == hand
  ),
]
_FRAME = re.compile(r"(\d{1,6})\.npy", re.ASCII)


@dataclasses.dataclass(frozen=True)
class Recording:
  """The frame files of one recording.

  Attributes:
    folder: of the files.
    names: of the frame files, in the order of their numbers; may be empty.
  """

  folder: str
  names: tuple[str, ...]

  @property
  def paths(self) -> list[str]:
    """Paths of the files, in the order of the frames."""
    return [os.path.join(self.folder, name) for name in self.names]


def group(folder: str, names: Sequence[str]) -> Recording | None:
  """The recording whose frames are among the files of a folder, if any."""
  frames = [name for name in names if _FRAME.fullmatch(name)]
  frames.sort(key=lambda name: (_number(name), name))
  return Recording(folder, tuple(frames)) if frames else None


def read(
  recording: Recording, *, fps: float, size: tuple[int, int]
) -> clips.Keypoints:
  """Reads a recording, named SIGN/RECORDING after its folders.

  Args:
    recording: its files.
    fps: frames per second, which the files do not store.
    size: width and height of the picture in pixels, likewise.

  Raises:
    DataError: there are no frames, a number is missing or there twice, or a
      file is damaged, not a plain array of floats, of another length than its
      siblings, or holds numbers out of range; names the file.
    StorageError: a file cannot be read.
  """
  _check_numbers(recording)
  frames = []
  for path in recording.paths:
    frame = plain_arrays.parse(frame_io.read(path), path)
    if frame.shape not in [(count,) for count in COUNTS]:
      raise errors.DataError(
        f"an array of shape {frame.shape}",
        path=path,
        expected="258 or 1662 numbers",
      )
    if frames and len(frame) != len(frames[0]):
      raise errors.DataError(
        f"{len(frame)} numbers",
        path=path,
        expected=f"{len(frames[0])} as in {recording.names[0]}",
      )
    frames.append(plain_arrays.to_float32(frame))
  folder = pathlib.Path(recording.folder).resolve()
  return clips.Keypoints(
    _to_joints(np.stack(frames), size, recording.paths),
    fps,
    size,
    f"{folder.parent.name}/{folder.name}",
  )


def archive_counts(
  path: str | os.PathLike,
) -> dict[str, int | errors.DataError]:
  """Number of recordings of each sign of a .npz, or the fault of its array.

  Raises:
    DataError: the file is missing or not a .npz, or has no members.
  """
  counts = {}
  for sign, shape in archives.member_shapes(path).items():
    try:
      if isinstance(shape, errors.DataError):
        raise shape
      _check_shape(shape, f"{os.fspath(path)}: {sign}.npy")
      counts[sign] = shape[0]
    except errors.DataError as error:
      counts[sign] = error
  return counts


def is_archive(path: str | os.PathLike) -> bool:
  """Whether a .npz has at least one array of recordings.

  Raises:
    DataError: it is damaged.
  """
  counts = archive_counts(path).values()
  return any(isinstance(count, int) for count in counts)


def read_from_archive(
  path: str | os.PathLike,
  sign: str,
  index: int,
  *,
  fps: float,
  size: tuple[int, int],
) -> clips.Keypoints:
  """Reads a recording of a .npz, named SIGN/INDEX; as `read`.

  The array of the last sign is kept, as an archive is read in its order.

  Raises:
    DataError: there is none, its array is damaged, or it holds numbers out of
      range.
    StorageError: the file cannot be read.
  """
  recordings = _read_sign(path, sign)
  if not 0 <= index < len(recordings):
    raise errors.DataError(
      f"no recording {index} of {sign}",
      path=path,
      expected=f"below {len(recordings)}",
    )
  frames = plain_arrays.to_float32(recordings[index])
  places = [
    f"{os.fspath(path)}: {sign}/{index}, frame {at}"
    for at in range(1, len(frames) + 1)
  ]
  return clips.Keypoints(
    _to_joints(frames, size, places), fps, size, f"{sign}/{index}"
  )


def fingerprint(place: Recording | tuple[pathlib.Path, str, int]) -> bytes:
  """SHA-256 of a recording's bytes, to find copies; b"" if it has no frames.

  Args:
    place: files, or an archive, a sign and an index.

  Raises:
    DataError, StorageError: as `read` and `read_from_archive`.
  """
  digest = hashlib.sha256()
  if isinstance(place, Recording):
    for path in place.paths:
      digest.update(frame_io.read(path))
    return digest.digest() if place.names else b""
  path, sign, index = place
  digest.update(_read_sign(path, sign)[index].tobytes())
  return digest.digest()


def _number(name: str) -> int:
  return int(name.removesuffix(".npy"))


def _check_numbers(recording: Recording) -> None:
  """Refuses a recording without frames, or with a gap in their numbers."""
  numbers = [_number(name) for name in recording.names]
  if not numbers:
    raise errors.DataError(
      "an empty recording", path=recording.folder, expected="0.npy, 1.npy, ..."
    )
  for expected, (number, path) in enumerate(
    zip(numbers, recording.paths, strict=True), min(numbers[0], 1)
  ):
    if number < expected:
      raise errors.DataError(
        f"frame {number} again", path=path, expected="each number once"
      )
    if number > expected:
      raise errors.DataError(
        "no such frame",
        path=os.path.join(recording.folder, f"{expected}.npy"),
        expected="numbers without a gap, from 0 or 1 on",
      )


def _read_sign(path: str | os.PathLike, sign: str) -> np.ndarray:
  """The recordings [N, T, 258 or 1662] of a sign."""
  recordings = archives.read_member(path, sign)
  _check_shape(recordings.shape, f"{os.fspath(path)}: {sign}.npy")
  return recordings


def _check_shape(shape: tuple[int, ...], place: str) -> None:
  """Refuses an array in a .npz that does not hold recordings of a sign."""
  if (
    len(shape) != 3
    or shape[2] not in COUNTS
    or not 0 < shape[1] <= limits.MAX_FRAMES
  ):
    raise errors.DataError(
      f"an array of shape {shape}",
      path=place,
      expected="(recordings, frames, 258 or 1662)",
    )


def _to_joints(
  frames: np.ndarray, size: tuple[int, int], places: list[str]
) -> np.ndarray:
  """Joints [T, J, 3] in pixels with their confidence.

  Args:
    frames: [T, 258 or 1662] float32.
    size: width and height of the picture.
    places: [T] the file of each frame, for messages.
  """
  finite = np.isfinite(frames).all(1)
  if not finite.all():
    at = int(np.argmin(finite))
    raise errors.DataError(
      "NaN or infinity", path=places[at], expected="finite numbers"
    )
  t = len(frames)
  pose = frames[:, : 4 * _POSE].reshape(t, _POSE, 4)[:, list(BODY)]
  hands = frames[:, -6 * _HAND :].reshape(t, 2, _HAND, 3)
  seen = np.zeros((t, 2, _HAND), np.float32)
  seen[:] = (hands != 0).any((2, 3))[..., None]
  share = np.concatenate(
    [pose[..., :2], hands[..., :2].reshape(t, 2 * _HAND, 2)], 1
  )
  confidence = np.concatenate([pose[..., 3], seen.reshape(t, -1)], 1)
  wrong = ((confidence < 0) | (confidence > 1)).any(1)
  if wrong.any():
    at = int(np.argmax(wrong))
    raise errors.DataError(
      "a visibility outside 0 to 1",
      path=places[at],
      expected="pose 33 x (x, y, z, visibility) first",
    )
  limit = 2 * limits.MAX_PIXEL  # refused below, and finite in pixels
  pixels = share.clip(-limit, limit) * np.array(size, np.float32)
  joints = landmarks.to_joints(POINTS, pixels, confidence)
  if joints is None:
    raise AssertionError("points that lack a joint")
  if bad := detections.first_invalid(joints):
    at, problem = bad
    raise errors.DataError(
      problem, path=places[at], expected="shares of the picture"
    )
  return detections.clean(joints)
