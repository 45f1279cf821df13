"""Where a folder has the clips of each split: .skels, or lifted clips."""

import pathlib

from data_pipeline.keypoints import find_splits
from data_pipeline.lifting import lifted_folder

SPLITS = find_splits.SPLITS
REQUIRED = ("skels", "text")  # kinds of file that every split needs
OPTIONAL = ("gloss", "files")


def names(folder: pathlib.Path) -> dict[str, str]:
  """The name of the files or of the folder of each split, as `find_splits`."""
  lifted = lifted_folder.folders(folder)
  named = find_splits.stems(folder) | find_splits.places(lifted, folder)
  return {split: named.get(split, split) for split in SPLITS}


def lifted(folder: pathlib.Path, split: str, name: str) -> pathlib.Path | None:
  """The folder of a split's lifted clips; None if there is none.

  A folder of lifted clips without splits is the split train.
  """
  if split == "train" and lifted_folder.is_lifted(folder):
    return folder
  return folder / name if lifted_folder.is_lifted(folder / name) else None


def present(folder: pathlib.Path, split: str, name: str) -> bool:
  """Whether any file of a split exists; an incomplete split is an error."""
  return lifted(folder, split, name) is not None or any(
    (folder / f"{name}.{kind}").exists() for kind in (*REQUIRED, *OPTIONAL)
  )
