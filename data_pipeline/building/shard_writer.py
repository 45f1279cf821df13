"""Writes shards whose bytes depend on their records alone."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2


class Writer(tfds.core.ExampleWriter):
  """The writer of tfds, with the features of a record in alphabetical order.

  Without this tfds orders them by a hash that differs between processes, so
  that a repeated build has other bytes.
  """

  def __init__(self, info: Any):  # its format is annotated too widely by tfds
    super().__init__(info.file_format)

  def write(
    self, path: os.PathLike, examples: Iterable[tuple[Any, bytes]]
  ) -> Any:
    """Writes a shard of (key, serialised record)."""
    return super().write(path, _ordered(examples))


def _ordered(
  examples: Iterable[tuple[Any, bytes]],
) -> Iterator[tuple[Any, bytes]]:
  for key, data in examples:
    yield key, ordered(data)


def ordered(data: bytes) -> bytes:
  """A serialised record with its features in alphabetical order."""
  messages: Any = tf_example_pb2  # made at run time
  example = messages.Example.FromString(data)
  return example.SerializeToString(deterministic=True)
