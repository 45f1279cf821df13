"""Builds on Apache Beam: workers read, lift and write, this process plans.

Two pipelines: parts of records, some clips each; then shards of these parts, in
the order that tfds gives them, so that the files are those of a build without
Beam.
"""

import dataclasses
import functools
import hashlib
import pickle
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import tensorflow_datasets as tfds
from tensorflow_datasets.core import hashing
from tensorflow_datasets.core.utils import shard_utils

from data_pipeline.building import (
  beam,
  beam_input,
  beam_work,
  held_out,
  record_store,
)
from data_pipeline.lifting import lifted_folder, lifting_run
from signllm_jax.core import errors, foreign_files

_PIECES = 400  # at least so many parts, as far as there are clips
_MOST = 64  # clips of a part; one that is lost with its worker is made again


@dataclasses.dataclass(frozen=True)
class Clips:
  """The clips of a split.

  Attributes:
    entries: sources of keypoints, or entries that `read` takes.
    record: makes a record maker for clips of these names.
    read: as of `beam_work.Chunk`.
  """

  entries: Sequence[Any]
  record: Callable[[Sequence[str]], Callable]
  read: Callable | None = None


@dataclasses.dataclass(frozen=True)
class BeamBuild:
  """One build.

  Attributes:
    runner: whose workers build.
    store: what they hand to each other.
    lifting: options of lifting; its skeleton is that of the records.
    file_format: of the shards.
    ships: whether the workers get the files of the input with their work.
  """

  runner: beam.Runner
  store: record_store.Store
  lifting: lifted_folder.Options
  file_format: str
  ships: bool = False

  def make_parts(
    self, splits: Mapping[str, Clips]
  ) -> tuple[
    dict[str, list[record_store.Entry]], dict[str, lifting_run.Outcome]
  ]:
    """Makes the records that are missing, on the workers.

    Returns:
      The clips with a record, by split, in the order of the input; and the
      outcome of all clips, by split.

    Raises:
      StorageError: the pipeline failed, or the store does.
    """
    self.store.make()
    outcomes = {split: lifting_run.Outcome() for split in splits}
    digests = {
      split: self._digests(found, outcomes[split])
      for split, found in splits.items()
    }
    done, sizes = self._entries(digests, {}), {}
    for split, found in splits.items():
      missing = [
        entry
        for entry in found.entries
        if (name := held_out.entry_name(entry)) in digests[split]
        and (split, name) not in done
      ]
      for chunk in _chunks(missing):
        sizes[self._hand_over(split, found, chunk, digests[split])] = len(chunk)
    beam.run(
      self.runner,
      "lifting" if any(x.read is None for x in splits.values()) else "reading",
      functools.partial(beam_work.make_part, self.store),
      sizes,
      functools.partial(self.store.finished, "parts"),
    )
    now = self._entries(digests, sizes) if sizes else done
    made = {split: [] for split in splits}
    qualities = []
    for split, names in digests.items():
      for name in names:
        entry = now[split, name]
        _count(outcomes[split], entry, entry.part in sizes)
        if entry.measured is not None:
          record = {**entry.measured, "kept": entry.kept}
          qualities.append((split, name, record))
        if entry.size:
          made[split].append(entry)
    self.store.write_qualities(qualities)
    return made, outcomes

  def _entries(
    self, digests: Mapping[str, Mapping[str, str]], new: Collection[str]
  ) -> dict[tuple[str, str], record_store.Entry]:
    """Clips in parts of this run, or made of the same sources before."""
    return {
      (entry.split, entry.name): entry
      for entry in self.store.entries()
      if entry.part in new
      or (
        entry.made_from
        and not entry.fault
        and entry.made_from == digests.get(entry.split, {}).get(entry.name)
      )
    }

  def _digests(
    self, found: Clips, outcome: lifting_run.Outcome
  ) -> dict[str, str]:
    """Digests of the clips that can be read; faults go to the outcome."""
    if found.read is not None:  # reading them is quick
      return dict.fromkeys(map(held_out.entry_name, found.entries), "")
    digests, faults = lifting_run.check(found.entries, True)
    outcome.failed.update(faults)
    signers = {source.name: source.signer for source in found.entries}
    return {
      name: hashlib.sha256(f"{digest} {signers[name]}".encode()).hexdigest()
      for name, digest in digests.items()
    }

  def _hand_over(
    self,
    split: str,
    found: Clips,
    entries: Sequence[Any],
    digests: Mapping[str, str],
  ) -> str:
    """Writes a chunk of work; returns its identifier."""
    names = [held_out.entry_name(entry) for entry in entries]
    cargo = {}
    if self.ships and found.read is None:
      cargo = {source.name: beam_input.pack(source) for source in entries}
    chunk = beam_work.Chunk(
      split,
      entries,
      self.lifting.skeleton,
      found.record(names),
      found.read,
      self.lifting,
      {name: digests[name] for name in names},
      cargo,
    )
    return self.store.write_hashed(pickle.dumps(chunk), "todo")

  def write_shards(
    self,
    splits: Mapping[str, Sequence[record_store.Entry]],
    template: Callable[[str], Any],
    config: shard_utils.ShardConfig,
  ) -> list[tfds.core.SplitInfo]:
    """Writes the shards of all splits, on the workers.

    Args:
      splits: the clips of each.
      template: gives the names of the shards of a split.
      config: decides the number of shards.

    Returns:
      What tfds notes of the splits.

    Raises:
      StorageError: the pipeline failed, or the store does.
    """
    names, sizes, infos = {}, {}, []
    for split, entries in splits.items():
      hasher = hashing.Hasher(split)
      order = sorted(entries, key=lambda x: hasher.hash_key(x.name))
      total = sum(entry.size for entry in order)
      count = config.get_number_shards(total, len(order))
      ends = shard_utils.get_shard_boundaries(len(order), count)
      lengths = []
      for index, end in enumerate(ends):
        path = template(split).sharded_filepath(
          shard_index=index, num_shards=count
        )
        part = order[sum(lengths) : end]
        names[path.name] = self._plan(path.name, part)
        sizes[names[path.name]] = len(part)
        lengths.append(len(part))
      infos.append(
        tfds.core.SplitInfo(
          name=split,
          shard_lengths=lengths,
          num_bytes=total,
          filename_template=template(split),
        )
      )
    self._run_shards(sizes)
    shards = {name: self.store.shard(ident) for name, ident in names.items()}
    self.store.write(msgspec.json.encode(shards), "shards.json")
    return infos

  def _plan(self, name: str, part: Sequence[record_store.Entry]) -> str:
    """Writes the plan of a shard; returns its identifier."""
    records = [(entry.part, entry.start, entry.size) for entry in part]
    plan = record_store.Plan(self.file_format, name, records)
    return self.store.write_hashed(msgspec.json.encode(plan), "plans")

  def _run_shards(self, sizes: Mapping[str, int]) -> None:
    """Writes the shards that are missing, on the workers."""
    finished = functools.partial(self.store.finished, "shards")
    # On a disk a killed build may have moved some away already.
    done = {
      x
      for x in finished() & sizes.keys()
      if foreign_files.exists(self.store.path("shards", x))
    }
    beam.run(
      self.runner,
      "writing",
      functools.partial(beam_work.write_shard, self.store),
      {x: size for x, size in sizes.items() if x not in done},
      finished,
    )


def _chunks(entries: Sequence[Any]) -> Iterator[Sequence[Any]]:
  size = min(_MOST, max(1, len(entries) // _PIECES))
  for start in range(0, len(entries), size):
    yield entries[start : start + size]


def _count(
  outcome: lifting_run.Outcome, entry: record_store.Entry, new: bool
) -> None:
  """Adds a clip to the outcome."""
  if entry.fault:
    outcome.failed[entry.name] = errors.DataError(entry.fault)
  elif not entry.kept:
    outcome.dropped.append(entry.name)
  elif new:
    outcome.lifted.append(entry.name)
  else:
    outcome.reused.append(entry.name)
