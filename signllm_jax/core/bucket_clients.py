"""Clients of buckets: gcsfs and s3fs, loaded when they are needed.

Their failures become OSErrors, as of a disk.
"""

import base64
import contextlib
import errno
import functools
import importlib
import os
import pathlib
import warnings
from collections.abc import Iterator
from typing import IO, Any

import google_crc32c

from signllm_jax.core import errors, extras

# Of each scheme: the module and class of its client, and its extra.
_CLIENTS = {
  "gs": ("gcsfs.core", "GCSFileSystem", "cloud"),
  "s3": ("s3fs", "S3FileSystem", "s3"),
}
SCHEMES = tuple(_CLIENTS)
AHEAD = 8 << 20  # bytes that are read ahead of a position


def client(scheme: str) -> Any:
  """The fsspec file system of a scheme; this process keeps it.

  Raises:
    UsageError: its package is not installed.
  """
  module, name, extra = _CLIENTS[scheme]
  try:
    package = importlib.import_module(module)
  except ModuleNotFoundError as error:
    raise extras.not_installed(
      f"{scheme}:// is read and written", error.name, extra
    ) from error
  # aiohttp says so of what gcsfs uploads; its loop serves nobody else.
  warnings.filterwarnings(
    "ignore", "Sending a large body", category=ResourceWarning
  )
  options: dict[str, Any] = {"use_listings_cache": False}
  if scheme == "gs" and os.environ.get("STORAGE_EMULATOR_HOST"):
    options["token"] = "anon"  # an emulator knows no accounts
  return getattr(package, name)(**options)


@contextlib.contextmanager
def os_errors(path: str) -> Iterator[None]:
  """Turns whatever a client raises into an OSError that names the object."""
  try:
    yield
  except (errors.SignLLMError, FileNotFoundError, FileExistsError):
    raise
  except Exception as error:
    said = " ".join(str(error).split())[:300] or type(error).__name__
    code = getattr(error, "errno", None) or errno.EIO
    raise OSError(code, said, path) from error


class Reader:
  """A file of a client whose errors name the object."""

  def __init__(self, file: IO[bytes], path: str):
    self._file, self._path = file, path

  def __getattr__(self, name: str) -> Any:
    found = getattr(self._file, name)
    if not callable(found):
      return found

    @functools.wraps(found)
    def call(*args: Any, **kwargs: Any) -> Any:
      with os_errors(self._path):
        return found(*args, **kwargs)

    return call

  def __iter__(self) -> Iterator[bytes]:
    while line := self.readline():
      yield line


def crc32c(path: pathlib.Path) -> str:
  """CRC-32C of a file as buckets of Google say it."""
  checksum = google_crc32c.Checksum()
  with path.open("rb") as file:
    while block := file.read(AHEAD):
      checksum.update(block)
  return base64.b64encode(checksum.digest()).decode("ascii")
