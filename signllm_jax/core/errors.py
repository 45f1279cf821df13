"""Errors a user can act on, each with the exit code its door returns.

Every message names where, what was found, what was expected, what to do.
"""

import os
import sys
from collections.abc import Callable

EXIT_INTERRUPTED = 42  # stopped by a signal, everything saved


class SignLLMError(Exception):
  """Base of all errors that are reported without a stack trace."""

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
      problem: what was found.
      path: the file or folder it was found in.
      line: line of that file, from 1.
      frame: frame of that line or clip, from 1.
      expected: what should have been there.
      hint: what to do about it.
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
  """The user asked for something that cannot be."""

  exit_code = 1


class DataError(SignLLMError):
  """A file or record holds something that is not what it claims to be."""

  exit_code = 65


class NonFiniteError(SignLLMError):
  """NaN or infinity where a number must be."""

  exit_code = 66


class StorageError(SignLLMError):
  """Reading or writing failed, or a checkpoint is damaged."""

  exit_code = 74


def exit_code_of(work: Callable[[], object]) -> int:
  """Does the work of a command; says on stderr why it could not be done.

  Returns:
    The exit code: 0, an error's own, or 130 after Ctrl-C.
  """
  try:
    work()
  except SignLLMError as error:
    print(f"error: {error}", file=sys.stderr)
    return error.exit_code
  except KeyboardInterrupt:
    print("interrupted", file=sys.stderr)
    return 130
  return 0
