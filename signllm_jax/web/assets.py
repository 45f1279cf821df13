"""The files of the page, held in memory: no path of a request is opened."""

import hashlib
import importlib.resources
import mimetypes
from typing import NamedTuple


class Asset(NamedTuple):
  """A file that the server gives."""

  content: bytes
  media_type: str
  tag: str  # HTTP's ETag, a hash of the content


def read() -> dict[str, Asset]:
  """Reads all files of the page, by name."""
  folder = importlib.resources.files("signllm_jax.web").joinpath("static")
  assets = {}
  for file in folder.iterdir():
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
      kind += "; charset=utf-8"
    assets[file.name] = make(file.read_bytes(), kind)
  return assets


def make(content: bytes, media_type: str) -> Asset:
  """An asset with the tag of its content."""
  tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
  return Asset(content, media_type, tag)
