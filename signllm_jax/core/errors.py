"""Errors that a user can act on, each with an exit code.

A message names the place, the problem, what was expected and a remedy.
"""

import os
import sys
from collections.abc import Callable

EXIT_INTERRUPTED = 42  # stopped by a signal after saving


class SignLLMError(Exception):
  """Base class of the errors that are reported without a stack trace."""

  exit_code = 1

  def __init__(
    self,
    problem: str,
    *,
    path: str | os.PathLike | None = None,
    line: int | None = None,
    frame: int | None = None,
    expected: str | None = None,
    hint: str | None = None,
  ):
    """Builds the message.

    Args:
      problem: the fault.
      path: file or folder with the fault.
      line: line of that file, from 1.
      frame: frame of that line or clip, from 1.
      expected: the correct form or value.
      hint: how to mend it.
    """
    place = "" if path is None else os.fspath(path)
    if line is not None:
      place += f":{line}"
    if frame is not None:
      place += f" frame {frame}"
    message = f"{place}: {problem}" if place else problem
    if expected:
      message += f"; expected {expected}"
    if hint:
      message += f". {hint}"
    super().__init__(message)
    self.path, self.line, self.frame = path, line, frame


class UsageError(SignLLMError):
  """A request that cannot be met."""

  exit_code = 1


class DataError(SignLLMError):
  """A file or record with invalid content."""

  exit_code = 65


class NonFiniteError(SignLLMError):
  """NaN or infinity where a finite number is required."""

  exit_code = 66


class StorageError(SignLLMError):
  """A failed read or write, or a damaged checkpoint."""

  exit_code = 74


def exit_code_of(command: Callable[[], object]) -> int:
  """Runs a command; prints its error, if any, to stderr.

  Returns:
    The exit code: 0, that of the error, or 130 after Ctrl-C.
  """
  try:
    command()
  except SignLLMError as error:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
  except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    return 130
  return 0
