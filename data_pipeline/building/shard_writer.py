"""Shards whose bytes follow from their records alone."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

import tensorflow_datasets as tfds
from tensorflow_datasets.proto import tf_example_pb2


class Writer(tfds.core.ExampleWriter):
  """tfds' writer, with the features of every record in alphabetical order.

  By itself tfds leaves them in the order of a hash that differs from process
  to process, so that a build made again has other bytes.
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
  messages: Any = tf_example_pb2  # made at run time
  for key, data in examples:
    example = messages.Example.FromString(data)
    yield key, example.SerializeToString(deterministic=True)
