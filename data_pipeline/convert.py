"""Converts clips between .h5, .npz, .skels, .pose, .pt, .bvh and JSON.

`signllm_jax.formats.registry` lists which forms hold keypoints and which poses.
A .pose is read as either and written as poses. Clips of a skeleton that is not
lifted are both. A clip may become one of a smaller skeleton (`core.reduction`).
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from absl import logging

from data_pipeline.keypoints import find_clips
from data_pipeline.lifting import lifted_folder
from signllm_jax.core import atomic_files, clips, errors, reduction
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import DWPOSE128, PROMPT2SIGN50, Skeleton
from signllm_jax.formats import (
  bvh,
  h5,
  npz,
  pose,
  registry,
  skels,
  slrtp,
  splits,
)


def convert(
  source: str | os.PathLike,
  target: str | os.PathLike,
  *,
  form: str = "",
  convention: str = "prompt2sign",
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  skeleton: str = "",
  report: Callable[[str], None] | None = None,
) -> int:
  """Converts all clips of a file or folder; returns how many.

  Args:
    source: .npz, .skels (with .text beside it, if there is one), .pose, .pt,
      .bvh, .h5, or a folder of JSON frame files.
    target: must not exist; its suffix says the form. Several clips as .pose,
      .bvh or JSON go to a folder, one file or folder a clip. With .skels go
      .files, .text and .gloss, if the clips have them.
    form: of a target that is a folder, one of `registry.FOLDER_FORMS`.
    convention: of .skels: prompt2sign (values as they stand) or pt.
    fps: frames a second, where the source does not say.
    size: width and height of the picture, where the source does not say.
    skeleton: name of the skeleton of the target, which has no joints that the
      source lacks. If empty, that which the source names, or prompt2sign50.
    report: called with warnings, which are logged if it is not given.

  Raises:
    UsageError: no such form; the target exists; poses asked of keypoints.
    DataError: the source is damaged or lacks the skeleton, or a clip's name
      cannot be kept.
    StorageError: the target cannot be written.
  """
  source, target = pathlib.Path(source), pathlib.Path(target)
  kind = _kind(target, form)
  refuse_existing(target)
  sequence = read(source, fps, size, skeleton, report)
  if not sequence:
    raise errors.DataError("no clips", path=source)
  if skeleton:
    sequence = [_reduce(clip, skeleton_lib.get(skeleton)) for clip in sequence]
  if kind in registry.KEYPOINT_FORMATS:
    keypoints = [_as_keypoints(clip) for clip in sequence]
    _write_keypoints(target, kind, keypoints)
  else:
    poses = [_as_pose(clip) for clip in sequence]
    if None in poses:
      raise errors.UsageError(
        f"{source} holds 2-D keypoints, but {kind} holds 3-D poses",
        hint="Lift them first: python -m data_pipeline lift",
      )
    _write_poses(target, kind, [pose for pose in poses if pose], convention)
  return len(sequence)


def _kind(target: pathlib.Path, form: str) -> str:
  """The form of a target: a suffix, or of a folder of frames its name."""
  kind = target.suffix.lower() or (
    f".{form}" if f".{form}" in registry.CLIP_FILES else form
  )
  if kind not in (*registry.POSE_FORMATS, *registry.KEYPOINT_FORMATS):
    raise errors.UsageError(
      f"cannot write the form {kind or 'of a folder'!r}",
      path=target,
      expected=f"a suffix of {' '.join((*registry.POSE_FORMATS, '.h5'))}, or "
      f"for a folder --form={'|'.join(registry.FOLDER_FORMS)}",
    )
  return kind


def _reduce(
  clip: clips.Clip | clips.Keypoints, target: Skeleton
) -> clips.Clip | clips.Keypoints:
  """A clip of a smaller skeleton; of 2-D to 3-D, keypoints to be lifted."""
  if isinstance(clip, clips.Clip) and clip.skeleton.dims >= target.dims:
    return reduction.reduce(clip, target)
  return reduction.reduce(_as_keypoints(clip), target)


def _as_keypoints(clip: clips.Clip | clips.Keypoints) -> clips.Keypoints:
  if isinstance(clip, clips.Keypoints):
    return clip
  return registry.to_keypoints(clips.canonical(clip))


def _as_pose(clip: clips.Clip | clips.Keypoints) -> clips.Clip | None:
  """A clip; None of keypoints that have to be lifted."""
  if isinstance(clip, clips.Clip):
    return clip
  return None if clip.skeleton == PROMPT2SIGN50 else clip.as_clip()


def refuse_existing(*paths: str | os.PathLike) -> None:
  """Raises a UsageError if any of the paths exists."""
  for path in paths:
    if os.path.lexists(path):
      raise errors.UsageError(
        "exists already", path=path, hint="Remove it, or name another output"
      )


def split_files(target: pathlib.Path) -> dict[str, pathlib.Path]:
  """Paths of the files of a split by kind, as `write_split` writes them."""
  kinds = ("skels", "files", "text", "gloss")
  return {kind: target.with_suffix(f".{kind}") for kind in kinds}


def write_split(
  target: pathlib.Path, sequence: Iterable[clips.Clip], convention: str
) -> None:
  """Writes .skels with .files, .text and .gloss, where the clips have them.

  Raises:
    DataError: a clip cannot be written, or two have the same name.
    StorageError: a file cannot be written.
  """
  lines = {"files": [], "text": [], "gloss": []}

  def collected() -> Iterator[clips.Clip]:
    for clip in sequence:
      fields = (clip.name, clip.text, clip.gloss)
      for kind, text in zip(lines, fields, strict=True):
        lines[kind].append(" ".join(text.split()))
      yield clip
    _check_distinct(lines["files"])

  paths = split_files(target)
  with atomic_files.remove_on_error(*paths.values()):
    skels.write(target, collected(), convention)
    for kind, texts in lines.items():
      # A clip may lack a gloss, but not its name or text.
      if (any if kind == "gloss" else all)(texts):
        text = "".join(f"{line}\n" for line in texts)
        atomic_files.write_text(paths[kind], text)


def _check_distinct(names: Sequence[str]) -> None:
  counts = collections.Counter(name for name in names if name)
  for name, count in counts.most_common(1):
    if count > 1:
      raise errors.DataError(
        f"{count} clips named {name!r}", expected="each name once"
      )


def read(
  source: pathlib.Path,
  fps: float,
  size: tuple[int, int] | None = None,
  skeleton: str = "",
  report: Callable[[str], None] | None = None,
) -> Sequence[clips.Clip | clips.Keypoints]:
  """Reads all clips of a file or folder; arguments as of `convert`.

  Raises:
    DataError: nothing there, or damaged.
    StorageError: it cannot be read.
  """
  suffix = source.suffix.lower()
  if suffix == ".npz":
    return npz.read(source)
  if suffix == ".pt":
    return list(slrtp.read(source))
  if suffix == ".skels":
    if source.with_suffix(".text").exists():
      rest = fps, size, report
      return list(splits.read_split(source.parent, source.stem, *rest))
    return [
      dataclasses.replace(clip, name=f"{source.stem}/{number:06d}")
      for number, clip in skels.read_numbered(source, fps, size, report)
    ]
  if suffix == ".pose":
    return [_read_pose(source, skeleton or PROMPT2SIGN50.name)]
  if suffix == ".bvh":
    return [bvh.read(source)]
  if suffix in (".h5", ".hdf5"):
    return list(h5.read(source, fps=fps))
  wanted = skeleton or PROMPT2SIGN50.name
  sources = find_clips.find(
    source,
    fps=fps,
    size=size,
    skeleton=wanted,
    report=report or logging.warning,
  )
  return [clip_source.read() for clip_source in sources]


def _read_pose(
  source: pathlib.Path, skeleton: str
) -> clips.Clip | clips.Keypoints:
  """Poses if the file is in OpenPose's layout and has depth; else keypoints."""
  if skeleton != PROMPT2SIGN50.name:
    return pose.read_keypoints(source, skeleton_lib.get(skeleton))
  keypoints = pose.read_keypoints(source)
  try:
    clip = pose.read(source)
  except errors.DataError:  # MediaPipe's layout, whose z is not depth
    return keypoints
  return clip if clip.frames[..., 2].any() else keypoints


def _write_poses(
  target: pathlib.Path,
  kind: str,
  poses: Sequence[clips.Clip],
  convention: str,
) -> None:
  if kind == ".npz":
    npz.write(target, poses)
  elif kind == ".pt":
    slrtp.write(target, [clips.canonical(clip) for clip in poses])
  elif kind == ".skels":
    refuse_existing(*split_files(target).values())
    if convention == "pt" or poses[0].skeleton == DWPOSE128:
      poses = [registry.to_picture(clips.canonical(clip)) for clip in poses]
    write_split(target, poses, convention)
  else:
    canonical = [clips.canonical(clip) for clip in poses]
    _write_each(target, kind, registry.CLIP_FILES[kind].write, canonical)


def _write_keypoints(
  target: pathlib.Path, kind: str, keypoints: Sequence[clips.Keypoints]
) -> None:
  named = [
    dataclasses.replace(clip, name=_file_name(clip)) for clip in keypoints
  ]
  if kind == ".h5":
    h5.write(target, named)
  else:
    _write_each(target, "", registry.FRAME_FOLDERS[kind].write, named)


def _write_each(
  target: pathlib.Path,
  suffix: str,
  write: Callable[[pathlib.Path, Any], None],
  sequence: Sequence[clips.Clip] | Sequence[clips.Keypoints],
) -> None:
  """Writes one clip as the target, several into a folder of that name."""
  if len(sequence) == 1 and target.suffix == suffix:
    write(target, sequence[0])
    return
  names = [_file_name(clip) for clip in sequence]
  _check_distinct(names)
  with atomic_files.atomic_folder(target) as folder:
    for name, clip in zip(names, sequence, strict=True):
      write(folder / f"{name}{suffix}", clip)


def _file_name(clip: clips.Clip | clips.Keypoints) -> str:
  """The clip's name as a file name: train/000001 becomes train-000001."""
  name = clip.name.replace("/", "-")
  lifted_folder.check_name(name)
  return name
