"""Finds clips of 2-D keypoints, in any of the supported forms.

Finding lists folders and the names in HDF5 files. `read_clips.py` reads the
clips that are found.
"""

import collections
import dataclasses
import itertools
import os
import pathlib
from collections.abc import Callable, Collection, Sequence

from absl import logging

from data_pipeline.keypoints import (
  clip_source,
  leftovers,
  recordings,
  sidecar_texts,
)
from data_pipeline.keypoints.clip_source import Source
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import (
  clip_json,
  dwpose,
  dwpose_npz,
  frame_files,
  frame_io,
  h5,
  mediapipe_arrays,
  openpose,
)

_SUFFIXES = {".pose": "pose", ".h5": "h5", ".hdf5": "h5", ".npz": "npz"}
_SUFFIXES[".pt"] = "slrtp"
_FORMS = (
  "OpenPose's or DWPose's frame files, JSON of AlphaPose or MMPose, .pose, "
  ".h5, .pt or MediaPipe's landmarks"
)


def find(
  path: str | os.PathLike,
  *,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  skeleton: str = PROMPT2SIGN50.name,
  known: Collection[str] = (),
  report: Callable[[str], None] = logging.warning,
  leave: Callable[[str, str], None] | None = None,
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
    known: paths of files that are read elsewhere.
    report: called with warnings: names without a clip, clips without a name.
    leave: called with each file that looks like input and is not read, and the
      reason; `report` if not given.

  Raises:
    DataError: there is nothing there, no keypoints, keypoints of several forms,
      or clips.text and clips.gloss do not go with clips.files.
    UsageError: landmark recordings, but no size.
    StorageError: a folder cannot be read.
  """
  path = pathlib.Path(path)
  rest = leftovers.Leftovers(known)
  if path.is_dir():
    sources = _find_in_folder(path, rest, report)
  elif path.is_file():
    sources = _find_in_file(path)
  else:
    raise errors.DataError("no such file or folder", path=path, expected=_FORMS)
  _check_size(sources, size, path)
  sources = _distinct_names(sources, path)
  texts = sidecar_texts.read(path, {source.name for source in sources}, report)
  rest.report(
    {source.name for source in sources},
    leave or (lambda file, why: report(f"{file} is not read: {why}")),
  )
  facts = {"fps": fps, "size": size, "skeleton": skeleton}
  return [
    dataclasses.replace(source, **facts, **texts.get(source.name, {}))
    for source in sources
  ]


def _distinct_names(
  sources: Sequence[Source], path: pathlib.Path
) -> list[Source]:
  """The clips by name; equal names get that of their folder or file.

  Raises:
    DataError: two names are still equal.
  """
  count = collections.Counter(source.name for source in sources)
  found = [
    source
    if count[source.name] == 1
    else dataclasses.replace(source, name=f"{_container(source)}-{source.name}")
    for source in sources
  ]
  found.sort(key=lambda source: source.name)
  for first, second in itertools.pairwise(found):
    if first.name == second.name:
      raise errors.DataError(
        f"two clips named {first.name!r}", path=path, expected="each name once"
      )
  return found


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


def _find_in_folder(
  root: pathlib.Path,
  rest: leftovers.Leftovers,
  report: Callable[[str], None],
) -> list[Source]:
  found = collections.defaultdict(list)  # kind -> sources
  damaged = []
  arrays = recordings.Folders()
  for folder, names in frame_files.walk(root):
    frame_clips, names = _frame_clips(folder, names)
    names = arrays.add(folder, names)
    for source in frame_clips:
      found[source.kind].append(source)
    other = []
    for name in names:
      file = pathlib.Path(folder, name)
      try:
        kind = _kind_of(file)
      except errors.DataError as error:
        damaged.append(Source(file.stem, "npz", file, fault=error))
        continue
      if kind == "clip_json":
        found[kind].append(_clip_json(file))
      elif kind:
        found[kind] += _find_in_file(file)
      else:
        other.append(name)
    rest.add(folder, other)
  if frames := arrays.sources(report):
    found["npy"] = frames
  if damaged and set(found) <= {"npz"}:
    found["npz"] += damaged
  elif damaged:  # beside clips of another form
    report("damaged:" + sidecar_texts.listed("", [x.name for x in damaged]))
  return _only_form(found, root, rest)


def _only_form(
  found: dict[str, list[Source]],
  root: pathlib.Path,
  rest: leftovers.Leftovers,
) -> list[Source]:
  """The clips, if all have one form.

  Raises:
    DataError: there are none, or clips of several forms.
  """
  if len(found) > 1:
    counts = ", ".join(f"{len(v)} of {k}" for k, v in sorted(found.items()))
    raise errors.DataError(
      f"clips of several forms ({counts})",
      path=root,
      expected="one of them",
      hint="Give the file or the folder of one form as the input",
    )
  if not found:
    reasons: dict[str, str] = {}
    rest.report((), reasons.__setitem__)
    names = [os.path.basename(file) for file in reasons]
    skels = rest.with_suffix(".skels")
    raise errors.DataError(
      f"no keypoints{sidecar_texts.listed(' but', names)}",
      path=root,
      expected=_FORMS,
      hint=f"{skels[0]} holds 3-D skeletons, which need no lifting"
      if skels
      else next((f"{names[0]} is {why}" for why in reasons.values()), None),
    )
  (sources,) = found.values()
  return sources


def _kind_of(file: pathlib.Path) -> str:
  """The kind of a file that holds whole clips; empty for another file.

  Raises:
    DataError: an .npz is damaged.
  """
  suffix = file.suffix.lower()
  if suffix == ".npz" and not mediapipe_arrays.is_archive(file):
    return ""
  if suffix == ".json":
    return "clip_json" if clip_json.kind_of(file) else ""
  return _SUFFIXES.get(suffix, "")


def _clip_json(file: pathlib.Path) -> Source:
  """A clip of one JSON file; a tool's usual file name names no clip."""
  usual = file.stem in ("alphapose-results", "predictions", "results")
  name = file.resolve().parent.name if usual else file.stem
  return Source(name, "clip_json", file)


def _frame_clips(
  folder: str, names: list[str]
) -> tuple[list[Source], list[str]]:
  """Clips of a file a frame, and the names of other files.

  OpenPose's are known by their names. Other JSON with a number may be of
  DWPose, or OpenPose's under other names; its first file tells.
  """
  found: list[Source] = []
  taken: set[str] = set()

  def take(clip: frame_files.FrameFiles, kind: str) -> None:
    found.append(Source(clip.name, kind, clip))
    taken.update(map(os.path.basename, clip.paths))

  def others() -> list[str]:
    return [name for name in names if name not in taken]

  for clip in frame_files.group(folder, names, openpose.NAMING):
    take(clip, "openpose")
  for clip in frame_files.group(folder, others(), dwpose.NAMING):
    if kind := frame_io.tool_of(clip, dwpose.NAMING):
      take(clip, kind)
  for clip in frame_files.group(folder, others(), dwpose_npz.NAMING):
    if dwpose_npz.is_frame(clip.paths[0]):
      take(clip, "dwpose_npz")
  return found, others()


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
