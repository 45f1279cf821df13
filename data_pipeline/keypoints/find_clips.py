"""Finds and reads clips of 2-D keypoints, in any of the supported forms.

Finding lists folders and the names in HDF5 files. Clips are read one at a time,
so that a damaged clip affects no other:

  for source, result in find_clips.read_all(find_clips.find(path)):
    if isinstance(result, errors.DataError): ...
"""

import collections
import concurrent.futures.process
import contextlib
import dataclasses
import itertools
import multiprocessing
import os
import pathlib
import signal
import threading
from collections.abc import Callable, Iterator, Sequence

from absl import logging

from data_pipeline.keypoints import clip_source, recordings, sidecar_texts
from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import (
  dwpose,
  dwpose_npz,
  frame_files,
  h5,
  mediapipe_arrays,
  openpose,
)

_SUFFIXES = {".pose": "pose", ".h5": "h5", ".hdf5": "h5", ".npz": "npz"}
_SUFFIXES[".pt"] = "slrtp"
_FORMS = (
  "OpenPose's or DWPose's frame files, .pose, .h5, .pt or MediaPipe's landmarks"
)
_FEW = 500  # clips that are read before other processes have started


def find(
  path: str | os.PathLike,
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  skeleton: str = PROMPT2SIGN50.name,
  report: Callable[[str], None] = logging.warning,
) -> list[Source]:
  """Finds the clips of a file, or of a folder and its subfolders, by name.

  A folder may hold frame files (a folder a clip, or all in one), .pose or .h5
  files, or landmark recordings (`recordings.py`), but only one of these forms.
  Clips of the same name get the name of their folder or file as a prefix. If
  clips.files lies in the folder or beside it, its lines are names, and the same
  lines of clips.text and clips.gloss their texts and glosses, kept as they
  stand.

  Args:
    path: the file or folder.
    fps: frames a second, for forms that do not say.
    size: width and height of the picture, for forms that do not say.
    skeleton: name of the skeleton to read.
    report: called with warnings: files that are not clips, names without a
      clip, clips without a name.

  Raises:
    DataError: there is nothing there, no keypoints, keypoints of several forms,
      or clips.text and clips.gloss do not go with clips.files.
    UsageError: landmark recordings, but no size.
    StorageError: a folder cannot be read.
  """
  path = pathlib.Path(path)
  if path.is_dir():
    sources = _find_in_folder(path, report)
  elif path.is_file():
    sources = _find_in_file(path)
  else:
    raise errors.DataError("no such file or folder", path=path, expected=_FORMS)
  _check_size(sources, size, path)
  count = collections.Counter(source.name for source in sources)
  sources = [
    source
    if count[source.name] == 1
    else dataclasses.replace(source, name=f"{_container(source)}-{source.name}")
    for source in sources
  ]
  sources.sort(key=lambda source: source.name)
  for first, second in itertools.pairwise(sources):
    if first.name == second.name:
      raise errors.DataError(
        f"two clips named {first.name!r}", path=path, expected="each name once"
      )
  texts = sidecar_texts.read(path, {source.name for source in sources}, report)
  facts = {"fps": fps, "size": size, "skeleton": skeleton}
  return [
    dataclasses.replace(source, **facts, **texts.get(source.name, {}))
    for source in sources
  ]


def _check_size(
  sources: Sequence[Source], size: tuple[int, int] | None, path: pathlib.Path
) -> None:
  """Raises a UsageError for landmark recordings without a picture size."""
  if size is None and any(source.sign for source in sources):
    raise errors.UsageError(
      "landmarks are shares of the picture, whose size they do not store",
      path=path,
      hint="Give it, such as --size=640x480",
    )


def _find_in_folder(root: pathlib.Path, report) -> list[Source]:
  found = collections.defaultdict(list)  # kind -> sources
  other_json = []  # JSON files that are not frames
  skels, damaged = [], []
  arrays = recordings.Folders()
  for folder, names in frame_files.walk(root):
    json = {name for name in names if name.endswith(".json")}
    for form in (openpose, dwpose):
      kind = form.__name__.rpartition(".")[2]
      for clip in frame_files.group(folder, sorted(json), form.NAMING):
        found[kind].append(Source(clip.name, kind, clip))
        json -= {os.path.basename(name) for name in clip.paths}
    other_json += sorted(json)
    frame_clips, names = _dwpose_npz(folder, names)
    if frame_clips:
      found["dwpose_npz"] += frame_clips
    arrays.add(folder, names)
    for name in names:
      file = pathlib.Path(folder, name)
      if file.suffix == ".npz":
        try:
          if not mediapipe_arrays.is_archive(file):
            continue
        except errors.DataError as error:
          damaged.append(Source(file.stem, "npz", file, fault=error))
          continue
      if kind := _SUFFIXES.get(file.suffix.lower()):
        found[kind] += _find_in_file(file)
      elif file.suffix == ".skels":
        skels.append(name)
  if frames := arrays.sources(report):
    found["npy"] = frames
  if damaged and set(found) <= {"npz"}:
    found["npz"] += damaged
  elif damaged:  # beside clips of another form
    report("damaged:" + sidecar_texts.listed("", [x.name for x in damaged]))
  if len(found) > 1:
    counts = ", ".join(f"{len(v)} of {k}" for k, v in sorted(found.items()))
    raise errors.DataError(
      f"clips of several forms ({counts})",
      path=root,
      expected="one of them",
      hint="Give the file or the folder of one form as the input",
    )
  if not found:
    raise errors.DataError(
      f"no keypoints{sidecar_texts.listed(' but', other_json)}",
      path=root,
      expected=_FORMS,
      hint=f"{skels[0]} holds 3-D skeletons, which need no lifting"
      if skels
      else None,
    )
  if other_json:
    report(
      f"{root}: JSON files that are not frames:"
      + sidecar_texts.listed("", other_json)
    )
  (sources,) = found.values()
  return sources


def _dwpose_npz(
  folder: str, names: list[str]
) -> tuple[list[Source], list[str]]:
  """Clips of DWPose's .npz, a file a frame, and the names of other files."""
  found = []
  for clip in frame_files.group(folder, names, dwpose_npz.NAMING):
    if dwpose_npz.is_frame(clip.paths[0]):
      found.append(Source(clip.name, "dwpose_npz", clip))
      of_clip = set(map(os.path.basename, clip.paths))
      names = [name for name in names if name not in of_clip]
  return found, names


def _find_in_file(file: pathlib.Path) -> list[Source]:
  kind = _SUFFIXES.get(file.suffix.lower())
  if kind is None:
    raise errors.DataError(
      f"a file of kind {file.suffix!r}",
      path=file,
      expected=_FORMS,
      hint="For frame files, give their folder",
    )
  if kind == "npz":
    return recordings.in_archive(file)
  if kind == "pose":
    return [Source(file.stem, kind, file)]
  if kind == "slrtp":
    return clip_source.in_slrtp(file)
  try:
    names = h5.names(file)
  except errors.DataError:
    names = [file.stem]  # reading it reports the fault
  return [Source(name, kind, file, member=name) for name in names]


def _container(source: Source) -> str:
  """The name of the file or folder that holds a clip."""
  if isinstance(source.place, mediapipe_arrays.Recording):
    return pathlib.Path(source.place.folder).resolve().parents[1].name
  if isinstance(source.place, frame_files.FrameFiles):
    folder = pathlib.Path(source.place.folder).resolve()
    return folder.name if source.place.prefix else folder.parent.name
  return source.place.stem if source.member else source.place.parent.name
