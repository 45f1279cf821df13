"""`.npz`: clips in one file without loss, readable by NumPy alone.

Members, for N clips with sum(T) frames in all: frames [sum T, J, D] float32,
valid [sum T, J] bool, offsets [N + 1] int64 (clip i is frames offsets[i] to
offsets[i + 1]), fps [N] float64 and name, text, gloss [N] unicode. Of another
skeleton than prompt2sign50, skeleton [1] unicode names it.
"""

import itertools
import os
import zipfile
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import atomic_files, clips, errors, limits
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton
from signllm_jax.formats import archives, plain_arrays

_BLOCK = 1 << 16  # frames, or letters, checked at a time
_SKELETON = "skeleton"  # a member of files of another skeleton than the default
_MEMBERS = ("frames", "valid", "offsets", "fps", "name", "text", "gloss")
_TEXTS = ("name", "text", "gloss", _SKELETON)


def _form(key: str, skeleton: Skeleton) -> tuple[str, tuple[int, ...]]:
  """Dtype and trailing shape of a member."""
  if key in _TEXTS:
    return "U", ()
  return {
    "frames": ("f4", skeleton.shape),
    "valid": ("b1", (skeleton.num_joints,)),
    "offsets": ("i8", ()),
    "fps": ("f8", ()),
  }[key]


def write(path: str | os.PathLike, sequence: Sequence[clips.Clip]) -> None:
  """Writes clips to a file, atomically.

  Raises:
    DataError: a clip holds NaN or infinity, or clips are of several skeletons.
    StorageError: the file cannot be written.
  """
  skeleton = skeleton_lib.of_clips(sequence)
  joints = skeleton.num_joints
  frames = [np.zeros((0, *skeleton.shape)), *(clip.frames for clip in sequence)]
  valid = [np.zeros((0, joints)), *(clip.valid for clip in sequence)]
  arrays = {
    "frames": np.concatenate(frames).astype("<f4"),
    "valid": np.concatenate(valid).astype(bool),
    "offsets": np.cumsum([len(part) for part in frames]).astype("<i8"),
    "fps": np.array([clip.fps for clip in sequence], "<f8"),
  }
  for key in ("name", "text", "gloss"):
    arrays[key] = np.array([getattr(clip, key) for clip in sequence], "<U")
  if skeleton != PROMPT2SIGN50:
    arrays[_SKELETON] = np.array([skeleton.name], "<U")
  _check_finite(arrays["frames"], path)
  with (
    atomic_files.atomic_write(path) as temporary,
    temporary.open("wb") as file,
  ):
    np.savez(file, allow_pickle=False, **arrays)


def read(path: str | os.PathLike) -> list[clips.Clip]:
  """Reads all clips of a file.

  Sizes and types are checked before anything is unpacked (`archives`), so a
  hostile file takes no more memory than it has bytes, or `limits.MAX_PACKED`,
  and runs no code.

  Raises:
    DataError: the file is missing, damaged, or holds other members, types or
      shapes than `write` makes, a rate that is none, or more than the limits.
    StorageError: it cannot be read.
  """
  with archives.open_archive(path) as archive:
    skeleton = _skeleton_of(archive, path)
    arrays = _unpack(archive, skeleton, path)
  offsets = arrays["offsets"]
  n = len(offsets) - 1
  if (
    n < 0
    or offsets[0] != 0
    or (np.diff(offsets) < 0).any()
    or any(len(arrays[key]) != offsets[-1] for key in ("frames", "valid"))
    or any(len(arrays[key]) != n for key in ("fps", "name", "text", "gloss"))
  ):
    raise errors.DataError(
      "offsets and lengths of the members do not agree",
      path=path,
      expected="offsets that rise from 0 to the number of frames",
    )
  _check_finite(arrays["frames"], path)
  _check_rates(arrays["fps"], path)
  return [
    clips.Clip(
      arrays["frames"][start:end],
      arrays["valid"][start:end],
      float(arrays["fps"][i]),
      *(str(arrays[key][i]) for key in ("name", "text", "gloss")),
      skeleton=skeleton,
    )
    for i, (start, end) in enumerate(itertools.pairwise(offsets))
  ]


def _skeleton_of(archive: zipfile.ZipFile, path) -> Skeleton:
  """The skeleton that a file names."""
  name = f"{_SKELETON}.npy"
  members = [each for each in archive.infolist() if each.filename == name]
  if not members:
    return PROMPT2SIGN50
  place = f"{os.fspath(path)}: {name}"
  header = archives.member_header(archive, members[0], place)
  _check_header(header, name, PROMPT2SIGN50, path)
  data = archives.unpack(archive, members[0], place)
  _check_unicode(data, header, place)
  names = plain_arrays.to_array(data, header, place).tolist()
  if len(names) != 1 or names[0] not in skeleton_lib.SKELETONS:
    raise errors.DataError(
      f"skeletons {names[:5]}"[:300],
      path=place,
      expected="one of " + ", ".join(skeleton_lib.SKELETONS),
    )
  return skeleton_lib.get(names[0])


def _unpack(
  archive: zipfile.ZipFile, skeleton: Skeleton, path
) -> dict[str, np.ndarray]:
  members = [
    each
    for each in archive.infolist()
    if skeleton == PROMPT2SIGN50 or each.filename != f"{_SKELETON}.npy"
  ]
  found = sorted(member.filename for member in members)
  if found != sorted(f"{key}.npy" for key in _MEMBERS):
    raise errors.DataError(
      f"members {', '.join(found[:10])[:300]}",
      path=path,
      expected=", ".join(f"{key}.npy" for key in _MEMBERS),
    )
  _check_size(members, path)
  headers = {}  # all are checked before any array is unpacked
  for member in members:
    place = f"{os.fspath(path)}: {member.filename}"
    headers[member.filename] = archives.member_header(archive, member, place)
    _check_header(headers[member.filename], member.filename, skeleton, path)
  arrays = {}
  for member in members:
    place = f"{os.fspath(path)}: {member.filename}"
    header = headers[member.filename]
    data = archives.unpack(archive, member, place)
    key = member.filename.removesuffix(".npy")
    arrays[key] = plain_arrays.to_array(data, header, place)
    if "U" in header.kind:
      _check_unicode(data, header, place)
  return arrays


def _check_size(members: list[zipfile.ZipInfo], path) -> None:
  """Refuses more than the limits, of packed members and of all."""
  for most, some in (
    (
      limits.MAX_PACKED,
      [each for each in members if each.compress_type != zipfile.ZIP_STORED],
    ),
    (limits.MAX_ARCHIVE, members),
  ):
    size = sum(member.file_size for member in some)
    if size > most:
      raise errors.DataError(
        f"{size} bytes unpacked",
        path=path,
        expected=f"at most {most}",
        hint="Store it without compression, or in several files",
      )


def _check_header(
  header: plain_arrays.Header, name: str, skeleton: Skeleton, path
) -> None:
  """Refuses an array of another type or shape, or of too many clips."""
  kind, tail = _form(name.removesuffix(".npy"), skeleton)
  dtype = np.dtype(header.kind)
  right = dtype.kind == "U" if kind == "U" else dtype == np.dtype(kind)
  if (
    not right
    or header.shape[1:] != tail
    or len(header.shape) != 1 + len(tail)
    or (header.fortran and tail)
  ):
    raise errors.DataError(
      f"{name} is {header.kind} of shape {header.shape}",
      path=path,
      expected=f"{kind} of shape {('any', *tail)} ({skeleton.name})",
    )
  if kind == "U" and dtype.itemsize > 4 * limits.MAX_TEXT:
    raise errors.DataError(
      f"{name} has texts of {dtype.itemsize // 4} letters",
      path=path,
      expected=f"at most {limits.MAX_TEXT}",
    )
  if not tail and header.shape[0] > limits.MAX_CLIPS + 1:
    raise errors.DataError(
      f"{name} is of {header.shape[0]} clips",
      path=path,
      expected=f"at most {limits.MAX_CLIPS}",
    )


def _check_unicode(
  data: bytearray, header: plain_arrays.Header, place: str
) -> None:
  """Refuses codes of which NumPy would make invalid strings."""
  order = np.dtype(header.kind).byteorder
  codes = np.frombuffer(
    data, np.dtype("u4").newbyteorder(order), offset=header.start
  )
  for start in range(0, len(codes), _BLOCK):
    block = codes[start : start + _BLOCK]
    if (block > 0x10FFFF).any() or (block >> 11 == 0xD800 >> 11).any():
      raise errors.DataError("not Unicode", path=place)


def _check_rates(rates: np.ndarray, path) -> None:
  for number, fps in enumerate(rates.tolist(), 1):
    if not limits.is_rate(fps):
      raise errors.DataError(
        f"clip {number} has {fps:g} frames a second",
        path=path,
        expected=limits.RATES,
      )


def _check_finite(frames: np.ndarray, path) -> None:
  for start in range(0, len(frames), _BLOCK):
    finite = np.isfinite(frames[start : start + _BLOCK]).all((1, 2))
    if not finite.all():
      raise errors.DataError(
        "NaN or infinity",
        path=path,
        frame=start + int(np.argmin(finite)) + 1,
        expected="finite numbers (frames are counted over all clips)",
      )
