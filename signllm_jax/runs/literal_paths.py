"""Folders whose names the checkpoint libraries misread.

Orbax expands `*`, `?` and `[` of the folder that it writes to. TensorStore
takes a backslash for a slash, and no byte that is not UTF-8.
"""

import contextlib
import os
import pathlib
import re
from collections.abc import Iterator

from signllm_jax.core import errors

_DESCRIPTORS = "/proc/self/fd"  # of Linux; an open folder by its number
_MISREAD = re.compile(r"[*?\[\\\ud800-\udfff]")


def check(folder: pathlib.Path) -> None:
  """Refuses a work directory that could not be resumed from.

  Raises:
    UsageError: its path is not UTF-8, or has characters that this system cannot
      hide from the libraries.
  """
  name = os.fspath(folder)
  try:
    name.encode()
  except UnicodeEncodeError:
    raise errors.UsageError(
      "the path of a work directory must be UTF-8",
      path=ascii(name),
      hint="Name another --workdir",
    ) from None
  found = _MISREAD.search(name)
  if found and not os.path.isdir(_DESCRIPTORS):
    raise errors.UsageError(
      f"the path of a work directory has {found[0]!r}",
      path=folder,
      expected=rf"none of * ? [ \ on a system without {_DESCRIPTORS}",
      hint="Name another --workdir",
    )


@contextlib.contextmanager
def literal_path(folder: str | os.PathLike) -> Iterator[str]:
  """Yields a path of a folder that the libraries take as it is.

  It is valid in this process and until the context ends.

  Raises:
    OSError: the folder cannot be opened.
  """
  name = os.fspath(folder)
  if not _MISREAD.search(name):
    yield name
    return
  descriptor = os.open(name, os.O_RDONLY | os.O_DIRECTORY)
  try:
    yield f"{_DESCRIPTORS}/{descriptor}"
  finally:
    os.close(descriptor)
