"""Opens a built data set, reads its records and summarises its splits."""

import dataclasses
import os
from collections.abc import Iterator
from typing import Any

from signllm_jax.core import foreign_files, languages
from signllm_jax.data import records
from signllm_jax.data.records import REBUILD as REBUILD
from signllm_jax.data.records import open_build as open_build
from signllm_jax.formats import dataset_info, shards


@dataclasses.dataclass(frozen=True)
class Split:
  """Counts and size of a built split."""

  name: str
  clips: int
  frames: int
  hours: float
  shards: int
  size: int  # bytes on disk
  unsure: tuple[str, ...] = ()  # clips whose made gloss may lack a negation


def summarise(folder: str | os.PathLike) -> list[Split]:
  """Summarises the splits of a build; reads, and so checks, every record.

  Raises:
    DataError: a shard is missing or damaged.
  """
  info = open_build(folder)
  splits = []
  for name, split in info.splits.items():
    frames, seconds, unsure = 0, 0.0, []
    for record in read_records(split, info.file_format):
      frames += len(record["frames"])
      seconds += len(record["frames"]) / record["fps"]
      if has_unsure_gloss(record):
        unsure.append(record["name"])
    splits.append(
      Split(
        name,
        split.num_examples,
        frames,
        seconds / 3600,
        len(split.paths),
        sum(foreign_files.check_file(path) for path in split.paths),
        tuple(unsure),
      )
    )
  return splits


def has_unsure_gloss(record: dict[str, Any]) -> bool:
  """Whether a gloss was made of a text and may lack a negation."""
  if not record["gloss_made"]:
    return False
  if languages.spoken_with(record["language"]) != "tr":
    return False
  # Here: its package is not needed to read records.
  from data_pipeline.texts import lemma_gloss

  text = record["text"]
  return record["gloss"] == lemma_gloss.make_gloss(text, "tr") and bool(
    lemma_gloss.unsure_words(text, "tr")
  )


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
  split: dataset_info.Split, file_format: str
) -> Iterator[dict[str, Any]]:
  """Yields the decoded records of a split in the order of its shards.

  Raises:
    DataError: a shard is missing or damaged, or a record is; names it.
  """
  data = shards.Shards(split.paths, split.shard_lengths, file_format)
  for index in range(len(data)):
    with data.place(index):
      record = records.decode(data[index])
    yield record
