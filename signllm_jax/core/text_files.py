"""Text files: reading and decoding of lines, with errors that name them."""

import itertools
import os
from collections.abc import Iterator

from signllm_jax.core import errors

MAX_LINE = 64 << 20  # bytes; a clip of some 50,000 frames, half an hour
_BUFFER = 1 << 20  # bytes; the line of a clip takes some 200,000


def decode_line(line: bytes, path: str | os.PathLike, number: int) -> str:
  """Decodes a line of a UTF-8 file.

  Args:
    line: its bytes.
    path: the file, for the message.
    number: of the line, from 1.

  Raises:
    DataError: it is not UTF-8; names file, line and byte.
  """
  try:
    return line.decode()
  except UnicodeDecodeError as error:
    raise errors.DataError(
      f"byte {error.start + 1} is not UTF-8",
      path=path,
      line=number,
      expected="UTF-8",
    ) from error


def read_lines(path: str | os.PathLike) -> Iterator[tuple[int, bytes]]:
  """Yields the lines of a file, with their numbers from 1 and their ends.

  Raises:
    DataError: there is no such file, or a line is longer than MAX_LINE.
  """
  try:
    with open(path, "rb", buffering=_BUFFER) as file:
      for number in itertools.count(1):
        line = file.readline(MAX_LINE + 1)
        if not line:
          return
        if len(line) > MAX_LINE:
          raise errors.DataError(
            f"a line of more than {MAX_LINE} bytes",
            path=path,
            line=number,
            expected="one clip a line",
          )
        yield number, line
  except FileNotFoundError as error:
    raise errors.DataError("no such file", path=path) from error
