"""What the processes of a build on Apache Beam hand to each other.

A folder that all of them see, or a prefix of a bucket:

  todo/ID       some clips and how records are made of them; ID is its SHA-256
  parts/ID.records, parts/ID.json
                their records, one after another, and what became of each clip;
                the second is written last
  plans/ID      the records of a shard, in order; ID is its SHA-256
  shards/ID, shards/ID.json
                the shard, then its size and SHA-256
  qualities     split, name and quality of every lifted clip
  shards.json   ID, size and SHA-256 of every shard of the build, by its name

A killed build that is begun again takes the parts and shards that are there.
"""

import concurrent.futures
import hashlib
import pathlib
import shutil
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import msgspec

from signllm_jax.core import (
  atomic_files,
  buckets,
  errors,
  foreign_files,
  paths,
)

_THREADS = 16  # requests of a bucket at once
_LIST = "qualities"
_MOST = 1 << 32  # bytes of an object that is read whole


class Entry(msgspec.Struct, frozen=True):
  """A clip in a part.

  Attributes:
    split: of the clip.
    name: of the clip.
    made_from: digest of its sources; empty if it is made anew in every run.
    kept: whether the policy keeps the clip.
    fault: why the clip is bad; empty if it is not.
    measured: its quality, if it was lifted.
    part: the part with its record.
    start: of the record in the part, in bytes.
    size: of the record in bytes; 0 without one.
  """

  split: str
  name: str
  made_from: str = ""
  kept: bool = True
  fault: str = ""
  measured: dict[str, Any] | None = None
  part: str = ""
  start: int = 0
  size: int = 0


class Shard(msgspec.Struct, frozen=True):
  """A written shard."""

  ident: str
  size: int  # bytes
  sha256: str


class Plan(msgspec.Struct, frozen=True):
  """The records of a shard: part, start and size of each."""

  file_format: str
  name: str
  records: list[tuple[str, int, int]]


class Store:
  """The folder of one build; may be pickled."""

  def __init__(self, root: paths.AnyPath):
    self.root = root

  def path(self, *parts: str) -> paths.AnyPath:
    """The path of an object."""
    return paths.resolve(self.root, *parts)

  def make(self) -> None:
    """Makes its folders."""
    for kind in ("todo", "parts", "plans", "shards"):
      atomic_files.make_folder(self.path(kind))

  def write(self, data: bytes, *parts: str) -> None:
    """Writes an object whole.

    Raises:
      StorageError: it cannot be written.
    """
    with atomic_files.atomic_write(self.path(*parts)) as temporary:
      temporary.write_bytes(data)

  def write_hashed(self, data: bytes, kind: str) -> str:
    """Writes an object under the SHA-256 of its content, which is returned."""
    ident = hashlib.sha256(data).hexdigest()
    self.write(data, kind, ident)
    return ident

  def read_hashed(self, kind: str, ident: str) -> bytes:
    """Reads what `write_hashed` wrote.

    Raises:
      DataError: it is missing or other content.
      StorageError: it cannot be read.
    """
    path = self.path(kind, ident)
    data = foreign_files.read(path, _MOST)
    if hashlib.sha256(data).hexdigest() != ident:
      raise errors.DataError("other content than was written", path=path)
    return data

  def finished(self, kind: str) -> set[str]:
    """The names of parts or shards that are complete."""
    suffix = ".json"
    return {
      name.removesuffix(suffix)
      for name in _names(self.path(kind))
      if name.endswith(suffix) and not name.startswith(".")
    }

  def entries(self) -> list[Entry]:
    """The clips of all complete parts.

    Raises:
      DataError: one is damaged.
      StorageError: one cannot be read.
    """

    def read(ident: str) -> list[Entry]:
      return self._parsed(list[Entry], "parts", f"{ident}.json")

    return [
      entry
      for found in _each(read, sorted(self.finished("parts")))
      for entry in found
    ]

  def shard(self, ident: str) -> Shard:
    """What is known of a written shard; raises as `entries`."""
    return self._parsed(Shard, "shards", f"{ident}.json")

  def shards(self) -> dict[str, Shard]:
    """The shards of the build by their names; none before they are complete.

    Raises:
      DataError, StorageError: as `entries`.
    """
    if not foreign_files.exists(self.path("shards.json")):
      return {}
    return self._parsed(dict[str, Shard], "shards.json")

  def write_qualities(
    self, found: list[tuple[str, str, dict[str, Any]]]
  ) -> None:
    """Writes split, name and record of each lifted clip."""
    self.write(msgspec.json.encode(sorted(found, key=lambda x: x[:2])), _LIST)

  def qualities(self) -> list[tuple[str, str, dict[str, Any]]]:
    """What `write_qualities` wrote; raises as `entries`."""
    return self._parsed(list[tuple[str, str, dict[str, Any]]], _LIST)

  def _parsed(self, kind: Any, *parts: str) -> Any:
    path = self.path(*parts)
    data = foreign_files.read(path, _MOST)
    with foreign_files.parsing(path, "file of a build on Beam"):
      return msgspec.json.decode(data, type=kind)

  def records(self, plan: Plan) -> Iterator[bytes]:
    """Yields the records of a shard; some are read ahead of a bucket.

    Raises:
      StorageError: a part cannot be read.
    """
    window = 4 * _THREADS
    for start in range(0, len(plan.records), window):
      part = plan.records[start : start + window]
      yield from _each(lambda each: self._record(*each), part)

  def _record(self, part: str, start: int, size: int) -> bytes:
    path = self.path("parts", f"{part}.records")
    try:
      if isinstance(path, buckets.BucketPath):
        data = path.read_range(start, size)
      else:
        data = _read_range(path, start, size)
    except OSError as error:
      raise errors.StorageError(
        f"cannot be read: {error}", path=path
      ) from error
    if len(data) != size:
      raise errors.StorageError(
        f"{len(data)} bytes from {start}", path=path, expected=f"{size}"
      )
    return data

  def remove(self) -> None:
    """Removes the store, and folders above it that are left empty.

    Raises:
      OSError: something cannot be removed.
    """
    if isinstance(self.root, buckets.BucketPath):
      root = self.root

      def remove(entry: buckets.Entry) -> None:
        (root / entry.name).unlink(missing_ok=True)

      for _ in _each(remove, root.files()):
        pass
      return
    shutil.rmtree(self.root, ignore_errors=True)
    for parent in self.root.parents[:3]:  # of the configuration, data set, all
      if parent.is_dir() and not any(parent.iterdir()):
        parent.rmdir()


def _names(folder: paths.AnyPath) -> list[str]:
  try:
    if isinstance(folder, buckets.BucketPath):
      return [entry.name for entry in folder.files()]
    return [path.name for path in folder.iterdir()]
  except OSError as error:
    raise errors.StorageError(
      f"cannot be listed: {error}", path=folder
    ) from error


def _each(call: Callable[[Any], Any], items: Iterable[Any]) -> Iterator[Any]:
  """Yields the results of calls in order; threads wait for a bucket."""
  with concurrent.futures.ThreadPoolExecutor(_THREADS) as pool:
    yield from pool.map(call, items)


def _read_range(path: pathlib.Path, start: int, size: int) -> bytes:
  with open(path, "rb", buffering=0) as file:
    file.seek(start)
    return file.read(size)
