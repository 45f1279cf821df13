"""Random access to TFRecord shards without TensorFlow.

A shard is a sequence of records. A record is its length (u64, little endian),
the masked CRC-32C of those 8 bytes (u32), the data, and the masked CRC-32C of
the data (u32). Source: tensorflow/core/lib/io/record_writer.h.
"""

import contextlib
import operator
import os
import stat
import struct
import threading
from collections.abc import Iterator, Sequence

import google_crc32c
import numpy as np

from signllm_jax.core import buckets, errors, paths

HEADER = struct.Struct("<QI")  # length, its checksum
FOOTER = struct.Struct("<I")  # checksum of the data
MASK = 0xA282EAD8
RESTORE = "Restore the shard from a copy or build the data set again"


def masked_crc(data: bytes) -> int:
  """CRC-32C of the bytes, rotated and shifted as in TFRecords."""
  crc = google_crc32c.value(data)
  return (((crc >> 15) | (crc << 17)) + MASK) & 0xFFFFFFFF


def encode(data: bytes) -> bytes:
  """A record with its length and checksums, as a shard holds it."""
  length = struct.pack("<Q", len(data))
  header = HEADER.pack(len(data), masked_crc(length))
  return header + data + FOOTER.pack(masked_crc(data))


class TFRecordFiles:
  """Records of several shards as one sequence of bytes.

  Record headers are read at construction; afterwards a record costs one read.
  No file stays open and the object is immutable, so that threads can share it
  and it can be sent to worker processes.

  Attributes:
    paths: the shards, in order.
    lengths: records in each shard, in the same order.
  """

  def __init__(
    self,
    paths: Sequence[str | os.PathLike],
    counts: Sequence[int] | None = None,
  ):
    """Indexes the shards.

    Args:
      paths: local files, or objects of buckets.
      counts: records expected in each shard. Without it, a shard truncated
        between two records is not detected.

    Raises:
      UsageError: not one count for each path.
      DataError: a shard is missing, empty, cut or damaged.
      StorageError: a shard cannot be read.
    """
    self.paths = [os.fspath(path) for path in paths]
    if counts is not None and len(counts) != len(self.paths):
      raise errors.UsageError(
        f"{len(counts)} counts for {len(self.paths)} shards",
        expected="one count for each shard",
      )
    index = []
    for shard, path in enumerate(self.paths):
      spans = _index(path)
      if counts is not None and len(spans) != counts[shard]:
        raise errors.DataError(
          f"the shard holds {len(spans)} records",
          path=path,
          expected=f"{counts[shard]}, as the data set's description says",
          hint=RESTORE,
        )
      if counts is None and not len(spans):
        raise errors.DataError(
          "the shard is empty", path=path, expected="records", hint=RESTORE
        )
      index.append(spans)
    self.lengths = [len(spans) for spans in index]
    self._ends = np.cumsum(self.lengths, dtype=np.int64)
    self._spans = np.concatenate([np.empty((0, 2), np.int64), *index])

  def __len__(self) -> int:
    return len(self._spans)

  def __getitem__(self, index: int) -> bytes:
    """The data of a record, checked against its checksum.

    Raises:
      IndexError: there is no such record.
      DataError: the record was damaged or cut off since it was written.
      StorageError: the shard cannot be read.
    """
    index = operator.index(index)
    if index < 0:
      index += len(self)
    if not 0 <= index < len(self):
      raise IndexError(f"record {index} of {len(self)}")
    shard = int(np.searchsorted(self._ends, index, side="right"))
    number = index - int(self._ends[shard]) + self.lengths[shard]
    start, size = (int(value) for value in self._spans[index])
    path = self.paths[shard]
    with _Reader(path) as reader:
      block = reader.read(start, size + FOOTER.size)
    if len(block) < size + FOOTER.size:
      raise _damaged(
        path,
        number,
        start,
        f"{len(block)} bytes are left",
        f"{size + FOOTER.size}: the shard became shorter while in use",
      )
    data, (stored,) = block[:size], FOOTER.unpack(block[size:])
    if (checksum := masked_crc(data)) != stored:
      raise _damaged(
        path,
        number,
        start,
        f"its data have the checksum {checksum:08x}",
        f"{stored:08x}, as stored behind them",
      )
    return data


class _Window(threading.local):
  """The bytes of an object that a thread read last.

  Records that are read in order are so fetched many at a time.
  """

  path, start, data = "", 0, b""

  def read(self, path: str, start: int, size: int) -> bytes:
    """Up to `size` bytes from `start` of an object."""
    end = self.start + len(self.data)
    if path != self.path or not self.start <= start or start + size > end:
      in_order = path == self.path and 0 <= start - end < _AHEAD
      fetched = max(size, _AHEAD) if in_order else size
      self.data = buckets.BucketPath(path).read_range(start, fetched)
      self.path, self.start = path, start
    begin = start - self.start
    return self.data[begin : begin + size]

  def forget(self) -> None:
    """Reads anew, as the object may be another one now."""
    self.path, self.data = "", b""


_AHEAD = 8 << 20  # bytes
_window = _Window()


class _Reader:
  """An open file, read at given positions; local files by `pread`."""

  def __init__(self, path: str):
    self.path = path
    self.local = not paths.is_remote(path)

  def __enter__(self):
    with self._errors():
      if self.local:
        # A named pipe would block until its other end is opened.
        self.handle = os.open(self.path, os.O_RDONLY | os.O_NONBLOCK)
        if not stat.S_ISREG(os.fstat(self.handle).st_mode):
          os.close(self.handle)
          raise errors.DataError("not a file", path=self.path, hint=RESTORE)
    return self

  @contextlib.contextmanager
  def _errors(self) -> Iterator[None]:
    try:
      yield
    except FileNotFoundError as error:
      raise errors.DataError(
        "the shard is missing", path=self.path, hint=RESTORE
      ) from error
    except OSError as error:
      raise errors.StorageError(
        f"the shard cannot be opened: {error}", path=self.path
      ) from error

  def __exit__(self, *_):
    if self.local:
      os.close(self.handle)

  @property
  def size(self) -> int:
    """Bytes of the file.

    Raises:
      DataError, StorageError: as of opening it.
    """
    with self._errors():
      if self.local:
        return os.fstat(self.handle).st_size
      return buckets.BucketPath(self.path).stat().st_size

  def read(self, start: int, size: int) -> bytes:
    """Up to `size` bytes from `start`; fewer only at the end of the file."""
    try:
      if self.local:
        return os.pread(self.handle, size, start)
      return _window.read(self.path, start, size)
    except OSError as error:
      raise errors.StorageError(
        f"reading {size} bytes at {start} failed: {error}", path=self.path
      ) from error


def _index(path: str) -> np.ndarray:
  """Position and size [N, 2] int64 of each record's data in a shard."""
  spans = []
  _window.forget()
  with _Reader(path) as reader:
    start, end = 0, reader.size
    while start < end:
      number = len(spans)
      header = reader.read(start, HEADER.size)
      if len(header) < HEADER.size:
        raise _damaged(
          path,
          number,
          start,
          f"the file ends after {len(header)} bytes of its header",
          f"{HEADER.size}: the shard was cut",
        )
      size, stored = HEADER.unpack(header)
      if (checksum := masked_crc(header[:8])) != stored:
        raise _damaged(
          path,
          number,
          start,
          f"its length has the checksum {checksum:08x}",
          f"{stored:08x}: the header is damaged, or the file is compressed "
          "or no TFRecord file",
        )
      left = end - start - HEADER.size
      if size + FOOTER.size > left:
        raise _damaged(
          path,
          number,
          start,
          f"it claims {size} bytes of data and {left} bytes are left",
          f"{FOOTER.size} more than it claims: the shard was cut",
        )
      spans.append((start + HEADER.size, size))
      start += HEADER.size + size + FOOTER.size
  return np.asarray(spans, np.int64).reshape(-1, 2)


def _damaged(
  path: str, number: int, start: int, problem: str, expected: str
) -> errors.DataError:
  """The error of a damaged record; records count from 0."""
  return errors.DataError(
    f"record {number} (from 0), at byte {start}: {problem}",
    path=path,
    expected=expected,
    hint=RESTORE,
  )
