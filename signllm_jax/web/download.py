"""Clips as files to download, in every format of `clip_files`."""

import dataclasses
import io
import pathlib
import re
import tempfile
import zipfile
from typing import NamedTuple

from signllm_jax.core import clips
from signllm_jax.formats import registry
from signllm_jax.inference import clip_files
from signllm_jax.web import schema

# Suffix or form of `clip_files` -> its name and media type. Several files come
# as a ZIP.
FORMATS: dict[schema.FileFormat, tuple[str, str]] = {
  ".gif": ("GIF", "image/gif"),
  ".mp4": ("MP4", "video/mp4"),
  ".png": ("PNG sheet", "image/png"),
  ".svg": ("SVG sheet", "image/svg+xml"),
  ".bvh": ("BVH", "text/plain"),
  ".pose": ("pose", "application/octet-stream"),
  ".npz": ("NumPy", "application/octet-stream"),
  ".h5": ("HDF5", "application/x-hdf5"),
  ".skels": ("skels", "application/zip"),
  "openpose": ("OpenPose JSON", "application/zip"),
  "dwpose": ("DWPose JSON", "application/zip"),
  "dwpose_npz": ("DWPose npz", "application/zip"),
}


class File(NamedTuple):
  """A file to download."""

  name: str
  media_type: str
  content: bytes


def make(
  clip: clips.Clip, suffix: schema.FileFormat, seed: int | None = None
) -> File:
  """Writes a clip into memory, in the format of the suffix.

  Args:
    clip: the clip; the file is named after its text.
    suffix: the format.
    seed: that gives the clip again, for the name; None if no seed matters.

  Raises:
    StorageError: the folder for temporary files is full.
  """
  stem = re.sub(r"[^a-z0-9]+", "-", clip.text.lower()).strip("-")[:40]
  stem = stem or "signing"
  if seed is not None:
    stem += f"-seed-{seed}"
  clip = dataclasses.replace(clip, name=stem)
  with tempfile.TemporaryDirectory(prefix="signllm_jax_") as folder:
    form = suffix if suffix in registry.FRAME_FOLDERS else ""
    path = pathlib.Path(folder, stem if form else stem + suffix)
    path = clip_files.prepare(path, form=form)
    files = clip_files.save(path, [clip], form=form)
    media_type = FORMATS[suffix][1]
    if form:
      files = sorted(path.iterdir())
    elif len(files) == 1:
      return File(path.name, media_type, path.read_bytes())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
      for file in files:
        archive.write(file, file.relative_to(folder))
    return File(f"{path.name}.zip", media_type, packed.getvalue())
