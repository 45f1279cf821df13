"""The files of the page, in memory: no path of a request is ever opened."""

import hashlib
import importlib.resources
import mimetypes
from typing import NamedTuple


class Asset(NamedTuple):
  """A file."""

  content: bytes
  media_type: str
  tag: str  # of its content


def read() -> dict[str, Asset]:
  """All of them, by name."""
  folder = importlib.resources.files("signllm_jax.web").joinpath("static")
  assets = {}
  for file in folder.iterdir():
    content = file.read_bytes()
    kind = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
    if kind.startswith("text/"):
      kind += "; charset=utf-8"
    tag = f'"{hashlib.sha256(content).hexdigest()[:16]}"'
    assets[file.name] = Asset(content, kind, tag)
  return assets
