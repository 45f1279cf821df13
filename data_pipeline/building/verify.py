"""Whether a built data set is whole: files, counts and every record.

Checksums see any changed byte; decoding says which record it hit, and finds
what was wrong before the checksums were made.
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
  """A file of records and how many it should hold."""

  split: str
  path: pathlib.Path
  count: int


def verify(folder: str | os.PathLike) -> int:
  """Checks all of a build and returns the number of its records.

  Raises:
    DataError: names every problem that `problems` finds, up to LISTED.
    StorageError: a file cannot be read.
  """
  found = problems(folder)
  if not found:
    info = record_reader.open_build(folder).info
    return sum(split.num_examples for split in info.splits.values())
  first = found[0]
  if len(found) == 1:
    raise first
  lines = [f"{len(found)} problems", *map(str, found[:LISTED])]
  if len(found) > LISTED:
    lines.append(f"and {len(found) - LISTED} more")
  raise errors.DataError("\n  ".join(lines), path=folder) from first


def problems(folder: str | os.PathLike) -> list[errors.DataError]:
  """Everything that is wrong with a build; an empty list if nothing is.

  Each error names the shard and, where it is one record's, its index in the
  shard from 0. Progress goes to stderr if that is a terminal.

  Raises:
    DataError: the folder holds no build at all.
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
  found = checksums.problems(folder, expected)
  for path in sorted(folder.iterdir()):
    if _SHARD.search(path.name) and path.name not in expected:
      found.append(
        errors.DataError(
          "a foreign shard",
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
          found.append(problem)
        else:
          bar.update()
  return found


class _Checker:
  """Checks the records of a build, shard after shard."""

  def __init__(self, info: Any):
    self._features, self._format = info.features, info.file_format.value
    self._config = info.config_name or ""
    self._places: dict[tuple[str, bytes], str] = {}  # of split and name

  def check(self, shard: Shard) -> Iterator[errors.DataError | None]:
    """A problem or None for each record, after the shard's own problems."""
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
      wrong = fault(record, self._config)
      if wrong is None:
        wrong = self._taken(shard, index, record["name"])
    except errors.DataError as error:  # the TFRecord reader's, naming it
      return error
    except (RuntimeError, message.DecodeError, ValueError) as error:
      wrong = f"damaged: {error}"  # the ArrayRecord reader's or the decoder's
    if wrong is None:
      return None
    return errors.DataError(
      f"record {index} (from 0): {wrong}",
      path=shard.path,
      hint=tfrecord.RESTORE,
    )

  def _taken(self, shard: Shard, index: int, name: bytes) -> str | None:
    place = f"{shard.path.name} record {index}"
    first = self._places.setdefault((shard.split, name), place)
    return None if first == place else f"the name {name!r} is that of {first}"


@contextlib.contextmanager
def _opened(shard: Shard, file_format: str) -> Iterator[Records]:
  """The serialised records of a shard; DataError if it is none."""
  if file_format == "tfrecord":
    # An empty file is an error of its own, if there should be records.
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
  """What is wrong with a decoded record, by the schema in `records.py`.

  Args:
    record: as the features decode it.
    config: name of the build's configuration, e.g. gsl or gsl_30fps. A sign
      language that no table knows may still be the one it is named after.
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
  for found, wrong in (
    (~np.isfinite(joints).all((1, 2)), "holds NaN or infinity"),
    ((valid > 1).any(1), "has numbers other than 0 and 1 in its mask"),
    (((valid == 0) & ~zero).any(1), "has a missing joint that is not 0"),
    (((valid == 1) & zero & elsewhere).any(1), "has a joint at 0 not masked"),
    (~zero[:, skeleton.NECK], "has its neck away from 0"),
  ):
    if found.any():
      return f"frame {int(found.argmax()) + 1} {wrong}"
  return None
