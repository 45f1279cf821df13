"""Objects of buckets: gs:// by gcsfs, s3:// by s3fs, with pathlib's names.

A bucket has no folders, renames, appends or locks. What stands here is what it
has: whole objects that are read, written, copied and deleted, and a write that
fails where the object exists. Every failure is an OSError, as of a disk.
Requests that fail are tried again by the client, six times within a minute.
"""

import contextlib
import errno
import os
import pathlib
import posixpath
import re
import uuid
from collections.abc import Iterator
from typing import Any, NamedTuple

from signllm_jax.core import bucket_clients, errors
from signllm_jax.core.bucket_clients import SCHEMES, os_errors

_URL = re.compile(r"(\w+)://+([a-z0-9][a-z0-9._-]{1,221})(?:/(.*))?", re.DOTALL)


class Entry(NamedTuple):
  """An object below a path."""

  name: str  # relative to it, with slashes
  size: int  # bytes


class Status(NamedTuple):
  """What is known of an object."""

  st_size: int  # bytes


class BucketPath(os.PathLike[str]):
  """An object of a bucket, or the prefix of several.

  Whatever asks the bucket raises an OSError where it fails.
  """

  def __init__(self, url: str | os.PathLike[str]):
    """Names an object; nothing is asked of the bucket.

    Raises:
      UsageError: no URL of a bucket.
    """
    text = os.fspath(url)
    match = _URL.fullmatch(text)
    parts = (
      [part for part in match[3].split("/") if part]
      if (match and match[3])
      else []
    )
    if (
      match is None
      or match[1] not in SCHEMES
      or {".", ".."} & set(parts)
      or any(ord(c) < 32 or c in "#?*[" for c in "".join(parts))
    ):
      raise errors.UsageError(
        "no object of a bucket",
        path=text,
        expected=" or ".join(f"{scheme}://BUCKET/NAME" for scheme in SCHEMES)
        + ", without . .. # ? * [ in the name",
      )
    self.scheme, self.bucket = match[1], match[2]
    self.key = "/".join(parts)

  def __fspath__(self) -> str:
    return f"{self.scheme}://{self._object}"

  __str__ = __fspath__

  def __repr__(self) -> str:
    return f"BucketPath({str(self)!r})"

  def __eq__(self, other: object) -> bool:
    return isinstance(other, BucketPath) and str(self) == str(other)

  def __lt__(self, other: "BucketPath") -> bool:
    return str(self) < str(other)

  def __hash__(self) -> int:
    return hash(str(self))

  def __truediv__(self, name: str | os.PathLike[str]) -> "BucketPath":
    return BucketPath(f"{self}/{os.fspath(name)}")

  @property
  def _object(self) -> str:
    return f"{self.bucket}/{self.key}".removesuffix("/")

  @property
  def _client(self) -> Any:
    return bucket_clients.client(self.scheme)

  @property
  def name(self) -> str:
    """The last part of the name."""
    return posixpath.basename(self._object)

  @property
  def suffix(self) -> str:
    """The ending of the name, with its dot."""
    return pathlib.PurePosixPath(self.name).suffix

  @property
  def stem(self) -> str:
    """The name without its ending."""
    return pathlib.PurePosixPath(self.name).stem

  @property
  def parent(self) -> "BucketPath":
    """The path without its last part; a bucket is its own parent."""
    if not self.key:
      return self
    return BucketPath(f"{self.scheme}://{posixpath.dirname(self._object)}")

  def with_name(self, name: str) -> "BucketPath":
    """The path with another last part."""
    return self.parent / name

  # ---- asking

  def _info(self) -> dict[str, Any] | None:
    """What the bucket says of an object or prefix; None of neither."""
    with os_errors(str(self)):
      try:
        return self._client.info(self._object)
      except FileNotFoundError:
        return None

  def exists(self) -> bool:
    """Whether there is an object of this name, or any below it."""
    return self._info() is not None

  def is_file(self) -> bool:
    """Whether there is an object of this name."""
    info = self._info()
    return info is not None and info["type"] == "file"

  def has_content(self) -> bool:
    """Whether there is an object of this name that is not empty.

    One request, where `is_file` takes two.
    """
    try:
      return bool(self.read_range(0, 1))
    except FileNotFoundError:
      return False

  def is_dir(self) -> bool:
    """Whether there are objects below this name."""
    info = self._info()
    return info is not None and info["type"] == "directory"

  def stat(self) -> Status:
    """Size of the object."""
    info = self._info()
    if info is None or info["type"] != "file":
      raise FileNotFoundError(errno.ENOENT, "no such object", str(self))
    return Status(int(info["size"]))

  def modified(self) -> float:
    """When the object was written by the bucket's clock, in seconds."""
    self.stat()
    with os_errors(str(self)):
      return self._client.modified(self._object).timestamp()

  def iterdir(self) -> Iterator["BucketPath"]:
    """Yields the objects and prefixes right below."""
    with os_errors(str(self)):
      found = self._client.ls(self._object, detail=False)
    names = {posixpath.basename(each.rstrip("/")) for each in found}
    for name in sorted(names - {""}):
      yield self / name

  def files(self) -> list[Entry]:
    """The objects below this name, sorted; none where there is nothing."""
    with os_errors(str(self)):
      found = self._client.find(self._object, detail=True)
    start = f"{self._object}/"
    return sorted(
      Entry(name.removeprefix(start), int(info["size"]))
      for name, info in found.items()
      if name.startswith(start) and not name.endswith("/")
    )

  # ---- reading

  def read_bytes(self) -> bytes:
    """The whole object."""
    with os_errors(str(self)):
      return self._client.cat_file(self._object)

  def read_text(self, encoding: str = "utf-8") -> str:
    """The whole object as text.

    Raises:
      OSError, UnicodeDecodeError: it cannot be read, or is no such text.
    """
    return self.read_bytes().decode(encoding)

  def read_range(self, start: int, size: int) -> bytes:
    """Up to `size` bytes from `start`; fewer only at the end of the object."""
    with os_errors(str(self)):
      return self._client.cat_file(self._object, start, start + size)

  @contextlib.contextmanager
  def reader(self, buffering: int = bucket_clients.AHEAD) -> Iterator[Any]:
    """Opens the object for reading in order, some MiB ahead."""
    with os_errors(str(self)):
      file = self._client.open(
        self._object, "rb", block_size=buffering, cache_type="readahead"
      )
    with file:
      yield bucket_clients.Reader(file, str(self))

  def download(self, target: pathlib.Path) -> None:
    """Copies the object into a local file."""
    with os_errors(str(self)):
      self._client.get_file(self._object, os.fspath(target))

  # ---- writing

  def write_bytes(self, data: bytes) -> None:
    """Writes the object whole; readers see the old one or this."""
    with os_errors(str(self)):
      self._client.pipe_file(self._object, data)

  def create(self, data: bytes) -> None:
    """Writes the object if there is none; of several writers one succeeds.

    Raises:
      FileExistsError: there is one.
      OSError: it cannot be written.
    """
    with os_errors(str(self)):
      try:
        self._client.pipe_file(self._object, data, mode="create")
      except FileExistsError:
        # An answer that was lost is asked for again and finds our own object.
        if self.read_bytes() != data:
          raise

  def upload(self, source: pathlib.Path) -> None:
    """Writes the object from a local file and compares size and checksum."""
    with os_errors(str(self)):
      self._client.put_file(os.fspath(source), self._object)
    info = self._info() or {}
    found = info.get("size"), info.get("crc32c")
    expected = (
      source.stat().st_size,
      bucket_clients.crc32c(source) if found[1] else None,
    )
    if found != expected:
      raise OSError(
        errno.EIO, f"arrived as {found}; expected {expected}", str(self)
      )

  def copy_to(self, target: "BucketPath") -> None:
    """Copies the object within the bucket."""
    with os_errors(str(self)):
      self._client.cp_file(self._object, target._object)

  def unlink(self, missing_ok: bool = False) -> None:
    """Deletes the object."""
    with os_errors(str(self)):
      try:
        self._client.rm_file(self._object)
      except FileNotFoundError:
        if not missing_ok:
          raise

  def probe(self) -> float:
    """Writes and deletes an object below; returns the bucket's time."""
    path = self / f".probe-{uuid.uuid4().hex}"
    path.write_bytes(b"x")
    try:
      return path.modified()
    finally:
      path.unlink(missing_ok=True)
