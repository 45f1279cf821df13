"""Verifies a built data set: files, counts and every record.

Checksums detect any changed byte. Decoding tells which record is affected, and
finds faults from before the checksums were written.
"""

import os
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tqdm

from data_pipeline.building import checksums, held_out, record_reader
from signllm_jax.core import errors, languages, paths
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data import records
from signllm_jax.formats import dataset_info, shards, tfrecord

LISTED = 20  # problems in one message
_SHARD = re.compile(r"\.(tfrecord|array_record)\b")
_ROUNDING = 1e-5  # of a middle of two joints, canonical units


class Shard(NamedTuple):
  """A file of records and the number it should hold."""

  split: str
  path: paths.AnyPath
  count: int


def verify(folder: str | os.PathLike) -> int:
  """Verifies a build and returns the number of its records.

  Raises:
    DataError: lists the faults that `problems` finds, up to LISTED.
    StorageError: a file cannot be read.
  """
  faults = problems(folder)
  if not faults:
    info = record_reader.open_build(folder)
    return sum(split.num_examples for split in info.splits.values())
  first = faults[0]
  if len(faults) == 1:
    raise first
  lines = [f"{len(faults)} problems", *map(str, faults[:LISTED])]
  if len(faults) > LISTED:
    lines.append(f"and {len(faults) - LISTED} more")
  raise errors.DataError("\n  ".join(lines), path=folder) from first


def describe(folder: str | os.PathLike) -> dict[str, str]:
  """Corpus, licence, skeleton and splits of a build.

  Raises:
    DataError: the folder does not hold a build.
    StorageError: its description cannot be read.
  """
  info = record_reader.open_build(folder)
  splits = [f"{name} {x.num_examples}" for name, x in info.splits.items()]
  return {
    "corpus": corpus_of(folder),
    "licence": " ".join(info.license.split()) or "not stated",
    "skeleton": records.skeleton_of_build(folder).name,
    "splits": ", ".join(splits),
  }


def corpus_of(folder: str | os.PathLike) -> str:
  """The corpus that a build names; raises as `held_out.read_record`."""
  return held_out.read_record(paths.resolve(folder)).corpus or "not stated"


def problems(folder: str | os.PathLike) -> list[errors.DataError]:
  """Finds all faults of a build; an empty list if it is intact.

  Each error names the shard and, for a single record, its index in the shard
  from 0. Progress is shown on stderr if that is a terminal.

  Raises:
    DataError: the folder does not hold a build.
    StorageError: a file cannot be read.
  """
  folder = paths.resolve(folder)
  info = record_reader.open_build(folder)
  parts = [
    Shard(name, path, count)
    for name, split in info.splits.items()
    for path, count in zip(split.paths, split.shard_lengths, strict=True)
  ]
  expected = {part.path.name for part in parts}
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
  total = sum(part.count for part in parts)
  with tqdm.tqdm(
    total=total, unit="record", desc="verifying", disable=None
  ) as bar:
    for part in parts:
      for problem in checker.check(part):
        if problem:
          faults.append(problem)
        else:
          bar.update()
  return faults


class _Checker:
  """Checks the records of a build, shard after shard."""

  def __init__(self, info: dataset_info.DatasetInfo):
    self._format, self._config = info.file_format, info.config_name
    self._places: dict[tuple[str, str], str] = {}  # of split and name

  def check(self, shard: Shard) -> Iterator[errors.DataError | None]:
    """Yields faults of the shard, then a fault or None for each record."""
    try:
      # An empty shard is an error only if it should hold records.
      lengths = None if shard.count else [0]
      data = shards.Shards([shard.path], lengths, self._format)
    except errors.DataError as error:
      yield error
      return
    if len(data) != shard.count:
      yield errors.DataError(
        f"the shard holds {len(data)} records",
        path=shard.path,
        expected=f"{shard.count}, as dataset_info.json says",
        hint=tfrecord.RESTORE,
      )
    for index in range(len(data)):
      yield self._check_record(shard, index, data)

  def _check_record(
    self, shard: Shard, index: int, data: shards.Shards
  ) -> errors.DataError | None:
    try:
      with data.place(index):
        record = records.decode(data[index])
        description = fault(record, self._config)
        if description is None:
          description = self._duplicate_name(shard, index, record["name"])
        if description is not None:
          raise errors.DataError(description)
    except errors.DataError as error:
      return error
    return None

  def _duplicate_name(self, shard: Shard, index: int, name: str) -> str | None:
    place = f"{shard.path.name} record {index}"
    first = self._places.setdefault((shard.split, name), place)
    return (
      None if first == place else f"its name {name!r} is also that of {first}"
    )


def fault(record: dict[str, Any], config: str) -> str | None:
  """Describes the fault of a decoded record, by the schema of `records.py`.

  Args:
    record: of `records.decode`.
    config: name of the build's configuration, e.g. gsl or gsl_30fps. The
      language of a record may be unknown if the configuration is named after
      it.

  Returns:
    The fault; None if there is none.
  """
  language = record["language"]
  named = language.lower().replace("-", "_")
  if language not in languages.LANGUAGES and (
    not named or named != config.split("_")[0]
  ):
    return f"unknown sign language {language!r}"
  skeleton = records.skeleton_of(record)
  return _fault_of_pose(record["frames"], record["valid"], skeleton)


def _fault_of_pose(
  frames: np.ndarray, valid: np.ndarray, skeleton: Skeleton
) -> str | None:
  joints = frames.reshape(len(frames), *skeleton.shape)
  zero = (joints == 0).all(-1)  # [T, J]
  elsewhere = ~np.isin(np.arange(skeleton.num_joints), skeleton.origin)
  apart = np.abs(skeleton.origin_of(joints)).max((1, 2))
  name = "neck" if len(skeleton.origin) == 1 else "middle of the shoulders"
  for frames_at_fault, description in (
    (~np.isfinite(joints).all((1, 2)), "holds NaN or infinity"),
    ((valid > 1).any(1), "has values other than 0 and 1 in its mask"),
    (((valid == 0) & ~zero).any(1), "has a missing joint that is not 0"),
    (
      ((valid == 1) & zero & elsewhere).any(1),
      "has a joint at 0 that is not masked",
    ),
    (~(apart <= _ROUNDING * (name != "neck")), f"has its {name} not at 0"),
  ):
    if frames_at_fault.any():
      return f"frame {int(frames_at_fault.argmax()) + 1} {description}"
  return None
