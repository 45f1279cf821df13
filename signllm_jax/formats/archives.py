"""Archives of plain arrays, .npz: read within limits.

zipfile inflates whatever a member holds. Here the size that the shape of an
array needs is compared with the size of its member before a byte of it is
unpacked, and members that are encrypted or packed in unusual ways are refused.
"""

import contextlib
import functools
import os
import struct
import zipfile
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np

from signllm_jax.core import errors, foreign_files, limits
from signllm_jax.formats import plain_arrays

_END = struct.Struct("<4s4H2LH")  # of a zip file
_CHUNK = 1 << 20  # bytes unpacked at a time


@contextlib.contextmanager
def open_archive(
  path: str | os.PathLike, form: str = ".npz file"
) -> Iterator[zipfile.ZipFile]:
  """Opens a .npz, or another zip file.

  Args:
    path: the file.
    form: what it should be, for messages.

  Raises:
    DataError: the file is missing, no regular one, no zip, lists too many
      members, or would unpack to more than the limits.
    StorageError: it cannot be read.
  """
  with foreign_files.open_file(path) as file:
    size = os.fstat(file.fileno()).st_size
    _check_directory(file, size, path, form)
    with foreign_files.parsing(path, form, "Make it anew"):
      archive = zipfile.ZipFile(file)
    with archive:
      _check_sizes(archive.infolist(), size, path, form)
      yield archive


def member_header(
  archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str
) -> plain_arrays.Header:
  """The header of a member, whose array has the size of the member.

  Raises:
    DataError: it is encrypted, packed otherwise than by deflate, no array, or
      its shape needs another number of bytes.
  """
  if not member.filename.endswith(".npy"):
    raise errors.DataError("not an array", path=place, expected="NAME.npy")
  if member.flag_bits & 1 or member.compress_type not in (
    zipfile.ZIP_STORED,
    zipfile.ZIP_DEFLATED,
  ):
    raise errors.DataError(
      "encrypted, or packed otherwise than by deflate",
      path=place,
      expected="a member as NumPy writes it",
    )
  with (
    foreign_files.parsing(place, ".npz file", "Make it anew"),
    archive.open(member) as file,
  ):
    data = file.read(plain_arrays.MAX_HEADER)
  header = plain_arrays.parse_header(data, place)
  stored = member.compress_type == zipfile.ZIP_STORED
  if member.file_size != header.size or (
    stored and member.compress_size != header.size
  ):
    raise errors.DataError(
      f"{member.file_size} bytes for {header.kind} of shape {header.shape}",
      path=place,
      expected=f"{header.size}",
    )
  return header


def unpack(
  archive: zipfile.ZipFile, member: zipfile.ZipInfo, place: str
) -> bytearray:
  """The bytes of a member whose size was checked; each is held once.

  Raises:
    DataError: it is damaged.
  """
  data, at = bytearray(member.file_size), 0
  with (
    foreign_files.parsing(place, ".npz file", "Make it anew"),
    archive.open(member) as file,
  ):
    while chunk := file.read(_CHUNK):
      data[at : at + len(chunk)] = chunk
      at += len(chunk)
  if at != member.file_size:
    raise errors.DataError(
      f"{at} bytes", path=place, expected=f"{member.file_size}"
    )
  return data


def member_shapes(
  path: str | os.PathLike,
) -> dict[str, tuple[int, ...] | errors.DataError]:
  """Shape of each array of floats of a .npz, or its fault, by name.

  Raises:
    DataError: as `open_archive`, or the file has no members.
    StorageError: it cannot be read.
  """
  shapes = {}
  with open_archive(path) as archive:
    for member in archive.infolist():
      name = member.filename.removesuffix(".npy")
      try:
        shapes[name] = _float_shape(archive, member, path)
      except errors.DataError as error:
        shapes[name] = error
  if not shapes:
    raise errors.DataError("no arrays", path=path, expected="one or more")
  return shapes


def read_member(path: str | os.PathLike, name: str) -> np.ndarray:
  """An array of floats of a .npz; the last one is kept for the next call.

  Raises:
    DataError: the file or the array is missing or damaged, or the array is not
      a plain one of floats or larger than `limits.MAX_ARRAY`.
    StorageError: the file cannot be read.
  """
  return _load_member(os.fspath(path), name, foreign_files.stamp(path))


@functools.lru_cache(maxsize=1)
def _load_member(path: str, name: str, stamp: tuple[int, int]) -> np.ndarray:
  del stamp  # a file that has changed is read again
  place = f"{path}: {name}.npy"
  with open_archive(path) as archive:
    if f"{name}.npy" not in archive.NameToInfo:
      raise errors.DataError("no such array", path=place)
    member = archive.getinfo(f"{name}.npy")
    _float_shape(archive, member, path)
    return plain_arrays.parse(unpack(archive, member, place), place)


def _float_shape(
  archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: str | os.PathLike
) -> tuple[int, ...]:
  """Shape of a member that is an array of floats of a size within limits."""
  place = f"{os.fspath(path)}: {member.filename}"
  header = member_header(archive, member, place)
  plain_arrays.check_floats(header, place)
  if header.size > limits.MAX_ARRAY:
    raise errors.DataError(
      f"{header.size} bytes for shape {header.shape}",
      path=place,
      expected=f"at most {limits.MAX_ARRAY}",
    )
  return header.shape


def _check_sizes(
  members: list[zipfile.ZipInfo],
  size: int,
  path: str | os.PathLike,
  form: str,
) -> None:
  """Refuses members that share bytes, or unpack to more than the limits."""
  stored = sum(member.compress_size for member in members)
  if stored > size:
    raise errors.DataError(
      f"members of {stored} bytes in a file of {size}",
      path=path,
      expected=f"a whole {form}",
    )
  packed = sum(
    member.file_size
    for member in members
    if member.compress_type != zipfile.ZIP_STORED
  )
  most = limits.MAX_PACKED + limits.MAX_RATIO * size
  if packed > most:
    raise errors.DataError(
      f"{packed} bytes unpacked", path=path, expected=f"at most {most}"
    )


def _check_directory(
  file: BinaryIO, size: int, path: str | os.PathLike, form: str
) -> None:
  """Refuses a list of members that would take much memory when read."""
  tail = min(size, _END.size + (1 << 16))
  file.seek(size - tail)
  end = file.read(tail)
  at = end.rfind(b"PK\5\6")
  if at < 0 or len(end) - at < _END.size:
    raise errors.DataError(
      f"not a whole {form} (no list of members)",
      path=path,
      hint="Make it anew",
    )
  listed = _END.unpack_from(end, at)[5]
  if listed > limits.MAX_DIRECTORY:
    raise errors.DataError(
      f"a list of members of {listed} bytes",
      path=path,
      expected=f"at most {limits.MAX_DIRECTORY}",
    )
  file.seek(0)
