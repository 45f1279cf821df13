"""Plain arrays in .npy files.

NumPy's own reader evaluates the header and allocates what it claims, and with
pickles runs code. Here the header is matched against a pattern, and the size
that its shape needs compared with the bytes that are there.
"""

import math
import re
import struct
from typing import NamedTuple

import numpy as np

from signllm_jax.core import errors, foreign_files

MAX_HEADER = 10 + (1 << 16)  # bytes
_HEADER = re.compile(
  rb"\{\s*'descr':\s*'([<>|=]?[A-Za-z]\d{0,9})',\s*'fortran_order':\s*"
  rb"(True|False),\s*'shape':\s*\(((?:\d{1,18}, ?)*(?:\d{1,18})?)\),?\s*\}\s*"
)
_FLOATS = "float16, float32 or float64"


class Header(NamedTuple):
  """The header of a .npy file."""

  kind: str  # as NumPy writes it, e.g. <f4
  fortran: bool
  shape: tuple[int, ...]
  start: int  # its own bytes

  @property
  def size(self) -> int:
    """Bytes of the whole file."""
    return self.start + math.prod(self.shape) * np.dtype(self.kind).itemsize


def parse(data: bytes | bytearray, path: str) -> np.ndarray:
  """The array of a .npy file of floats, a view of its bytes.

  Raises:
    DataError: it is damaged, or not a plain array of floats.
  """
  header = parse_header(data[:MAX_HEADER], path)
  check_floats(header, path)
  if len(data) != header.size:
    raise errors.DataError(
      f"{len(data) - header.start} bytes of numbers",
      path=path,
      expected=f"{header.size - header.start} for shape {header.shape}",
    )
  return to_array(data, header, path)


def to_array(data: bytes | bytearray, header: Header, path: str) -> np.ndarray:
  """The array of a .npy file of this header, a view of its bytes.

  Raises:
    DataError: it has more dimensions than NumPy has.
  """
  with foreign_files.parsing(path, "array"):
    values = np.frombuffer(data, header.kind, offset=header.start)
    return values.reshape(header.shape, order="F" if header.fortran else "C")


def to_float32(values: np.ndarray) -> np.ndarray:
  """The values as float32; infinite where they are beyond its range."""
  with np.errstate(over="ignore"):
    return values.astype(np.float32)


def parse_header(data: bytes | bytearray, path: str) -> Header:
  """The header of a .npy file, from its first bytes.

  Raises:
    DataError: it is none, or of pickled objects.
  """
  start = 10
  if data[:8] == b"\x93NUMPY\1\0" and len(data) >= start:
    start += struct.unpack_from("<H", data, 8)[0]
  match = _HEADER.fullmatch(data[10:start])
  kind = match[1].decode() if match else ""
  if data[:1] == b"\x80" or kind.endswith("O"):
    raise errors.DataError(
      "pickled Python objects, which are never loaded",
      path=path,
      expected="plain numbers",
    )
  if not match or len(data) < start:
    raise errors.DataError("not a whole .npy file of a plain array", path=path)
  if not re.fullmatch(r"[<>=|]?([fiu][1248]|b1|U\d{1,7})", kind):
    raise errors.DataError(f"an array of type {kind!r}", path=path)
  shape = tuple(int(part) for part in match[3].split(b",") if part.strip())
  return Header(kind, match[2] == b"True", shape, start)


def check_floats(header: Header, path: str) -> None:
  """Refuses an array of another type than floats.

  Raises:
    DataError: names the type.
  """
  if not re.fullmatch(r"[<>=]?f[248]", header.kind):
    raise errors.DataError(
      f"an array of type {header.kind!r}", path=path, expected=_FLOATS
    )
