"""Splits of a folder: what their names mean, and the clips of each.

A split may have any usual name (`val`, `Dev`, `train_2D_keypoints`). A name
that may be one of a split but is not certain is refused: its clips would land
in train.
"""

import os
import pathlib
import re
from collections.abc import Callable, Iterable
from typing import Any

from data_pipeline.keypoints import clip_source, find_clips, recordings
from signllm_jax.core import errors

SPLITS = ("train", "dev", "test")
_WORDS = {
  **dict.fromkeys(("train", "training", "trn"), "train"),
  **dict.fromkeys(("dev", "devel", "development"), "dev"),
  **dict.fromkeys(("val", "valid", "validation"), "dev"),
  **dict.fromkeys(("test", "testing", "tst"), "test"),
}
# Words that may stand beside the word of a split.
_BESIDE = re.compile(
  r"[23]d|keypoints?|openpose|mediapipe|dwpose|holistic|poses?|skels?|json|"
  r"output|landmarks?|points|sets?|splits?|data|dataset|files?|videos?|clips?|"
  r"rgb|front|color|raw|skel|lifted|seen|unseen|final|"
  r"how2sign|phoenix|phoenix14t|autsl|the"
)
_DOUBTFUL = re.compile(
  r"(^|[^a-z])((mini|test|train)?(train|val|valid|validation|dev|test)"
  r"|eval(uation)?|held.?out|hold.?out)(set|split|data)?([^a-z]|$)",
  re.IGNORECASE,
)
_MANY = 50  # folders beside each other that are clips, not splits


def split_of(name: str) -> str | None:
  """The split that a name certainly means; None if it is none for certain.

  One word of the name must be that of a split, and the others such as go with
  it: `val_2D_keypoints` is dev, `test_drive` is nothing.
  """
  words = [
    re.sub(r"(?<=.)(set|split)$", "", word)
    for word in re.split(r"[^a-z0-9]+", name.lower())
    if word
  ]
  found = [_WORDS[word] for word in words if word in _WORDS]
  others = [word for word in words if word not in _WORDS]
  if len(found) != 1 or not all(map(_BESIDE.fullmatch, others)):
    return None
  return found[0]


def places(names: Iterable[str], path: str | os.PathLike) -> dict[str, str]:
  """The name of each split among names, in the order of SPLITS.

  Args:
    names: of folders, or of files without their suffix.
    path: where they are, for the message.

  Raises:
    DataError: two names mean one split, or a name beside them may be a split.
  """
  found: dict[str, str] = {}
  others = []
  for name in sorted(names):
    split = split_of(name)
    if split is None:
      others.append(name)
    elif split in found:
      raise errors.DataError(
        f"{found[split]!r} and {name!r} are both the split {split}",
        path=path,
        expected="one of each split",
        hint="Move one of them elsewhere, or join them",
      )
    else:
      found[split] = name
  doubtful = [name for name in others if _DOUBTFUL.search(name)]
  if doubtful and (found or len(others) <= _MANY):
    raise errors.DataError(
      f"{doubtful[0]!r} may be a split, and which one is not certain",
      path=path,
      expected="train, dev (or val) and test",
      hint="Rename it, so that its clips do not land in train",
    )
  return {split: found[split] for split in SPLITS if split in found}


def folders(path: pathlib.Path) -> dict[str, pathlib.Path]:
  """The folder of each split in a folder; empty if it has none.

  Raises:
    DataError: as `places`; dev or test without train, or a folder that is no
      split beside train.
    StorageError: the folder cannot be read.
  """
  if not path.is_dir():
    return {}
  try:
    children = sorted(
      child.name
      for child in path.iterdir()
      if child.is_dir() and child.name[0] != "."
    )
  except OSError as error:
    raise errors.StorageError(f"cannot be read: {error}", path=path) from error
  named = places(children, path)
  if not named:
    return {}
  if "train" not in named:
    raise errors.DataError(
      f"a folder {next(iter(named.values()))} but no train",
      path=path,
      expected="train",
    )
  if others := [name for name in children if name not in named.values()]:
    raise errors.DataError(
      f"a folder {others[0]!r} beside train",
      path=path,
      expected="train, dev and test only",
      hint="Name the splits train, dev and test; move other folders elsewhere",
    )
  return {split: path / name for split, name in named.items()}


def stems(path: pathlib.Path) -> dict[str, str]:
  """The stem of each split's .skels in a folder; empty if it has none.

  Raises:
    DataError: as `places`; or a .skels of another name.
  """
  names = {file.stem for file in path.glob("*.skels")}
  for kind in ("text", "gloss", "files"):
    names |= {file.stem for file in path.glob(f"*.{kind}") if names}
  if not names:
    return {}
  found = places(names, path)
  if others := sorted(names - set(found.values())):
    raise errors.DataError(
      f"{others[0]!r} is no split",
      path=path,
      expected="files of train, dev and test only",
      hint="Rename them, or move them elsewhere",
    )
  return found


def find(
  path: str | os.PathLike,
  *,
  names: str | os.PathLike | None = None,
  by_split: dict[str, pathlib.Path] | None = None,
  note: Callable[[str], None] | None = None,
  **options: Any,
) -> dict[str, list[clip_source.Source]]:
  """Finds keypoints by split, in folders of splits.

  Without these folders all clips are train.

  Args:
    path: file or folder.
    names: file with the texts of signs, as `recordings.name_signs`.
    by_split: the folder of each split, where it is known.
    note: called with what a split of another name is taken for.
    **options: further arguments of `find_clips.find`.

  Raises:
    DataError: as `folders`, `find_clips.find` and `recordings.name_signs`.
  """
  path = pathlib.Path(path)
  by_split = folders(path) if by_split is None else by_split
  for split, folder in by_split.items():
    if note and folder.name != split:
      note(f"{folder.name} is taken as the split {split}")
  found = {
    split: find_clips.find(folder, **options)
    for split, folder in (by_split or {"train": path}).items()
  }
  return found if names is None else recordings.name_signs(found, names)
