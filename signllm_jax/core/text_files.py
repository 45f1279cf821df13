"""Text files: reading and decoding of lines, with errors that name them."""

import itertools
import os
from collections.abc import Iterator

from signllm_jax.core import errors, foreign_files, limits

_END = b"\n"
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


def read_text(path: str | os.PathLike, most: int) -> str:
  """Reads a UTF-8 file of at most so many bytes; a byte order mark goes.

  Raises:
    DataError: it is not UTF-8, with line and byte, or as `foreign_files.read`.
    StorageError: it cannot be read.
  """
  data = foreign_files.read(path, most)
  try:
    return data.decode("utf-8-sig")
  except UnicodeDecodeError as error:
    before = error.object[: error.start]  # without the mark
    raise errors.DataError(
      f"byte {len(before.rpartition(_END)[2]) + 1} is not UTF-8",
      path=path,
      line=before.count(_END) + 1,
      expected="UTF-8",
    ) from error


def read_lines(
  path: str | os.PathLike, most: int = limits.MAX_TEXT
) -> Iterator[tuple[int, bytes]]:
  """Yields the lines of a file, with their numbers from 1 and their ends.

  Args:
    path: the file.
    most: bytes of a line.

  Raises:
    DataError: there is no such file, it is no regular one, a line is longer, or
      there are more than `limits.MAX_LINES`.
    StorageError: it cannot be read.
  """
  with foreign_files.open_file(path, buffering=_BUFFER) as file:
    for number in itertools.count(1):
      with foreign_files.parsing(path, "file"):
        line = file.readline(most + 1)
      if not line:
        return
      if len(line) > most or number > limits.MAX_LINES:
        raise errors.DataError(
          f"a line of more than {most} bytes"
          if len(line) > most
          else "one line more",
          path=path,
          line=number,
          expected=f"at most {limits.MAX_LINES} lines of {most} bytes",
        )
      yield number, line
