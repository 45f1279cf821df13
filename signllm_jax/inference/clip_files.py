"""Writes clips to files, in the form that the suffix or a name says."""

import dataclasses
import math
import os
import pathlib
import re
import tempfile
from collections.abc import Callable, Sequence

from signllm_jax.core import atomic_files, buckets, clips, errors, paths
from signllm_jax.formats import h5, npz, registry, skels, slrtp
from signllm_jax.visualization import render

_FIT_NAME = re.compile(r"[^\s.]([^\x00-\x1f]*\S)?")
SUFFIXES = (*render.SUFFIXES, *registry.POSE_FORMATS, ".h5")


def prepare(
  path: str | os.PathLike,
  suffixes: Sequence[str] = SUFFIXES,
  form: str = "",
) -> paths.AnyPath:
  """Checks a name to write to, and makes the folder it lies in.

  Args:
    path: the file, or the folder of a form that is one; also in a bucket.
    suffixes: those a file may have.
    form: one of `registry.FRAME_FOLDERS`, or empty.

  Raises:
    UsageError: unknown suffix, the name of a folder, or .skels beside an old
      .gloss, which would be read with it.
    StorageError: the folder cannot be made, or a bucket does not answer.
  """
  path = paths.resolve(path)
  if form:
    if path.suffix or _asked(path.is_file):
      raise errors.UsageError(
        f"a file, and --form={form} makes a folder",
        path=path,
        expected="a name without a suffix",
      )
    atomic_files.make_folder(path.parent)
    return path
  if path.suffix.lower() not in suffixes:
    raise errors.UsageError(
      f"unknown suffix {path.suffix!r}",
      path=path,
      expected="one of " + ", ".join(suffixes),
      hint="For a folder of JSON name its --form" if not path.suffix else None,
    )
  if _asked(path.is_dir):
    raise errors.UsageError("a folder", path=path, expected="a file to write")
  gloss = path.with_name(f"{path.stem}.gloss")
  if path.suffix.lower() == ".skels" and _asked(gloss.exists):
    raise errors.UsageError(
      "glosses of other clips, which would be read with these",
      path=gloss,
      hint="Remove it, or choose another name",
    )
  atomic_files.make_folder(path.parent)
  return path


def _asked(question: Callable[[], bool]) -> bool:
  """The answer of a disk or a bucket."""
  try:
    return question()
  except OSError as error:
    raise errors.StorageError(
      f"cannot be read: {error}", path=error.filename
    ) from error


def targets(
  path: pathlib.Path, count: int, form: str = ""
) -> list[pathlib.Path]:
  """The files or folders that `save` writes for so many clips.

  Sheets without true clips; with them `save` writes twice as many.
  """
  suffix = path.suffix.lower()
  if suffix == ".skels":
    return [path, path.with_suffix(".text"), path.with_suffix(".files")]
  if suffix in render.SHEETS:
    return _numbered(path, math.ceil(count / render.MAX_ROWS))
  if form or suffix in registry.CLIP_FILES:
    return _numbered(path, count, form)
  return [path]


def _numbered(
  path: pathlib.Path, count: int, form: str = ""
) -> list[pathlib.Path]:
  """NAME-001, NAME-002 ..., in the folder NAME if they are folders."""
  if count <= 1:
    return [path]
  digits = max(3, len(str(count)))
  names = [
    f"{path.stem}-{number:0{digits}}{path.suffix}"
    for number in range(1, count + 1)
  ]
  return [path / name if form else path.with_name(name) for name in names]


def save(
  path: paths.AnyPath,
  produced: Sequence[clips.Clip],
  true: Sequence[clips.Clip] | None = None,
  *,
  convention: str = "prompt2sign",
  size: int = 320,
  form: str = "",
) -> list[paths.AnyPath]:
  """Writes clips.

  Pictures (.gif, .mp4, .png, .svg) show one text after another; more rows than
  a sheet has (`render.MAX_ROWS`) become NAME-001.png, NAME-002.png ...
  .skels has one clip a line, with .text and .files beside it as
  `splits.read_split` and the builder of prompt2sign want them. .npz, .h5 and
  .pt hold all clips. .pose and .bvh have place for one: several become
  NAME-001.pose, NAME-002.pose, ... A clip as JSON is a folder with a file a
  frame, several are folders NAME/NAME-001, ...
  .h5 and JSON hold keypoints: x and y as seen from the front, and no depth.

  Args:
    path: of `prepare`.
    produced: clips with a text in one line and a name of their own.
    true: the truth of each, drawn beside it; files of poses leave it out.
    convention: of .skels.
    size: width in pixels of each clip in a picture.
    form: as of `prepare`.

  Returns:
    The files or folders written.

  Raises:
    DataError: a clip is too long for a line of .skels.
    StorageError: a file cannot be written.
  """
  if isinstance(path, pathlib.Path):
    return [*_save(path, produced, true, convention, size, form)]
  with tempfile.TemporaryDirectory(dir=paths.scratch()) as folder:
    inside = pathlib.Path(folder, path.name)
    files = _save(inside, produced, true, convention, size, form)
    return [
      _upload(file, path.parent / file.relative_to(folder)) for file in files
    ]


def _upload(
  source: pathlib.Path, target: buckets.BucketPath
) -> buckets.BucketPath:
  """Copies a file, or the files of a folder, into a bucket."""
  try:
    for file in sorted(source.iterdir()) if source.is_dir() else [source]:
      inside = target / file.name if source.is_dir() else target
      inside.upload(file)
  except OSError as error:
    raise errors.StorageError(f"cannot write: {error}", path=target) from error
  return target


def _save(
  path: pathlib.Path,
  produced: Sequence[clips.Clip],
  true: Sequence[clips.Clip] | None,
  convention: str,
  size: int,
  form: str,
) -> list[pathlib.Path]:
  files = targets(path, len(produced), form)
  suffix = path.suffix.lower()
  if suffix in render.SUFFIXES:
    files = _save_pictures(path, _scenes(produced, true), size)
  elif suffix == ".npz":
    npz.write(path, produced)
  elif suffix == ".pt":
    slrtp.write(path, produced)
  elif suffix in registry.CLIP_FILES:
    for file, clip in zip(files, produced, strict=True):
      registry.CLIP_FILES[suffix].write(file, clip)
  elif form:
    atomic_files.make_folder(files[0].parent)
    for folder, clip in zip(files, produced, strict=True):
      named = dataclasses.replace(clip, name=folder.name)
      registry.FRAME_FOLDERS[form].write(folder, registry.to_keypoints(named))
  elif suffix == ".h5":
    h5.write(
      path, [registry.to_keypoints(_slashless(clip)) for clip in produced]
    )
  else:
    skels.write(path, map(registry.to_picture, produced), convention)
    _write_lines(files[1], [" ".join(clip.text.split()) for clip in produced])
    _write_lines(files[2], [clip.name for clip in produced])
  return files


def _save_pictures(
  path: pathlib.Path, scenes: Sequence[render.Scene], size: int
) -> list[pathlib.Path]:
  parts = [scenes]
  if path.suffix.lower() in render.SHEETS:
    parts = render.sheets(scenes)
  files = _numbered(path, len(parts))
  for file, part in zip(files, parts, strict=True):
    render.save_scenes(file, part, size)
  return files


def save_named(
  path: str | os.PathLike,
  produced: Sequence[clips.Clip],
  *,
  form: str = "",
  convention: str = "prompt2sign",
  size: int = 320,
) -> list[paths.AnyPath]:
  """Writes clips of any names, as `prepare` and `save` do.

  Clips whose names are missing, equal or unfit for a file are numbered after
  the path: hello-001, hello-002, ...
  """
  target = prepare(path, form=form)
  names = [clip.name for clip in produced]
  if len(set(names)) < len(names) or not all(map(_FIT_NAME.fullmatch, names)):
    produced = [
      dataclasses.replace(clip, name=f"{target.stem}-{number:03}")
      for number, clip in enumerate(produced, 1)
    ]
  return save(target, produced, convention=convention, size=size, form=form)


def _scenes(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip] | None
) -> list[render.Scene]:
  scenes = []
  for number, clip in enumerate(produced):
    shown = {"produced": clip}
    if true is not None:
      shown["true"] = true[number]
    scenes.append(render.Scene(shown, clip.text))
  return scenes


def _slashless(clip: clips.Clip) -> clips.Clip:
  """With a name that .h5 can hold: train-000001 for train/000001."""
  return dataclasses.replace(clip, name=clip.name.replace("/", "-"))


def _write_lines(path: pathlib.Path, lines: Sequence[str]) -> None:
  atomic_files.write_text(path, "".join(f"{line}\n" for line in lines))
