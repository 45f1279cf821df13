"""Plain arrays of floats in .npy files and in members of .npz files.

NumPy's own reader evaluates the header and allocates what it claims, and with
pickles runs code. Here the header is matched against a pattern, and its size
compared with the bytes that are there before an array is made.
"""

import functools
import math
import os
import re
import struct
import zipfile
import zlib

import numpy as np

from signllm_jax.core import errors

MAX_MEMBER = 256 << 20  # bytes of a member; 25,000 recordings of 20 frames
_MAX_HEADER = 10 + (1 << 16)  # bytes
_HEADER = re.compile(
  rb"\{\s*'descr':\s*'([<>|=]?[A-Za-z]\d*)',\s*'fortran_order':\s*(True|False),"
  rb"\s*'shape':\s*\(((?:\d{1,18}, ?)*(?:\d{1,18})?)\),?\s*\}\s*"
)
_EXPECTED = "float16, float32 or float64"
_ZIP_ERRORS = (
  zipfile.BadZipFile,
  zipfile.LargeZipFile,
  zlib.error,
  EOFError,
  ValueError,
  NotImplementedError,  # an unknown compression
  RuntimeError,  # an encrypted member
  OSError,
)


def parse(data: bytes, path: str) -> np.ndarray:
  """The array of a .npy file, a view of its bytes.

  Raises:
    DataError: it is damaged, or not a plain array of floats.
  """
  dtype, fortran, shape, start = _header(data, path)
  size = math.prod(shape) * dtype.itemsize
  if len(data) - start != size:
    raise errors.DataError(
      f"{len(data) - start} bytes of numbers",
      path=path,
      expected=f"{size} for shape {shape}",
    )
  values = np.frombuffer(data, dtype, offset=start)
  try:
    return values.reshape(shape, order="F" if fortran else "C")
  except ValueError as error:  # more dimensions than NumPy has
    raise errors.DataError(f"a shape that is none: {error}", path=path) from (
      error
    )


def to_float32(values: np.ndarray) -> np.ndarray:
  """The values as float32; infinite where they are beyond its range."""
  with np.errstate(over="ignore"):
    return values.astype(np.float32)


def member_shapes(
  path: str | os.PathLike,
) -> dict[str, tuple[int, ...] | errors.DataError]:
  """Shape of each array of a .npz, from its header, or its fault, by name.

  Raises:
    DataError: the file is missing, damaged or has no members.
  """
  shapes = {}
  try:
    with zipfile.ZipFile(path) as archive:
      for member in archive.infolist():
        name = member.filename.removesuffix(".npy")
        try:
          shapes[name] = _member_shape(archive, member, path)
        except errors.DataError as error:
          shapes[name] = error
  except _ZIP_ERRORS as error:
    raise _damaged(path, error) from error
  if not shapes:
    raise errors.DataError("no arrays", path=path, expected="one or more")
  return shapes


def read_member(path: str | os.PathLike, name: str) -> np.ndarray:
  """An array of a .npz; the last one is kept for the next call.

  Raises:
    DataError: the file or the array is missing or damaged, or the array is not
      a plain one of floats or larger than MAX_MEMBER.
    StorageError: the file cannot be examined.
  """
  try:
    changed = os.stat(path).st_mtime_ns
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  return _load_member(os.fspath(path), name, changed)


@functools.lru_cache(maxsize=1)
def _load_member(path: str, name: str, changed: int) -> np.ndarray:
  del changed  # a file that has changed is read again
  place = f"{path}: {name}.npy"
  try:
    with zipfile.ZipFile(path) as archive:
      member = archive.getinfo(f"{name}.npy")
      _member_shape(archive, member, path)
      with archive.open(member) as file:
        data = file.read(member.file_size + 1)
  except KeyError as error:
    raise errors.DataError("no such array", path=place) from error
  except _ZIP_ERRORS as error:
    raise _damaged(place, error) from error
  return parse(data, place)


def _member_shape(
  archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str | os.PathLike
) -> tuple[int, ...]:
  """Shape of a member whose header agrees with its size."""
  place = f"{os.fspath(path)}: {member.filename}"
  if not member.filename.endswith(".npy"):
    raise errors.DataError("not an array", path=place, expected="NAME.npy")
  try:
    with archive.open(member) as file:
      data = file.read(_MAX_HEADER)
  except _ZIP_ERRORS as error:
    raise _damaged(place, error) from error
  dtype, _, shape, start = _header(data, place)
  size = start + math.prod(shape) * dtype.itemsize
  if member.file_size != size or size > MAX_MEMBER:
    raise errors.DataError(
      f"{member.file_size} bytes for shape {shape}",
      path=place,
      expected=f"{size}, and at most {MAX_MEMBER}",
    )
  return shape


def _header(
  data: bytes, path: str
) -> tuple[np.dtype, bool, tuple[int, ...], int]:
  """Dtype, Fortran order, shape and length of the header of a .npy file."""
  start = 10
  if data[:8] == b"\x93NUMPY\1\0" and len(data) >= start:
    start += struct.unpack_from("<H", data, 8)[0]
  match = _HEADER.fullmatch(data[10:start])
  kind = match[1].decode() if match else ""
  if data[:1] == b"\x80" or kind.endswith("O"):
    raise errors.DataError(
      "pickled Python objects, which are never loaded",
      path=path,
      expected=_EXPECTED,
    )
  if not match or len(data) < start:
    raise errors.DataError(
      "not a whole .npy file of a plain array", path=path, expected=_EXPECTED
    )
  if not re.fullmatch(r"[<>=]?f[248]", kind):
    raise errors.DataError(
      f"an array of type {kind!r}", path=path, expected=_EXPECTED
    )
  shape = tuple(int(part) for part in match[3].split(b",") if part.strip())
  return np.dtype(kind), match[2] == b"True", shape, start


def _damaged(path: str | os.PathLike, error: Exception) -> errors.DataError:
  if isinstance(error, FileNotFoundError):
    return errors.DataError("no such file", path=path)
  return errors.DataError(f"not a whole .npz file ({error})", path=path)
