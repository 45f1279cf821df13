"""Sizes that an ArrayRecord file declares, checked before it is decompressed.

An ArrayRecord file is a Riegeli file (github.com/google/riegeli, its records
file format): blocks of 64 KiB, each with a header, and chunks that run over
them. The header of a chunk says how large its records are. The library
decompresses a chunk whatever it says, so a shard of 130 kB can take a gigabyte.
"""

import mmap
import os
import struct

from signllm_jax.core import errors, limits

_BLOCK = 1 << 16  # bytes
_BLOCK_HEADER = 24
_CHUNK_HEADER = struct.Struct("<QQQQQ")  # hash, data size, hash, type and
# number of records, size of the records


def check_sizes(path: str | os.PathLike) -> None:
  """Refuses a file with a chunk of more than `limits.MAX_RECORD` bytes.

  What is no chunk is left to the library, which says what is damaged.

  Args:
    path: a regular local file.

  Raises:
    DataError: a chunk declares too much.
    StorageError: the file cannot be read.
  """
  try:
    with open(path, "rb") as file:
      if not os.fstat(file.fileno()).st_size:
        return
      with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        _check(data, path)
  except OSError as error:
    raise errors.StorageError(str(error), path=path) from error


def _check(data: mmap.mmap, path: str | os.PathLike) -> None:
  start = 0
  while start < len(data):
    header = _read(data, start, _CHUNK_HEADER.size)
    if len(header) < _CHUNK_HEADER.size:
      return
    _, size, _, kind, decoded = _CHUNK_HEADER.unpack(header)
    if decoded > limits.MAX_RECORD:
      raise errors.DataError(
        f"the chunk at byte {start} declares {decoded:,} bytes",
        path=path,
        expected=f"at most {limits.MAX_RECORD:,}",
      )
    records = kind >> 8
    after = max(_skip(start, _CHUNK_HEADER.size + size), start + records)
    into = after % _BLOCK
    start = after if into == 0 or into >= _BLOCK_HEADER else after - into
    if start < after:  # no chunk begins in the header of a block
      start += _BLOCK_HEADER


def _skip(start: int, count: int) -> int:
  """The position `count` bytes of chunks after another."""
  into = max(start % _BLOCK, _BLOCK_HEADER)
  begin = start - start % _BLOCK + into
  room = _BLOCK - into
  if count <= room:
    return begin + count
  blocks, rest = divmod(count - room, _BLOCK - _BLOCK_HEADER)
  end = begin + room + blocks * _BLOCK
  return end + _BLOCK_HEADER + rest if rest else end


def _read(data: mmap.mmap, start: int, count: int) -> bytes:
  """`count` bytes of a chunk from a position, without headers of blocks."""
  end = _skip(start, count)
  if start % _BLOCK < _BLOCK_HEADER:
    start += _BLOCK_HEADER - start % _BLOCK
  border = start - start % _BLOCK + _BLOCK
  if end <= border:
    return data[start:end]
  return data[start:border] + data[border + _BLOCK_HEADER : end]
