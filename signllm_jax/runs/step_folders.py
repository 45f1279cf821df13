"""Checkpoints on a disk: committed, staged, replaced and deleted steps.

<step>            committed
<step>.saving     staged; Orbax adds a suffix while it writes
<step>.replaced   an earlier save of a step that is being committed again
<step>.deleting   renamed first, so that a half-deleted step does not look whole
"""

import contextlib
import os
import pathlib
import re
import shutil
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from absl import logging
from orbax.checkpoint import v1 as ocp

from signllm_jax.runs import (
  array_file,
  checkpoint_manifest,
  fault_injection,
  literal_paths,
  zarr_chunks,
)

_STEP = re.compile(r"0|[1-9]\d*", re.ASCII)
_LEFTOVER = re.compile(r"(\d+)\.(saving|replaced|deleting).*", re.ASCII)


class DiskSteps:
  """The steps of a folder of checkpoints."""

  def __init__(self, folder: pathlib.Path):
    """Names the folder."""
    self._folder = folder

  @property
  def quarantine(self) -> pathlib.Path:
    """Folder of the damaged steps."""
    return self._folder.parent / "quarantine"

  def path(self, step: int) -> pathlib.Path:
    """Folder of a step."""
    return self._folder / str(step)

  def prepare(self) -> None:
    """Makes the folder and removes what unfinished saves left."""
    self._folder.mkdir(parents=True, exist_ok=True)
    self.remove_leftovers()

  def committed(self) -> list[int]:
    """Committed steps, ascending; none where there is no folder."""
    if not self._folder.exists():
      return []
    names = (path.name for path in self._folder.iterdir())
    return sorted(int(name) for name in names if _STEP.fullmatch(name))

  def is_committed(self, step: int) -> bool:
    """Whether a step is committed; an OSError if the folder is gone."""
    # Orbax would make another folder.
    return str(step) in os.listdir(self._folder)

  def start_writing(
    self, step: int, host: dict[str, np.ndarray]
  ) -> Callable[[], None]:
    """Begins to write the arrays of a staged step; returns its end."""
    with contextlib.ExitStack() as on_error:
      root = on_error.enter_context(literal_paths.literal_path(self._folder))
      written = ocp.save_async(f"{root}/{self.staged(step).name}", host)
      opened = on_error.pop_all()

    def finish() -> None:
      with opened:
        written.result()

    return finish

  def staged(self, step: int) -> pathlib.Path:
    """Folder that a step is written to before it is committed."""
    return self._folder / f"{step}.saving"

  def fields(self, step: int) -> dict[str, Any]:
    """Fields that the manifest of a staged step needs besides."""
    del step
    return {}

  def publish(self, step: int) -> None:
    """Commits a staged step; an earlier save of the same step gives way."""
    path, replaced = self.path(step), self._folder / f"{step}.replaced"
    if path.exists():
      os.rename(path, replaced)
      checkpoint_manifest.sync_folder(self._folder)
      fault_injection.point("step_set_aside")
    os.rename(self.staged(step), path)
    checkpoint_manifest.sync_folder(self._folder)
    fault_injection.point("step_published")
    if replaced.exists():
      shutil.rmtree(replaced)

  def delete(self, step: int) -> None:
    """Deletes a committed step."""
    doomed = self._folder / f"{step}.deleting"
    os.rename(self.path(step), doomed)
    shutil.rmtree(doomed)
    fault_injection.point("old_deleted")

  def remove_leftovers(self) -> None:
    """Removes what an interrupted save left; a replaced step comes back."""
    for path in sorted(self._folder.iterdir()):
      found = _LEFTOVER.fullmatch(path.name)
      if not found:
        continue
      number, kind = found.groups()
      if kind == "replaced" and not (self._folder / number).exists():
        logging.warning("%s: brought back, its next save is unfinished", path)
        os.rename(path, self._folder / number)
      else:
        logging.warning("%s: removed, left by an unfinished save", path)
        shutil.rmtree(path)

  def manifest(self, step: int) -> dict[str, Any]:
    """Reads the manifest of a step; raises as `checkpoint_manifest.read`."""
    return checkpoint_manifest.read(self.path(step))

  def verify(self, step: int, leaves: dict[str, str]) -> None:
    """Checks a step; raises as `checkpoint_manifest.verify`."""
    checkpoint_manifest.verify(self.path(step), leaves)
    if not self.manifest(step).get("folder"):  # not a copy from a bucket
      with literal_paths.literal_path(self._folder) as root:
        zarr_chunks.check(f"{root}/{step}", leaves)

  def load(
    self, step: int, arrays: dict[str, jax.ShapeDtypeStruct]
  ) -> dict[str, jax.Array]:
    """Reads arrays of a step into their shardings."""
    inside = self.manifest(step).get("folder", "")
    if inside:  # a copy from a bucket
      return array_file.load(self.path(step) / inside, arrays)
    with literal_paths.literal_path(self._folder) as root:
      return ocp.load(f"{root}/{step}", arrays)

  def move_to_quarantine(self, step: int) -> pathlib.Path:
    """Moves a damaged step aside for inspection; returns the new path.

    Raises:
      StorageError: it cannot be moved.
    """
    target = checkpoint_manifest.quarantine_name(self.quarantine, step)
    with checkpoint_manifest.quarantining(self.path(step), target):
      target.parent.mkdir(exist_ok=True)
      os.rename(self.path(step), target)
    return target

  def close(self) -> None:
    """Keeps nothing."""
