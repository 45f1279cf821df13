"""Folders of checkpoints: committed, staged, replaced and deleted steps.

<step>            committed
<step>.saving     staged; Orbax adds a suffix while it writes
<step>.replaced   an earlier save of a step that is being committed again
<step>.deleting   renamed first, so that a half-deleted step does not look whole
"""

import os
import pathlib
import re
import shutil

from absl import logging

from signllm_jax.runs import checkpoint_manifest, fault_injection

_STEP = re.compile(r"0|[1-9]\d*", re.ASCII)
_LEFTOVER = re.compile(r"(\d+)\.(saving|replaced|deleting).*", re.ASCII)


def committed(folder: pathlib.Path) -> list[int]:
  """Committed steps, ascending; none where there is no folder."""
  if not folder.exists():
    return []
  names = (path.name for path in folder.iterdir())
  return sorted(int(name) for name in names if _STEP.fullmatch(name))


def staged(folder: pathlib.Path, step: int) -> pathlib.Path:
  """Folder that a step is written to before it is committed."""
  return folder / f"{step}.saving"


def publish(folder: pathlib.Path, step: int) -> None:
  """Commits a staged step; an earlier save of the same step gives way."""
  path, replaced = folder / str(step), folder / f"{step}.replaced"
  if path.exists():
    os.rename(path, replaced)
    checkpoint_manifest.sync_folder(folder)
    fault_injection.point("step_set_aside")
  os.rename(staged(folder, step), path)
  checkpoint_manifest.sync_folder(folder)
  fault_injection.point("step_published")
  if replaced.exists():
    shutil.rmtree(replaced)


def delete(folder: pathlib.Path, step: int) -> None:
  """Deletes a committed step."""
  doomed = folder / f"{step}.deleting"
  os.rename(folder / str(step), doomed)
  shutil.rmtree(doomed)
  fault_injection.point("old_deleted")


def remove_leftovers(folder: pathlib.Path) -> None:
  """Removes what an interrupted save left; a replaced step comes back."""
  for path in sorted(folder.iterdir()):
    found = _LEFTOVER.fullmatch(path.name)
    if not found:
      continue
    number, kind = found.groups()
    if kind == "replaced" and not (folder / number).exists():
      logging.warning("%s: brought back, its next save is unfinished", path)
      os.rename(path, folder / number)
    else:
      logging.warning("%s: removed, left by an unfinished save", path)
      shutil.rmtree(path)
