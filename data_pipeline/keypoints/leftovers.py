"""Files that look like input and are not read, with the reason.

A file that belongs to no clip is not passed over in silence: `Leftovers`
collects such files, and the commands name them and end with exit code 65.
"""

import os
import pathlib
from collections.abc import Callable, Collection, Iterable

VIDEOS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".webp")
_POSES = ".skels holds poses in 3-D, which are not lifted: build them alone"
_PICKLE = "pickled objects, which are never read: they can run code"
_REASONS = {
  ".json": "JSON, but no frames and no clip of a detector that is read",
  ".csv": "a table of no corpus that is recognised; sentences are read from "
  "clips.files and clips.text",
  ".tsv": "a table of no corpus that is recognised; sentences are read from "
  "clips.files and clips.text",
  ".text": "sentences without poses; those of keypoints are clips.text",
  ".gloss": "glosses without poses; those of keypoints are clips.gloss",
  ".files": "names without poses; those of keypoints are clips.files",
  ".skels": _POSES,
  ".parquet": "landmarks of no corpus that is recognised",
  ".pkl": _PICKLE,
  ".pickle": _PICKLE,
  ".joblib": _PICKLE,
  ".npy": "no frame of MediaPipe's landmarks",
  ".npz": "no landmarks and no frames of DWPose",
  ".mat": "MATLAB's form is not read",
  ".zip": "an archive; unpack it first",
  ".gz": "an archive; unpack it first",
  ".tar": "an archive; unpack it first",
  ".7z": "an archive; unpack it first",
  ".rar": "an archive; unpack it first",
  **dict.fromkeys(
    VIDEOS, "a video without keypoints; launch/video.sh makes them"
  ),
}
_SIDECARS = {f"clips.{kind}" for kind in ("files", "text", "gloss")}


class Leftovers:
  """Collects files of a tree that belong to no clip."""

  def __init__(self, known: Collection[str] = ()):
    """Starts without files.

    Args:
      known: paths that are read elsewhere.
    """
    self._passed_over = {*known, *_SIDECARS}
    self._files: list[str] = []
    self._pictures: list[str] = []  # their folders

  def add(self, folder: str, names: Iterable[str]) -> None:
    """Adds the files of a folder that are in no clip."""
    for name in names:
      suffix = os.path.splitext(name)[1].lower()
      path = os.path.join(folder, name)
      if suffix in _PICTURES:
        if folder not in self._pictures[-1:]:
          self._pictures.append(folder)
      elif suffix in _REASONS and not {name, path} & self._passed_over:
        self._files.append(path)

  def with_suffix(self, suffix: str) -> list[str]:
    """Names of the files with a suffix, in the order they were added."""
    return [
      os.path.basename(path) for path in self._files if path.endswith(suffix)
    ]

  def report(
    self, clip_names: Collection[str], leave: Callable[[str, str], None]
  ) -> None:
    """Reports each file; videos and pictures only if no clip is theirs.

    Args:
      clip_names: names of the clips that were found.
      leave: called with a path and the reason.
    """
    stems = {os.path.basename(name) for name in clip_names}
    for path in self._files:
      stem, suffix = os.path.splitext(os.path.basename(path))
      if suffix.lower() not in VIDEOS or stem not in stems:
        leave(path, _REASONS[suffix.lower()])
    for folder in self._pictures:
      parts = pathlib.Path(folder).parts
      if not stems.intersection(parts):
        leave(folder, "pictures without keypoints; a detector must run first")
