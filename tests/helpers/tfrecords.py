"""TFRecords written from the description of their format."""

import struct

from signllm_jax.formats import tfrecord


def framed(data: bytes) -> bytes:
  """A record's bytes, from the format's description."""
  length = struct.pack("<Q", len(data))
  return b"".join(
    (
      length,
      struct.pack("<I", tfrecord.masked_crc(length)),
      data,
      struct.pack("<I", tfrecord.masked_crc(data)),
    )
  )
