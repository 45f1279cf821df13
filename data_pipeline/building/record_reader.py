"""Opens a built data set, reads its records and summarises its splits."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

import tensorflow_datasets as tfds
from array_record.python import array_record_data_source

from signllm_jax.core import errors
from signllm_jax.data.records import REBUILD as REBUILD
from signllm_jax.data.records import open_build as open_build
from signllm_jax.formats import tfrecord


@dataclasses.dataclass(frozen=True)
class Split:
  """Counts and size of a built split."""

  name: str
  clips: int
  frames: int
  hours: float
  shards: int
  size: int  # bytes on disk


def summarise(folder: str | os.PathLike) -> list[Split]:
  """Summarises the splits of a build; reads, and so checks, every record.

  Raises:
    DataError: a shard is missing or damaged.
  """
  info: Any = open_build(folder).info  # annotated too widely by tfds
  splits = []
  for name, split in info.splits.items():
    frames, seconds = 0, 0.0
    for data in read_records(split, info.file_format.value):
      record = info.features.deserialize_example_np(data)
      frames += len(record["frames"])
      seconds += len(record["frames"]) / float(record["fps"])
    size = sum(path.stat().length for path in split.filepaths)
    splits.append(
      Split(
        name,
        split.num_examples,
        frames,
        seconds / 3600,
        len(split.filepaths),
        size,
      )
    )
  return splits


def table(splits: list[Split]) -> str:
  """Formats the splits as a table with right-aligned numbers."""
  row = "{:<8}{:>9}{:>11}{:>9}{:>8}{:>10}".format
  lines = [row("split", "clips", "frames", "hours", "shards", "MiB")]
  for split in splits:
    lines.append(
      row(
        split.name,
        split.clips,
        split.frames,
        f"{split.hours:.3f}",
        split.shards,
        f"{split.size / 2**20:.1f}",
      )
    )
  return "\n".join(lines)


def read_records(
  split: tfds.core.SplitInfo, file_format: str
) -> Iterator[bytes]:
  """Yields the serialised records of a split in the order of its shards.

  Raises:
    DataError: a shard is missing or damaged.
  """
  paths = [os.fspath(path) for path in split.filepaths]
  if file_format == "tfrecord":
    yield from iter(tfrecord.TFRecordFiles(paths, split.shard_lengths))
    return
  try:
    with array_record_data_source.ArrayRecordDataSource(paths) as source:
      if len(source) != split.num_examples:
        raise errors.DataError(
          f"split {split.name!r} holds {len(source)} records",
          path=os.path.dirname(paths[0]),
          expected=f"{split.num_examples}, as dataset_info.json says",
          hint=REBUILD,
        )
      for index in range(len(source)):
        yield source[index]
  except RuntimeError as error:  # the only error of the ArrayRecord reader
    raise errors.DataError(
      f"split {split.name!r} is damaged: {error}",
      path=os.path.dirname(paths[0]),
      hint=REBUILD,
    ) from error
