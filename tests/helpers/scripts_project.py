"""A copy of the scripts in a project without packages."""

import hashlib
import pathlib
import shutil

from helpers.paths import ROOT

_EMPTY = hashlib.sha256(b"").hexdigest()


def copy_scripts(folder: pathlib.Path) -> pathlib.Path:
  """Writes launch/, an empty lock and an empty project into a folder."""
  shutil.copytree(ROOT / "launch", folder / "launch")
  for name in ("requirements.lock", "pyproject.toml", "setup.py"):
    (folder / name).write_text("")
  return folder


def stamp_setup(project: pathlib.Path) -> pathlib.Path:
  """Marks the project of `copy_scripts` as set up; returns the stamp."""
  stamp = project / ".venv" / ".installed-sha256"
  stamp.parent.mkdir(parents=True, exist_ok=True)
  stamp.write_text(f"{_EMPTY} {_EMPTY}\n")
  return stamp
