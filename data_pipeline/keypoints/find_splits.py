"""Finds clips of keypoints by split."""

import os
import pathlib
from typing import Any

from data_pipeline.keypoints import clip_source, find_clips, recordings
from signllm_jax.core import errors

SPLITS = ("train", "dev", "test")


def find(
  path: str | os.PathLike,
  *,
  names: str | os.PathLike | None = None,
  **options: Any,
) -> dict[str, list[clip_source.Source]]:
  """Finds keypoints by split, in folders train, dev and test.

  Without these folders all clips are train.

  Args:
    path: file or folder.
    names: file with the texts of signs, as `recordings.name_signs`.
    **options: further arguments of `find_clips.find`.

  Raises:
    DataError: as `find_clips.find` and `recordings.name_signs`; a folder dev or
      test but no train, or other folders beside train.
  """
  found = _find(pathlib.Path(path), **options)
  return found if names is None else recordings.name_signs(found, names)


def _find(
  path: pathlib.Path, **options: Any
) -> dict[str, list[clip_source.Source]]:
  present = [split for split in SPLITS if (path / split).is_dir()]
  if not present:
    return {"train": find_clips.find(path, **options)}
  if "train" not in present:
    raise errors.DataError(
      f"a folder {present[0]} but no train", path=path, expected="train"
    )
  others = sorted(
    child.name
    for child in path.iterdir()
    if child.is_dir() and child.name not in SPLITS and child.name[0] != "."
  )
  if others:
    raise errors.DataError(
      f"a folder {others[0]!r} beside train",
      path=path,
      expected="train, dev and test only",
      hint="Name the splits train, dev and test; move other folders elsewhere",
    )
  return {split: find_clips.find(path / split, **options) for split in present}
