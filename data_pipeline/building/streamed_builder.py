"""A builder of tfds whose memory does not grow with the number of records.

The writer of tfds sorts records by the hash of their key. It keeps up to 1 GB
of them in memory, and beyond that spools through TensorFlow, which ArrayRecord
does not need otherwise. Here records go to a nameless file in the order they
are made, and from there into the shards. Order, shards and bytes are those of
tfds.
"""

import functools
import itertools
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from typing import IO, Any, NamedTuple

import tensorflow_datasets as tfds
from tensorflow_datasets.core import example_serializer, hashing
from tensorflow_datasets.core.utils import shard_utils

from data_pipeline.building import shard_writer
from signllm_jax.core import errors


class Kept(NamedTuple):
  """A record in the file of `StreamedBuilder.keep`."""

  key: str
  start: int
  length: int


_Example = tuple[str, dict] | Kept
_Places = list[tuple[int, int, int]]  # hash of the key, start and length


class StreamedBuilder(tfds.core.GeneratorBasedBuilder):
  """Base of the builders of this package."""

  _spool: IO[bytes] | None = None

  def _example_writer(self) -> shard_writer.Writer:
    return shard_writer.Writer(self.info)

  def _generate_splits(
    self, dl_manager: Any, download_config: tfds.download.DownloadConfig
  ) -> Sequence[tfds.core.SplitInfo]:
    """Writes the records of every split."""
    if (
      download_config.max_examples_per_split
      or download_config.ignore_duplicates
    ):
      return super()._generate_splits(dl_manager, download_config)
    shard_config = download_config.get_shard_config()
    with tempfile.TemporaryFile(dir=self.data_path) as self._spool:
      examples: Any = self._split_generators(dl_manager)
      return [
        self._write_split(split, of_split, shard_config)
        for split, of_split in examples.items()
      ]

  def keep(self, key: str, example: dict) -> Kept:
    """Serialises a record, to be yielded later in its place.

    For `_split_generators`.
    """
    assert self._spool is not None
    features: Any = self.info.features
    data = self._serializer.serialize_example(features.encode_example(example))
    start = self._spool.tell()
    self._spool.write(data)
    return Kept(key, start, len(data))

  @functools.cached_property
  def _serializer(self) -> example_serializer.ExampleSerializer:
    features: Any = self.info.features
    return example_serializer.ExampleSerializer(features.get_serialized_info())

  def _write_split(
    self,
    split: str,
    examples: Iterable[_Example],
    shard_config: shard_utils.ShardConfig,
  ) -> tfds.core.SplitInfo:
    """Writes the shards of a split.

    Raises:
      DataError: two records have the same key.
    """
    assert self._spool is not None
    template = self._get_filename_template(split_name=split)
    places = self._places(split, examples)
    size = sum(length for _, _, length in places)
    count = shard_config.get_number_shards(size, len(places))
    bounds = (0, *shard_utils.get_shard_boundaries(len(places), count))
    writer = self._example_writer()
    for number, (start, end) in enumerate(itertools.pairwise(bounds)):
      path = template.sharded_filepath(shard_index=number, num_shards=count)
      writer.write(path, _read(self._spool, places[start:end]))
    self._spool.seek(0, os.SEEK_END)
    return tfds.core.SplitInfo(
      name=split,
      shard_lengths=[b - a for a, b in itertools.pairwise(bounds)],
      num_bytes=size,
      filename_template=template,
    )

  def _places(self, split: str, examples: Iterable[_Example]) -> _Places:
    """Places of the records in the file, by the hash of their key."""
    hasher = hashing.Hasher(split)
    places: _Places = []
    for example in examples:
      kept = example if isinstance(example, Kept) else self.keep(*example)
      places.append((hasher.hash_key(kept.key), kept.start, kept.length))
    places.sort()
    for (first, _, _), (second, _, _) in itertools.pairwise(places):
      if first == second:
        raise errors.DataError(
          f"two records of {split} have the same name",
          expected="each name once",
        )
    return places


def _read(spool: IO[bytes], places: _Places) -> Iterator[tuple[int, bytes]]:
  for key, start, length in places:
    spool.seek(start)
    yield key, spool.read(length)
