"""Reads, checks and writes the JSON frame files of OpenPose and DWPose."""

import json
import os
import pathlib
import re
import shutil
import uuid
from collections.abc import Iterable, Iterator, Sequence

import msgspec
import numpy as np

from signllm_jax.core import clips, errors, foreign_files, limits
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton
from signllm_jax.formats import detections, frame_files
from signllm_jax.formats.frame_files import FrameFiles


def read(path: str) -> bytes:
  """Reads a frame file of at most `limits.MAX_FRAME_FILE` bytes.

  Threads do not pay: parsing holds Python's lock, and a reader waits 5 ms for
  it, a hundred times the time of a file. Several processes read several clips.

  Raises:
    DataError, StorageError: as `foreign_files.read`.
  """
  return foreign_files.read(path, limits.MAX_FRAME_FILE)


def read_all(files: FrameFiles) -> Iterator[tuple[str, bytes]]:
  """Reads the frame files of a clip; yields path and content of each.

  Raises:
    DataError: as `read`, or the clip is too long.
    StorageError: as `read`.
  """
  files.rows()  # refuses a clip that is too long before it is read
  for path in files.paths:
    yield path, read(path)


def fixed_length(count: int) -> msgspec.Meta:
  """Constrains a list to a number of entries."""
  return msgspec.Meta(min_length=count, max_length=count)


def count_keys(people: Iterable[msgspec.Struct]) -> int:
  """Counts the keys of decoded people that their JSON has."""
  keys = 0
  for person in people:
    fields = msgspec.structs.astuple(person)
    keys += len(fields) - fields.count(msgspec.UNSET)
  return keys


def check_keys(data: bytes, keys: int) -> None:
  """Refuses an object with a repeated key, of which decoders keep the last.

  Args:
    data: a JSON text that a decoder has accepted.
    keys: number of keys that the decoder found and knows. If the text has only
      the quotes that these need, it has no other key or string and so no
      repeated key: the usual case costs one count.

  Raises:
    ValueError: a key is repeated, or the text is not UTF-8.
    RecursionError: the text is nested too deeply.
  """
  if data.count(b'"') != 2 * keys:
    json.loads(data.decode(), object_pairs_hook=foreign_files.distinct)


_SNIFFED = 65536  # bytes that tell the tool
_NO_NUMBER = re.compile(
  rb"(?<=[\[,:\s])[+-]?(nan|inf(inity)?)\b", re.IGNORECASE
)


def fault(error: Exception, data: bytes) -> str:
  """Describes why a frame file was not decoded; NaN is called NaN.

  Args:
    error: of the decoder.
    data: content of the file.
  """
  if isinstance(error, msgspec.DecodeError) and (
    found := _NO_NUMBER.search(data)
  ):
    return f"{found[0].decode()} at byte {found.start()}, no number of JSON"
  return str(error)


def tool_of(clip: FrameFiles, usual: frame_files.Naming) -> str:
  """The tool that wrote JSON frame files, by the first of them.

  Args:
    clip: files whose names do not tell.
    usual: naming of DWPose.

  Returns:
    `dwpose`, `openpose` for OpenPose's frames under such names, or an empty
    text. Files that are named as DWPose names them are its own, also if the
    first is damaged.
  """
  with foreign_files.open_file(clip.paths[0]) as file:
    start = file.read(_SNIFFED)
  if b'"num_persons"' in start or b'"person_0"' in start:
    return "dwpose"
  if b'"people"' in start:
    return "openpose"
  named = clip.naming == usual and clip.prefix[-1:] in ("", "_")
  return "dwpose" if named else ""


def path_of(files: FrameFiles, counts: Sequence[int], index: int) -> str:
  """The file of a detection.

  Args:
    files: of the clip.
    counts: detections in each file.
    index: of the detection.
  """
  return files.paths[int(np.searchsorted(np.cumsum(counts), index, "right"))]


def to_keypoints(
  files: FrameFiles,
  values: np.ndarray,
  counts: Sequence[int],
  *,
  expected: str,
  fps: float,
  size: tuple[int, int] | None,
  name: str,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> clips.Keypoints:
  """Checks the detections of a clip and selects those of the signer.

  Args:
    files: of the clip.
    values: [M, J, 3] x, y in pixels and confidence of all detections.
    counts: detections in each file.
    expected: the correct form of a joint, for messages.
    fps: frames per second.
    size: width and height of the image.
    name: the clip's name; that of its files if empty.
    skeleton: of the joints.

  Raises:
    DataError: a detection has invalid values.
  """
  if invalid := detections.first_invalid(values, skeleton):
    index, problem = invalid
    raise errors.DataError(
      problem, path=path_of(files, counts, index), expected=expected
    )
  rows, t = files.rows()
  frames = detections.select_signer(
    detections.clean(values), np.repeat(rows, counts), t, skeleton
  )
  name = name or files.name
  return clips.Keypoints(frames, fps, size, name, skeleton=skeleton)


def check_frames(
  folder: str | os.PathLike,
  frames: np.ndarray,
  skeleton: Skeleton = PROMPT2SIGN50,
) -> None:
  """Refuses keypoints [T, J, 3] with invalid values, before they are written.

  Raises:
    DataError: names the frame.
  """
  if invalid := detections.first_invalid(frames, skeleton):
    index, problem = invalid
    raise errors.DataError(
      problem, path=folder, frame=index + 1, expected="pixels and a confidence"
    )


def write(
  folder: str | os.PathLike,
  prefix: str,
  frames: Iterable[bytes],
  naming: frame_files.Naming,
) -> None:
  """Writes a clip's frames, numbered without gaps.

  The folder appears complete. It replaces an empty one or one that holds only
  frames of this clip; other folders are not touched.

  Args:
    folder: the folder to create.
    prefix: `<clip>_`, or empty.
    frames: the content of each file.
    naming: of the files.

  Raises:
    DataError: the clip's name cannot be part of a file name.
    StorageError: the folder holds other files, or cannot be written.
  """
  folder = pathlib.Path(folder)
  if "/" in prefix or "\0" in prefix or len(os.fsencode(prefix)) > 200:
    raise errors.DataError(
      f"clip name {prefix[:-1][:60]!r}",
      path=folder,
      expected="one that can stand in a file name",
    )
  temporary = folder.with_name(f".{folder.name}.{uuid.uuid4().hex}")
  try:
    present = os.listdir(folder) if folder.exists() else []
    groups = frame_files.group(folder, present, naming)
    own = sum(len(files.numbers) for files in groups if files.prefix == prefix)
    if len(present) != own:
      raise errors.StorageError(
        "the folder holds other files",
        path=folder,
        hint="Name a new or an empty one",
      )
    temporary.mkdir()
    for number, data in enumerate(frames, naming.first):
      (temporary / naming.file_name(prefix, number)).write_bytes(data)
    if present:
      previous = temporary.with_name(f"{temporary.name}.old")
      folder.rename(previous)
      temporary.rename(folder)
      shutil.rmtree(previous)
    else:
      temporary.rename(folder)
  except OSError as error:
    raise errors.StorageError(f"cannot write: {error}", path=folder) from error
  finally:
    shutil.rmtree(temporary, ignore_errors=True)
