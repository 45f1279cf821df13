"""Checkpoints in a bucket: committed by one object, written last.

checkpoints/<step>/manifest.json            commits the step; names its folder
checkpoints/<step>/save-<id>/state.safetensors
quarantine/<step>-<time>/...                copies of a damaged step

A save is written on this machine, then uploaded under an id of its own, then
committed by its manifest. A later save of the step replaces the manifest, and
then the files of the earlier one are deleted. So at every moment a manifest
names whole files. What no manifest names was left by an unfinished save.
"""

import concurrent.futures
import contextlib
import pathlib
import re
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from absl import logging

from signllm_jax.core import buckets, errors, paths
from signllm_jax.runs import (
  array_file,
  checkpoint_manifest,
  fault_injection,
  step_copies,
)

_OBJECT = re.compile(r"(0|[1-9]\d*)/(.+)", re.ASCII | re.DOTALL)
_SAVE = re.compile(r"(save-[0-9a-f]{12})/.+", re.ASCII | re.DOTALL)
_AT_ONCE = 8  # objects that are copied in parallel


class BucketSteps:
  """The steps of a folder in a bucket; methods as of `DiskSteps`."""

  def __init__(
    self, folder: buckets.BucketPath, check: Callable[[], None] | None = None
  ):
    """Names the folder.

    Args:
      folder: of the checkpoints.
      check: raises where this process may not commit any more.
    """
    self._folder, self._check = folder, check
    self._staged: dict[int, tuple[pathlib.Path, str]] = {}  # folder and id
    self._copies: dict[int, step_copies.Copy] = {}

  @property
  def quarantine(self) -> buckets.BucketPath:
    """Folder of the damaged steps."""
    return self._folder.parent / "quarantine"

  def path(self, step: int) -> buckets.BucketPath:
    """Folder of a step."""
    return self._folder / str(step)

  def prepare(self) -> None:
    """Removes what unfinished saves left."""
    self.remove_leftovers()

  def _names(self) -> dict[int, list[str]]:
    """Objects by step, as the bucket lists them."""
    found: dict[int, list[str]] = {}
    for entry in self._folder.files():
      if match := _OBJECT.fullmatch(entry.name):
        found.setdefault(int(match[1]), []).append(match[2])
    return found

  def _manifest_of(self, step: int) -> buckets.BucketPath:
    return self.path(step) / checkpoint_manifest.NAME

  def committed(self) -> list[int]:
    """Committed steps, ascending. A list may still show what is deleted."""
    with _reading(self._folder):
      return sorted(
        step
        for step, names in self._names().items()
        if checkpoint_manifest.NAME in names and self.is_committed(step)
      )

  def is_committed(self, step: int) -> bool:
    """Whether a step is committed."""
    return self._manifest_of(step).has_content()

  def start_writing(
    self, step: int, host: dict[str, np.ndarray]
  ) -> Callable[[], None]:
    """Returns what writes the arrays on the machine of process 0."""
    if jax.process_index():
      return lambda: None
    parent = pathlib.Path(tempfile.mkdtemp(dir=paths.scratch()))
    self._staged[step] = parent / str(step), f"save-{uuid.uuid4().hex[:12]}"
    return lambda: array_file.write(self.staged(step), host)

  def staged(self, step: int) -> pathlib.Path:
    """Folder that the step is written to before it is committed."""
    return self._staged[step][0]

  def fields(self, step: int) -> dict[str, Any]:
    """Fields that the manifest of a staged step needs besides."""
    return {"folder": self._staged[step][1]}

  def publish(self, step: int) -> None:
    """Uploads a staged step and commits it."""
    staged, name = self._staged.pop(step)
    target = self.path(step) / name
    files = [
      path.relative_to(staged).as_posix()
      for path in sorted(staged.rglob("*"))
      if path.is_file() and path != staged / checkpoint_manifest.NAME
    ]

    def upload(file: str) -> None:
      (target / file).upload(staged / file)
      fault_injection.point("object_uploaded")

    _each(upload, files)
    fault_injection.point("objects_uploaded")
    if self._check is not None:
      self._check()
    self._manifest_of(step).upload(staged / checkpoint_manifest.NAME)
    fault_injection.point("step_published")
    shutil.rmtree(staged.parent)
    self._delete_other_saves(step, self._names().get(step, []), name)

  def _delete_other_saves(self, step: int, names: list[str], keep: str) -> None:
    others = [
      name
      for name in names
      if (save := _SAVE.fullmatch(name)) and save[1] != keep
    ]
    self._delete(step, others)

  def _delete(self, step: int, names: list[str]) -> None:
    _each(lambda name: (self.path(step) / name).unlink(missing_ok=True), names)

  def delete(self, step: int) -> None:
    """Deletes a committed step: first what commits it."""
    self._manifest_of(step).unlink(missing_ok=True)
    self._delete(step, self._names().get(step, []))
    fault_injection.point("old_deleted")

  def remove_leftovers(self) -> None:
    """Deletes objects that no manifest names.

    A list may lag, so the bucket is asked for each manifest itself.
    """
    for staged, _ in self._staged.values():
      shutil.rmtree(staged.parent, ignore_errors=True)
    self._staged.clear()
    for step, names in self._names().items():
      if not self.is_committed(step):
        logging.warning(
          "%s: removed, left by an unfinished save", self.path(step)
        )
        self._delete(step, names)
        continue
      with contextlib.suppress(checkpoint_manifest.Damaged):
        self._delete_other_saves(step, names, self.manifest(step)["folder"])

  def manifest(self, step: int) -> dict[str, Any]:
    """Reads the manifest of a step.

    Raises:
      Damaged, DataError: as `checkpoint_manifest.read`.
      StorageError: it cannot be read, which damages nothing.
    """
    path = self._manifest_of(step)
    with _reading(path):
      try:
        data = path.read_bytes()
      except FileNotFoundError as error:
        raise checkpoint_manifest.Damaged(f"{path.name}: absent") from error
    manifest = checkpoint_manifest.parse(data, self.path(step))
    return {"folder": "", **manifest}

  def verify(self, step: int, leaves: dict[str, str]) -> None:
    """Copies a step to this machine and checks it as it is on the disk.

    Raises:
      Damaged, UsageError, DataError: as `checkpoint_manifest.verify`.
      StorageError: an object cannot be read, which damages nothing.
    """
    with _reading(self.path(step)):
      self._verify(step, leaves)

  def _verify(self, step: int, leaves: dict[str, str]) -> None:
    manifest = self.manifest(step)
    checkpoint_manifest.check_leaves(manifest, leaves, self.path(step))
    if known := step_copies.known(self.path(step), manifest):
      self._copies[step] = known
      return
    copy = pathlib.Path(tempfile.mkdtemp(dir=paths.scratch()))
    if before := self._copies.pop(step, None):
      shutil.rmtree(before.folder, ignore_errors=True)
    expected = checkpoint_manifest.files_of(manifest)
    others: dict[str, str] = {}
    found = []
    for entry in self.path(step).files():
      save = _SAVE.fullmatch(entry.name)
      if save and save[1] != manifest["folder"]:
        continue  # of another save, which may be going on
      size = f"{entry.size} bytes"
      if entry.name == checkpoint_manifest.NAME:
        continue
      if not expected.get(entry.name, "").startswith(f"{size},"):
        others[entry.name] = size
      else:
        found.append(entry.name)

    def download(name: str) -> None:
      (copy / name).parent.mkdir(parents=True, exist_ok=True)
      with contextlib.suppress(FileNotFoundError):  # missed below
        (self.path(step) / name).download(copy / name)

    try:
      _each(download, found)
      checkpoint_manifest.check_files(
        checkpoint_manifest.measure(copy) | others, expected
      )
    except BaseException:
      shutil.rmtree(copy, ignore_errors=True)
      raise
    self._copies[step] = step_copies.Copy(copy, manifest)

  def load(
    self, step: int, arrays: dict[str, jax.ShapeDtypeStruct]
  ) -> dict[str, jax.Array]:
    """Reads arrays of a step, from a verified copy on every machine."""
    if step not in self._copies:
      self.verify(step, self.manifest(step)["leaves"])
    copy = self._copies.pop(step)
    try:
      return array_file.load(copy.folder / copy.manifest["folder"], arrays)
    finally:
      step_copies.release(self.path(step), copy)

  def move_to_quarantine(self, step: int) -> buckets.BucketPath:
    """Copies a damaged step aside and deletes it; returns the new path.

    Raises:
      StorageError: it cannot be copied or deleted.
    """
    target = checkpoint_manifest.quarantine_name(self.quarantine, step)
    names = self._names().get(step, [])
    with checkpoint_manifest.quarantining(self.path(step), target):
      _each(lambda name: (self.path(step) / name).copy_to(target / name), names)
      self._manifest_of(step).unlink(missing_ok=True)
      self._delete(step, names)
    return target

  def close(self) -> None:
    """Removes the copies of this machine."""
    for step, copy in self._copies.items():
      step_copies.release(self.path(step), copy)
    self._copies.clear()


@contextlib.contextmanager
def _reading(path: buckets.BucketPath) -> Iterator[None]:
  """Turns errors of the bucket into a StorageError."""
  try:
    yield
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error


def _each(work: Callable[[str], None], names: list[str]) -> None:
  """Does some work for names, several at once; raises the first error."""
  with concurrent.futures.ThreadPoolExecutor(_AT_ONCE) as pool:
    list(pool.map(work, names))
