"""One file of clips into another form: .h5 .npz .skels .pose .bvh or JSON.

`signllm_jax.formats.forms` says which forms hold what. A .pose is read as
keypoints or as poses, and written of poses.
"""

import collections
import dataclasses
import os
import pathlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from data_pipeline.keypoints import find_clips
from data_pipeline.lifting import lifted_folder
from signllm_jax.core import atomic_files, clips, errors
from signllm_jax.formats import bvh, forms, h5, npz, pose, skels, splits


def convert(
  source: str | os.PathLike,
  target: str | os.PathLike,
  *,
  form: str = "",
  convention: str = "prompt2sign",
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
) -> int:
  """Converts all clips of a file or folder; returns how many.

  Args:
    source: .npz, .skels (with .text beside it, if there is one), .pose, .bvh,
      .h5, or a folder of JSON frame files.
    target: what does not exist yet, its form told by its suffix; of several
      clips as .pose, .bvh or JSON a folder, with one file or folder a clip.
      Beside .skels come .files, .text and .gloss, if the clips have any.
    form: of a target that is a folder: pose, bvh, openpose or dwpose.
    convention: of .skels: prompt2sign (values as they stand) or pt.
    fps: frames a second, where the source does not say.
    size: width and height of the picture, where the source does not say.

  Raises:
    UsageError: no such form; the target exists; keypoints asked to be poses.
    DataError: the source is damaged, or a clip's name cannot be kept.
    StorageError: the target cannot be written.
  """
  source, target = pathlib.Path(source), pathlib.Path(target)
  kind = target.suffix.lower() or (
    f".{form}" if f".{form}" in forms.EACH else form
  )
  if kind not in (*forms.POSES, *forms.KEYPOINTS):
    raise errors.UsageError(
      f"cannot write the form {kind or 'of a folder'!r}",
      path=target,
      expected=f"a suffix of {' '.join((*forms.POSES, '.h5'))}, or for a "
      "folder --form=pose, bvh, openpose or dwpose",
    )
  refuse_existing(target)
  found = _read(source, fps, size)
  if not found:
    raise errors.DataError("no clips", path=source)
  if kind in forms.KEYPOINTS:
    seen = [
      forms.to_keypoints(clips.canonical(each))
      if isinstance(each, clips.Clip)
      else each
      for each in found
    ]
    _write_keypoints(target, kind, seen)
  else:
    poses = [each for each in found if isinstance(each, clips.Clip)]
    if len(poses) < len(found):
      raise errors.UsageError(
        f"{source} holds keypoints in 2-D, {kind} poses in 3-D",
        hint="Lift them first: python -m data_pipeline lift",
      )
    _write_poses(target, kind, poses, convention)
  return len(found)


def refuse_existing(*paths: str | os.PathLike) -> None:
  """Raises a UsageError if any of the paths is there."""
  for path in paths:
    if os.path.lexists(path):
      raise errors.UsageError(
        "exists already", path=path, hint="Remove it, or name another output"
      )


def split_files(target: pathlib.Path) -> dict[str, pathlib.Path]:
  """What `write_split` may write, by kind."""
  kinds = ("skels", "files", "text", "gloss")
  return {kind: target.with_suffix(f".{kind}") for kind in kinds}


def write_split(
  target: pathlib.Path, sequence: Iterable[clips.Clip], convention: str
) -> None:
  """Writes .skels and beside it the names, texts and glosses there are.

  Raises:
    DataError: a clip cannot be written, or a name is there twice.
    StorageError: a file cannot be written.
  """
  lines = {"files": [], "text": [], "gloss": []}

  def noted() -> Iterator[clips.Clip]:
    for clip in sequence:
      said = (clip.name, clip.text, clip.gloss)
      for kind, text in zip(lines, said, strict=True):
        lines[kind].append(" ".join(text.split()))
      yield clip
    _check_distinct(lines["files"])

  paths = split_files(target)
  with atomic_files.remove_on_error(*paths.values()):
    skels.write(target, noted(), convention)
    for kind, said in lines.items():
      # The form knows clips without a gloss, but none without name or text.
      if (any if kind == "gloss" else all)(said):
        text = "".join(f"{line}\n" for line in said)
        atomic_files.write_text(paths[kind], text)


def _check_distinct(names: Sequence[str]) -> None:
  counts = collections.Counter(name for name in names if name)
  for name, count in counts.most_common(1):
    if count > 1:
      raise errors.DataError(
        f"{count} clips named {name!r}", expected="each name once"
      )


def _read(
  source: pathlib.Path, fps: float, size: tuple[int, int] | None
) -> Sequence[clips.Clip | clips.Keypoints]:
  suffix = source.suffix.lower()
  if suffix == ".npz":
    return npz.read(source)
  if suffix == ".skels":
    if source.with_suffix(".text").exists():
      return list(splits.read_split(source.parent, source.stem, fps))
    return [
      dataclasses.replace(clip, name=f"{source.stem}/{number:06d}")
      for number, clip in enumerate(skels.read(source, fps), 1)
    ]
  if suffix == ".pose":
    return [_read_pose(source)]
  if suffix == ".bvh":
    return [bvh.read(source)]
  return [each.read() for each in find_clips.find(source, fps=fps, size=size)]


def _read_pose(source: pathlib.Path) -> clips.Clip | clips.Keypoints:
  """A pose in 3-D if the file is in OpenPose's layout and not flat."""
  seen = pose.read_keypoints(source)
  try:
    clip = pose.read(source)
  except errors.DataError:  # MediaPipe's layout, whose depth is no depth
    return seen
  return clip if clip.frames[..., 2].any() else seen


def _write_poses(
  target: pathlib.Path,
  kind: str,
  poses: Sequence[clips.Clip],
  convention: str,
) -> None:
  if kind == ".npz":
    npz.write(target, poses)
  elif kind == ".skels":
    refuse_existing(*split_files(target).values())
    if convention == "pt":
      poses = [clips.canonical(each) for each in poses]
    write_split(target, poses, convention)
  else:
    canonical = [clips.canonical(each) for each in poses]
    _write_each(target, kind, forms.EACH[kind].write, canonical)


def _write_keypoints(
  target: pathlib.Path, kind: str, seen: Sequence[clips.Keypoints]
) -> None:
  named = [dataclasses.replace(each, name=_file_name(each)) for each in seen]
  if kind == ".h5":
    h5.write(target, named)
  else:
    _write_each(target, "", forms.FRAMES[kind].write, named)


def _write_each(
  target: pathlib.Path,
  suffix: str,
  write: Callable[[pathlib.Path, Any], None],
  sequence: Sequence[clips.Clip] | Sequence[clips.Keypoints],
) -> None:
  """One clip as the target itself, more as a folder with a path for each."""
  if len(sequence) == 1 and target.suffix == suffix:
    write(target, sequence[0])
    return
  names = [_file_name(each) for each in sequence]
  _check_distinct(names)
  with atomic_files.atomic_folder(target) as folder:
    for name, each in zip(names, sequence, strict=True):
      write(folder / f"{name}{suffix}", each)


def _file_name(clip: clips.Clip | clips.Keypoints) -> str:
  """The clip's name, e.g. train/000001, as that of a file, train-000001."""
  name = clip.name.replace("/", "-")
  lifted_folder.check_name(name)
  return name
