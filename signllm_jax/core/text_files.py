"""Text files: decoding that names the line at fault."""

import os

from signllm_jax.core import errors


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
