"""TensorBoard events of a folder, purged as TensorBoard does."""

import pathlib
from typing import Any

from tensorboardX.proto import event_pb2

from signllm_jax.core import errors
from signllm_jax.formats import tfrecord

EVENTS: Any = event_pb2  # its messages are made at run time


def _events(path: pathlib.Path) -> list[Any]:
  """The events of a file; its last one may be cut by a kill."""
  content = path.read_bytes()
  found, start = [], 0
  while start + tfrecord.HEADER.size <= len(content):
    size, _ = tfrecord.HEADER.unpack_from(content, start)
    begin = start + tfrecord.HEADER.size
    start = begin + size + tfrecord.FOOTER.size
    if start > len(content):
      break
    data = content[begin : begin + size]
    (checksum,) = tfrecord.FOOTER.unpack_from(content, begin + size)
    if tfrecord.masked_crc(data) != checksum:
      raise errors.DataError("wrong checksum", path=path)
    found.append(EVENTS.Event.FromString(data))
  return found


def shown(folder: pathlib.Path, tag: str) -> list[tuple[int, float]]:
  """Step and value of a tag, in the order of writing.

  A start of a session purges the events before it from its step on.
  """
  found: list[tuple[int, float]] = []
  for path in sorted(folder.glob("events*")):
    for event in _events(path):
      if event.HasField("session_log"):
        found = [entry for entry in found if entry[0] < event.step]
      for value in event.summary.value:
        if value.tag == tag:
          found.append((event.step, value.simple_value))
  return found
