"""Saves clips: several in one file, or side by side in a picture."""

import os
import pathlib
from collections.abc import Mapping, Sequence

from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors
from signllm_jax.inference import clip_files
from signllm_jax.visualization import render


def save(
  path: str | os.PathLike,
  clips: Mapping[str, clips_lib.Clip]
  | Sequence[clips_lib.Clip]
  | clips_lib.Clip,
  *,
  caption: str = "",
  size: int = 320,
  form: str = "",
  convention: str = "prompt2sign",
) -> None:
  """Saves clips; the suffix of the path decides the form, as of `Clip.save`.

  Args:
    path: the file; its folder is made.
    clips: label -> clip, to be drawn side by side in one .gif, .mp4, .png or
      .svg, at one frame rate; or a list, shown one after another in pictures
      and kept together in .npz, .skels and .h5 (.pose and .bvh: a file each);
      or one clip.
    caption: above clips side by side.
    size: width of each clip in pixels.
    form: openpose or dwpose: the path is a folder of JSON.
    convention: of .skels: prompt2sign or pt.

  Raises:
    UsageError: an unknown suffix, nothing to save, frame rates that differ, or
      labels for a form that is no picture.
    StorageError: the file cannot be written.
  """
  if isinstance(clips, Mapping):
    suffix = pathlib.Path(path).suffix.lower()
    if form or suffix not in render.SUFFIXES:
      raise errors.UsageError(
        f"labels of clips for {form or suffix!r}, which is no picture",
        path=path,
        expected="one of " + ", ".join(render.SUFFIXES),
        hint="Save a list of the clips",
      )
    render.save(clip_files.prepare(path), clips, caption, size)
    return
  listed = [clips] if isinstance(clips, clips_lib.Clip) else list(clips)
  if not listed:
    raise errors.UsageError("nothing to save", path=path)
  clip_files.save_named(
    path, listed, form=form, convention=convention, size=size
  )
