"""Descriptions of built data sets: `dataset_info.json` and `features.json`.

tensorflow-datasets writes them. Its own reader imports the class that
`features.json` names and opens shards wherever a template points, so a data set
could run code and read other files. Here both files are data: nothing that they
name is imported, and shards lie in their folder.
"""

import os
import re
from typing import Any, NamedTuple

import msgspec

from signllm_jax.core import errors, foreign_files, limits
from signllm_jax.core import paths as paths_lib

INFO, FEATURES = "dataset_info.json", "features.json"
FILE_FORMATS = ("tfrecord", "array_record")
_TEMPLATE = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"
_NAME = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
_MOST_RECORDS = 1 << 40  # of a shard


class Split(NamedTuple):
  """A split of a built data set."""

  name: str
  paths: list[paths_lib.AnyPath]  # of its shards, in order
  shard_lengths: list[int]  # records of each

  @property
  def num_examples(self) -> int:
    """Number of its records."""
    return sum(self.shard_lengths)


class DatasetInfo(NamedTuple):
  """The description of a built data set."""

  name: str
  config_name: str  # empty if it has no configurations
  version: str
  file_format: str  # one of FILE_FORMATS
  description: str
  config_description: str
  homepage: str
  citation: str
  license: str
  splits: dict[str, Split]


class _Split(msgspec.Struct, rename="camel"):
  name: str
  shard_lengths: list[str | int] = []
  filepath_template: str = _TEMPLATE


class _Location(msgspec.Struct, frozen=True):
  urls: tuple[str, ...] = ()


class _Redistribution(msgspec.Struct, frozen=True):
  license: str = ""


class _Info(msgspec.Struct, rename="camel"):
  name: str
  version: str
  config_name: str = ""
  file_format: str = "tfrecord"
  description: str = ""
  config_description: str = ""
  citation: str = ""
  location: _Location = _Location()
  redistribution_info: _Redistribution = _Redistribution()
  splits: list[_Split] = []


def read(folder: str | os.PathLike) -> DatasetInfo:
  """Reads the description of the data set in a folder.

  Raises:
    DataError: there is none, it is damaged, of an unknown file format, or
      places shards outside the folder; names the file.
    StorageError: it cannot be read.
  """
  path = paths_lib.resolve(folder, INFO)
  value = foreign_files.read_json(path)
  with foreign_files.parsing(path, "description of a data set"):
    info = msgspec.convert(value, _Info)
  names = [info.name, info.version, *(split.name for split in info.splits)]
  for name in names:
    if not _NAME.fullmatch(name):
      raise errors.DataError(
        f"the name {name[:60]!r}", path=path, expected="letters and digits"
      )
  if info.file_format not in FILE_FORMATS:
    raise errors.DataError(
      f"the file format {info.file_format[:60]!r}",
      path=path,
      expected=" or ".join(FILE_FORMATS),
    )
  splits = {part.name: _to_split(part, info, path) for part in info.splits}
  if len(splits) < len(info.splits):
    raise errors.DataError(
      "two splits of a name", path=path, expected="each name once"
    )
  return DatasetInfo(
    name=info.name,
    config_name=info.config_name,
    version=info.version,
    file_format=info.file_format,
    description=info.description,
    config_description=info.config_description,
    homepage=next(iter(info.location.urls), ""),
    citation=info.citation,
    license=info.redistribution_info.license,
    splits=splits,
  )


def _to_split(split: _Split, info: _Info, path: paths_lib.AnyPath) -> Split:
  """Checks the counts of a split and places its shards in the folder."""
  lengths = [_count(value, split.name, path) for value in split.shard_lengths]
  if not 0 < len(lengths) <= limits.MAX_SHARDS:
    raise errors.DataError(
      f"split {split.name!r} has {len(lengths)} shards",
      path=path,
      expected=f"1 to {limits.MAX_SHARDS}",
    )
  if split.filepath_template != _TEMPLATE:
    raise errors.DataError(
      f"split {split.name!r} lies at {split.filepath_template[:100]!r}",
      path=path,
      expected=f"{_TEMPLATE}, in the folder itself",
    )
  start = f"{info.name}-{split.name}.{info.file_format}"
  of = f"{len(lengths):05d}"
  paths = [
    path.with_name(f"{start}-{i:05d}-of-{of}") for i in range(len(lengths))
  ]
  return Split(split.name, paths, lengths)


def _count(value: str | int, split: str, path: paths_lib.AnyPath) -> int:
  """Number of records of a shard; protobuf writes it as a string."""
  digits = str(value) if isinstance(value, int) else value
  if not re.fullmatch("[0-9]{1,15}", digits) or int(digits) > _MOST_RECORDS:
    raise errors.DataError(
      f"a shard of split {split!r} with {digits[:60]!r} records",
      path=path,
      expected="a whole number",
    )
  return int(digits)


def check_features(
  folder: str | os.PathLike, expected: dict[str, dict[str, Any]]
) -> None:
  """Compares the stored features with those that records must have.

  Features beyond these are left out when records are read.

  Args:
    folder: of the build.
    expected: class, type and shape of each feature, as `features.json` states
      them; without descriptions.

  Raises:
    DataError: there are none, or a feature is missing or another one.
    StorageError: the file cannot be read.
  """
  path = paths_lib.resolve(folder, FEATURES)
  value = foreign_files.read_json(path)
  stored = value.get("featuresDict")
  stored = stored.get("features") if isinstance(stored, dict) else None
  if not isinstance(stored, dict):
    raise errors.DataError(
      "no dictionary of features",
      path=path,
      expected="featuresDict as tfds writes it",
    )
  for name, feature in expected.items():
    found = stored.get(name)
    if isinstance(found, dict):
      found = {
        key: field
        for key, field in found.items()
        if key not in ("description", "valueRange")
      }
    if found != feature:
      raise errors.DataError(
        f"feature {name!r} is {_shown(found)}",
        path=path,
        expected=_shown(feature),
        hint="Nothing that this file names is imported",
      )


def _shown(feature: Any) -> str:
  """A feature in a message."""
  if feature is None:
    return "missing"
  return msgspec.json.encode(feature).decode()[:200]
