"""Clips as files to download, in every format of `clip_files`."""

import dataclasses
import io
import pathlib
import tempfile
import unicodedata
import urllib.parse
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


# Names that Windows keeps for devices.
_DEVICES = {"con", "prn", "aux", "nul"} | {
  f"{device}{number}" for device in ("com", "lpt") for number in range(1, 10)
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
  stem = file_stem(clip.text)
  if seed is not None:
    stem += f"-seed-{seed}"
  clip = dataclasses.replace(clip, name=stem)
  with tempfile.TemporaryDirectory(prefix="signllm_jax_") as folder:
    form = suffix if suffix in registry.FRAME_FOLDERS else ""
    path = pathlib.Path(folder, stem if form else stem + suffix)
    clip_files.prepare(path, form=form)
    files = [*map(pathlib.Path, clip_files.save(path, [clip], form=form))]
    media_type = FORMATS[suffix][1]
    if form:
      files = sorted(path.iterdir())
    elif len(files) == 1:
      return File(path.name, media_type, path.read_bytes())
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
      for file in files:
        archive.write(file, file.relative_to(folder))
    # Two forms come as a ZIP of the same clip: each has a name of its own.
    kind = form or suffix.removeprefix(".")
    return File(f"{stem}-{kind}.zip", media_type, packed.getvalue())


def file_stem(text: str) -> str:
  """A file's name after a text in any script: letters, digits and hyphens.

  Windows, macOS and Linux take it; it has at most 60 bytes in UTF-8.
  """
  text = unicodedata.normalize("NFC", text).lower()
  kept = "".join(c if _in_name(c) else " " for c in text)
  stem = "-".join(kept.split())
  stem = stem.encode()[:60].decode(errors="ignore").rstrip("-")
  return f"sign-{stem}" if stem in _DEVICES else stem or "signing"


def _in_name(character: str) -> bool:
  """Whether it is a letter, a mark on one, or a digit, in any script."""
  return unicodedata.category(character)[0] in "LMN"


def disposition(name: str) -> str:
  """The header that names a file, by RFC 6266: in ASCII and in full."""
  plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
  stem, dot, suffix = plain.partition(".")
  if not stem.strip("-"):
    plain = f"signing{dot}{suffix}"
  header = f'attachment; filename="{plain}"'
  if plain != name:
    header += f"; filename*=UTF-8''{urllib.parse.quote(name, safe='')}"
  return header
