"""Produced clips -> files, in the form that the suffix says."""

import os
import pathlib
from collections.abc import Sequence

from signllm_jax import clips, errors, render
from signllm_jax.formats import atomic, bvh, npz, pose, skels

# Forms of one clip a file.
_EACH = {".pose": pose, ".bvh": bvh}
SUFFIXES = (*render.SUFFIXES, ".skels", ".npz", *_EACH)


def prepare(
  path: str | os.PathLike, suffixes: Sequence[str] = SUFFIXES
) -> pathlib.Path:
  """Checks a name to write to, and makes its folder.

  Args:
    path: the file.
    suffixes: those it may have.

  Raises:
    UsageError: unknown suffix, the name of a folder, or .skels beside an old
      .gloss, which would be read with it.
    StorageError: the folder cannot be made.
  """
  path = pathlib.Path(path)
  if path.suffix.lower() not in suffixes:
    raise errors.UsageError(
      f"unknown suffix {path.suffix!r}",
      path=path,
      expected="one of " + ", ".join(suffixes),
    )
  if path.is_dir():
    raise errors.UsageError("a folder", path=path, expected="a file to write")
  gloss = path.with_suffix(".gloss")
  if path.suffix.lower() == ".skels" and gloss.exists():
    raise errors.UsageError(
      "glosses of other clips, which would be read with these",
      path=gloss,
      hint="Remove it, or choose another name",
    )
  try:
    path.parent.mkdir(parents=True, exist_ok=True)
  except OSError as error:
    raise errors.StorageError(
      f"cannot make the folder: {error}", path=path.parent
    ) from error
  return path


def targets(path: pathlib.Path, count: int) -> list[pathlib.Path]:
  """The files that `save` writes for so many clips."""
  suffix = path.suffix.lower()
  if suffix == ".skels":
    return [path, path.with_suffix(".text"), path.with_suffix(".files")]
  if suffix in _EACH and count > 1:
    digits = max(3, len(str(count)))
    return [
      path.with_name(f"{path.stem}-{number:0{digits}}{path.suffix}")
      for number in range(1, count + 1)
    ]
  return [path]


def save(
  path: pathlib.Path,
  made: Sequence[clips.Clip],
  true: Sequence[clips.Clip] | None = None,
  *,
  convention: str = "prompt2sign",
  size: int = 320,
) -> list[pathlib.Path]:
  """Writes clips.

  Pictures (.gif, .mp4, .png, .svg) show one text after another. .skels has one
  clip a line, with .text and .files beside it as `splits.read_split` and the
  builder of prompt2sign want them. .npz holds all clips. .pose and .bvh have
  place for one: several become NAME-001.pose, NAME-002.pose, ...

  Args:
    path: of `prepare`.
    made: clips with a text in one line and a name of their own.
    true: the truth of each, drawn beside it; files of poses leave it out.
    convention: of .skels.
    size: width in pixels of each clip in a picture.

  Returns:
    The files written.

  Raises:
    DataError: a clip is too long for a line of .skels.
    StorageError: a file cannot be written.
  """
  files = targets(path, len(made))
  suffix = path.suffix.lower()
  if suffix in render.SUFFIXES:
    render.save_scenes(path, _scenes(made, true), size)
  elif suffix == ".npz":
    npz.write(path, made)
  elif suffix in _EACH:
    for file, clip in zip(files, made, strict=True):
      _EACH[suffix].write(file, clip)
  else:
    skels.write(path, made, convention)
    _write_lines(files[1], [" ".join(clip.text.split()) for clip in made])
    _write_lines(files[2], [clip.name for clip in made])
  return files


def _scenes(
  made: Sequence[clips.Clip], true: Sequence[clips.Clip] | None
) -> list[render.Scene]:
  scenes = []
  for number, clip in enumerate(made):
    shown = {"produced": clip}
    if true is not None:
      shown["true"] = true[number]
    scenes.append(render.Scene(shown, clip.text))
  return scenes


def _write_lines(path: pathlib.Path, lines: Sequence[str]) -> None:
  atomic.write_text(path, "".join(f"{line}\n" for line in lines))
