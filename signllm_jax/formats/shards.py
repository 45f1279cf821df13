"""Random access to the records of a built data set, in either file format."""

import contextlib
import operator
import os
from collections.abc import Iterator, Sequence

import numpy as np
from array_record.python import array_record_data_source

from signllm_jax.core import errors, foreign_files
from signllm_jax.core import paths as paths_lib
from signllm_jax.formats import array_record_chunks, tfrecord


class Shards:
  """Records of several shards as one sequence of bytes.

  Attributes:
    paths: the shards, in order.
    lengths: records in each shard, in the same order.
  """

  def __init__(
    self,
    paths: Sequence[str | os.PathLike],
    lengths: Sequence[int] | None,
    file_format: str,
  ):
    """Opens the shards.

    Args:
      paths: the files, one or more.
      lengths: records expected in each; None for those that are there, of a
        single shard.
      file_format: tfrecord or array_record.

    Raises:
      DataError: a shard is missing, damaged or of another length.
      StorageError: a shard cannot be read.
    """
    self.paths = [os.fspath(path) for path in paths]
    if file_format == "tfrecord":
      self._records = tfrecord.TFRecordFiles(self.paths, lengths)
    else:
      self._records = _open_arrays(self.paths, lengths)
    self.lengths = [len(self._records)] if lengths is None else list(lengths)
    self._ends = np.cumsum(self.lengths, dtype=np.int64)

  def __len__(self) -> int:
    return int(self._ends[-1])

  def __getitem__(self, index: int) -> bytes:
    """The data of a record.

    Raises:
      IndexError: there is no such record.
      DataError: it is damaged.
      StorageError: the shard cannot be read.
    """
    index = operator.index(index)
    if not -len(self) <= index < len(self):
      raise IndexError(f"record {index} of {len(self)}")
    index %= len(self)
    if isinstance(self._records, tfrecord.TFRecordFiles):
      return self._records[index]
    with (
      self.place(index),
      foreign_files.parsing(None, "record", tfrecord.RESTORE),
    ):
      return self._records[index]

  @contextlib.contextmanager
  def place(self, index: int) -> Iterator[None]:
    """Adds the shard of a record, and its number there, to a DataError.

    Raises:
      DataError: the one of the block, unless that names a file.
    """
    try:
      yield
    except errors.DataError as error:
      if error.path is not None:
        raise
      shard = int(np.searchsorted(self._ends, index, side="right"))
      number = index - int(self._ends[shard]) + self.lengths[shard]
      raise errors.DataError(
        f"record {number} (from 0): {error}",
        path=self.paths[shard],
        hint=tfrecord.RESTORE,
      ) from error


def _open_arrays(
  paths: list[str], lengths: Sequence[int] | None
) -> array_record_data_source.ArrayRecordDataSource:
  for path in paths:
    try:
      foreign_files.check_file(path)
    except errors.DataError as error:
      if os.path.lexists(path):
        raise
      raise errors.DataError(
        "the shard is missing", path=path, hint=tfrecord.RESTORE
      ) from error
  place = paths[0] if len(paths) == 1 else os.path.dirname(paths[0])
  # Its library reads local files alone; of objects it gets copies.
  files = [os.fspath(paths_lib.local_copy(path)) for path in paths]
  for file in files:
    array_record_chunks.check_sizes(file)
  with foreign_files.parsing(place, "ArrayRecord file", tfrecord.RESTORE):
    source = array_record_data_source.ArrayRecordDataSource(files)
  if lengths is not None and len(source) != sum(lengths):
    raise errors.DataError(
      f"{len(source)} records",
      path=place,
      expected=f"{sum(lengths)}, as dataset_info.json says",
      hint=tfrecord.RESTORE,
    )
  return source
