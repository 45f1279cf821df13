"""Verifies a built data set: files, counts and every record.

Checksums detect any changed byte. Decoding tells which record is affected, and
finds faults from before the checksums were written.
"""

import contextlib
import math
import os
import pathlib
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tqdm
from array_record.python import array_record_data_source
from google.protobuf import message

from data_pipeline.building import checksums, record_reader
from signllm_jax.core import errors, languages, skeleton
from signllm_jax.data import records
from signllm_jax.formats import tfrecord

LISTED = 20  # problems in one message
_SHARD = re.compile(r"\.(tfrecord|array_record)\b")
_TEXTS = ("name", "text", "prompt", "gloss", "language", "signer")

Records = (
  tfrecord.TFRecordFiles | array_record_data_source.ArrayRecordDataSource
)


class Shard(NamedTuple):
  """A file of records and the number it should hold."""

  split: str
  path: pathlib.Path
  count: int


def verify(folder: str | os.PathLike) -> int:
  """Verifies a build and returns the number of its records.

  Raises:
    DataError: lists the faults that `problems` finds, up to LISTED.
    StorageError: a file cannot be read.
  """
  faults = problems(folder)
  if not faults:
    info = record_reader.open_build(folder).info
    return sum(split.num_examples for split in info.splits.values())
  first = faults[0]
  if len(faults) == 1:
    raise first
  lines = [f"{len(faults)} problems", *map(str, faults[:LISTED])]
  if len(faults) > LISTED:
    lines.append(f"and {len(faults) - LISTED} more")
  raise errors.DataError("\n  ".join(lines), path=folder) from first


def problems(folder: str | os.PathLike) -> list[errors.DataError]:
  """Finds all faults of a build; an empty list if it is intact.

  Each error names the shard and, for a single record, its index in the shard
  from 0. Progress is shown on stderr if that is a terminal.

  Raises:
    DataError: the folder does not hold a build.
    StorageError: a file cannot be read.
  """
  folder = pathlib.Path(folder)
  builder = record_reader.open_build(folder)
  info: Any = builder.info  # annotated too widely by tfds
  shards = [
    Shard(name, pathlib.Path(path), count)
    for name, split in info.splits.items()
    for path, count in zip(split.filepaths, split.shard_lengths, strict=True)
  ]
  expected = {shard.path.name for shard in shards}
  faults = checksums.problems(folder, expected)
  for path in sorted(folder.iterdir()):
    if _SHARD.search(path.name) and path.name not in expected:
      faults.append(
        errors.DataError(
          "a shard that does not belong to the build",
          path=path,
          expected="only the shards that dataset_info.json describes",
          hint="Move it elsewhere",
        )
      )
  checker = _Checker(info)
  total = sum(shard.count for shard in shards)
  with tqdm.tqdm(
    total=total, unit="record", desc="verifying", disable=None
  ) as bar:
    for shard in shards:
      for problem in checker.check(shard):
        if problem:
          faults.append(problem)
        else:
          bar.update()
  return faults


class _Checker:
  """Checks the records of a build, shard after shard."""

  def __init__(self, info: Any):
    self._features, self._format = info.features, info.file_format.value
    self._config = info.config_name or ""
    self._places: dict[tuple[str, bytes], str] = {}  # of split and name

  def check(self, shard: Shard) -> Iterator[errors.DataError | None]:
    """Yields faults of the shard, then a fault or None for each record."""
    try:
      with _opened(shard, self._format) as data:
        if len(data) != shard.count:
          yield errors.DataError(
            f"the shard holds {len(data)} records",
            path=shard.path,
            expected=f"{shard.count}, as dataset_info.json says",
            hint=tfrecord.RESTORE,
          )
        for index in range(len(data)):
          yield self._check_record(shard, index, data)
    except errors.DataError as error:
      yield error

  def _check_record(
    self, shard: Shard, index: int, data: Records
  ) -> errors.DataError | None:
    try:
      record = self._features.deserialize_example_np(data[index])
      description = fault(record, self._config)
      if description is None:
        description = self._duplicate_name(shard, index, record["name"])
    except errors.DataError as error:  # of the TFRecord reader
      return error
    except (RuntimeError, message.DecodeError, ValueError) as error:
      description = f"damaged: {error}"  # of ArrayRecord reader or decoder
    if description is None:
      return None
    return errors.DataError(
      f"record {index} (from 0): {description}",
      path=shard.path,
      hint=tfrecord.RESTORE,
    )

  def _duplicate_name(
    self, shard: Shard, index: int, name: bytes
  ) -> str | None:
    place = f"{shard.path.name} record {index}"
    first = self._places.setdefault((shard.split, name), place)
    return (
      None if first == place else f"its name {name!r} is also that of {first}"
    )


@contextlib.contextmanager
def _opened(shard: Shard, file_format: str) -> Iterator[Records]:
  """Opens a shard for its serialised records; DataError if it is no shard."""
  if file_format == "tfrecord":
    # An empty file is an error only if it should hold records.
    yield tfrecord.TFRecordFiles([shard.path], None if shard.count else [0])
    return
  if not shard.path.exists():
    raise errors.DataError(
      "the shard is missing", path=shard.path, hint=tfrecord.RESTORE
    )
  try:
    with array_record_data_source.ArrayRecordDataSource(
      [os.fspath(shard.path)]
    ) as source:
      yield source
  except RuntimeError as error:
    raise errors.DataError(
      f"the shard is damaged or no ArrayRecord file: {error}",
      path=shard.path,
      hint=tfrecord.RESTORE,
    ) from error


def fault(record: dict[str, Any], config: str) -> str | None:
  """Describes the fault of a decoded record, by the schema of `records.py`.

  Args:
    record: as the features decode it.
    config: name of the build's configuration, e.g. gsl or gsl_30fps. The
      language of a record may be unknown if the configuration is named after
      it.

  Returns:
    The fault; None if there is none.
  """
  absent = sorted(key for key in records.features() if record.get(key) is None)
  if absent:
    return f"no {', '.join(absent)}"
  for key in _TEXTS:
    try:
      record[key].decode()
    except UnicodeDecodeError as error:
      return f"its {key} is not UTF-8: {error}"
  if not record["name"]:
    return "its name is empty"
  language = record["language"].decode()
  named = language.lower().replace("-", "_")
  if language not in languages.LANGUAGES and (
    not named or named != config.split("_")[0]
  ):
    return f"unknown sign language {language!r}"
  fps = record["fps"]
  if not 0 < fps < math.inf:
    return f"{fps} frames a second, expected a number above 0"
  return _fault_of_pose(record["frames"], record["valid"])


def _fault_of_pose(frames: np.ndarray, valid: np.ndarray) -> str | None:
  t = len(frames)
  if frames.shape != (t, skeleton.C) or valid.shape != (t, skeleton.J):
    return (
      f"frames {frames.shape} and mask {valid.shape}, expected "
      f"(T, {skeleton.C}) and (T, {skeleton.J})"
    )
  if not t:
    return "it has no frames"
  joints = frames.reshape(t, skeleton.J, 3)
  zero = (joints == 0).all(-1)  # [T, J]
  elsewhere = np.arange(skeleton.J) != skeleton.NECK
  for frames_at_fault, description in (
    (~np.isfinite(joints).all((1, 2)), "holds NaN or infinity"),
    ((valid > 1).any(1), "has values other than 0 and 1 in its mask"),
    (((valid == 0) & ~zero).any(1), "has a missing joint that is not 0"),
    (
      ((valid == 1) & zero & elsewhere).any(1),
      "has a joint at 0 that is not masked",
    ),
    (~zero[:, skeleton.NECK], "has its neck not at 0"),
  ):
    if frames_at_fault.any():
      return f"frame {int(frames_at_fault.argmax()) + 1} {description}"
  return None
