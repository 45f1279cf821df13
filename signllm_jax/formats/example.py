"""Serialised records: `tf.train.Example` with one value a feature.

A record is read where it lies: bytes are views, and numbers are not expanded
to lists. A decoder of protobuf takes eight times the size of a hostile record.
Source: tensorflow/core/example/example.proto and feature.proto.
"""

import struct
from collections.abc import Container, Iterator

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5  # wire types
_BYTES_LIST, _FLOAT_LIST, _INT_LIST = 1, 2, 3  # fields of Feature
_MOST_LETTERS = 1000  # of the name of a feature

Value = memoryview | float | int


def parse(data: bytes | memoryview, names: Container[str]) -> dict[str, Value]:
  """Parses a record.

  Args:
    data: of the record.
    names: features to read; others may have any number of values.

  Returns:
    The only value of each: a view of bytes, a float or an integer. Features
    that are missing or have no value are left out.

  Raises:
    ValueError: it is not such a record.
  """
  found: dict[str, Value] = {}
  for features in _only(memoryview(data), 1, "an Example"):
    for entry in _only(features, 1, "features"):
      name, feature = _entry(entry)
      if name not in names:
        continue
      if name in found:
        raise ValueError(f"feature {name!r} twice")
      value = _value(feature, name)
      if value is not None:
        found[name] = value
  return found


def _entry(entry: memoryview) -> tuple[str, memoryview]:
  """Name of a feature, and its message."""
  name = feature = memoryview(b"")
  for key, value in _fields(entry):
    if key not in ((1, _BYTES), (2, _BYTES)) or isinstance(value, int):
      raise ValueError(f"field {key[0]} in a feature")
    if key[0] == 1:
      name = value
    else:
      feature = value
  if len(name) > _MOST_LETTERS:
    raise ValueError(f"a feature with a name of {len(name)} bytes")
  return str(name, "utf-8"), feature


def _value(feature: memoryview, name: str) -> Value | None:
  lists = list(_fields(feature))
  if not lists:
    return None
  (kind, wire), content = lists[0]
  if len(lists) > 1 or wire != _BYTES or isinstance(content, int):
    raise ValueError(f"feature {name!r} with {len(lists)} lists")
  values = _fields(content)
  first = next(values, None)
  if first is None:
    return None
  (field, wire), value = first
  if field != 1 or next(values, None) is not None:
    raise ValueError(f"feature {name!r} with more than one value")
  if kind == _BYTES_LIST and wire == _BYTES:
    return value
  if kind == _FLOAT_LIST and wire in (_BYTES, _FIXED32):
    if isinstance(value, int) or len(value) != 4:
      raise ValueError(f"feature {name!r} with more than one float")
    return struct.unpack("<f", value)[0]
  if kind == _INT_LIST and wire in (_BYTES, _VARINT):
    if isinstance(value, int):
      return value
    number, end = _varint(value, 0)
    if end != len(value):
      raise ValueError(f"feature {name!r} with more than one number")
    return number
  raise ValueError(f"feature {name!r} of an unknown kind")


def _only(message: memoryview, field: int, of: str) -> Iterator[memoryview]:
  """Yields the messages in a message that has one kind of field."""
  for key, value in _fields(message):
    if key != (field, _BYTES) or isinstance(value, int):
      raise ValueError(f"field {key[0]} in {of}")
    yield value


def _fields(
  message: memoryview,
) -> Iterator[tuple[tuple[int, int], memoryview | int]]:
  """Yields number, wire type and content of each field of a message."""
  at = 0
  while at < len(message):
    key, at = _varint(message, at)
    number, wire = key >> 3, key & 7
    if wire == _VARINT:
      value, at = _varint(message, at)
      yield (number, wire), value
      continue
    if wire == _BYTES:
      size, at = _varint(message, at)
    elif wire in (_FIXED32, _FIXED64):
      size = 4 if wire == _FIXED32 else 8
    else:
      raise ValueError(f"wire type {wire}")
    if size > len(message) - at:
      raise ValueError(f"{size} bytes where {len(message) - at} are left")
    yield (number, wire), message[at : at + size]
    at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
  """A number of 7 bits a byte, the lowest first, and where it ends."""
  number = 0
  for shift in range(0, 70, 7):
    if at >= len(message):
      raise ValueError("it ends within a number")
    byte = message[at]
    at += 1
    number |= (byte & 127) << shift
    if byte < 128:
      return number, at
  raise ValueError("a number of more than 64 bits")
