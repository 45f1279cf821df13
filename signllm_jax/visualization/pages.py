"""Self-contained HTML pages from jinja2 templates.

A page loads nothing over the network, has no script, follows the reader's light
or dark setting and fits a phone. Its template extends `page.html.j2`, which
holds the head and the style sheet, and uses the macros of `parts.html.j2`.
Every value is escaped; a name that a template uses and nobody gives is an
error.
"""

import base64
import functools
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Any, NamedTuple

import jinja2
from PIL import Image

from signllm_jax.core import clips as clips_lib
from signllm_jax.visualization import render as render_lib

_SHARED = "signllm_jax.visualization"  # its templates serve all pages
_COLOURS = 96  # of the palette of a still


class Number(NamedTuple):
  """Table cell with a formatted number, aligned right.

  Attributes:
    text: the number.
    note: shown below it in small print, such as an interval.
  """

  text: str
  note: str = ""


class Bar(float):
  """Table cell with a share of 0 to 1, drawn as a bar."""


def render(package: str, template: str, **values: Any) -> str:
  """Renders a template.

  Args:
    package: the package in whose folder `templates` it lies.
    template: name of its file.
    values: what the template shows.
  """
  page = _environment(package).get_template(template)
  return page.render(values) + "\n"


def picture(clips: Mapping[str, clips_lib.Clip], suffix: str, size: int) -> str:
  """Draws clips side by side and returns the file as a data URI.

  Args:
    clips: label -> clip, as in `render.Scene`.
    suffix: ".gif" or ".mp4", or ".png" for a contact sheet.
    size: width of each clip in pixels.
  """
  with tempfile.TemporaryDirectory() as folder:
    path = pathlib.Path(folder, f"picture{suffix}")
    render_lib.save(path, clips, size=size)
    if suffix == ".png":
      with Image.open(path) as sheet:
        sheet.quantize(_COLOURS).save(path, optimize=True)
    data = base64.b64encode(path.read_bytes()).decode()
  kind = "video" if suffix == ".mp4" else "image"
  return f"data:{kind}/{suffix[1:]};base64,{data}"


@functools.cache
def _environment(package: str) -> jinja2.Environment:
  environment = jinja2.Environment(
    loader=jinja2.ChoiceLoader(
      [jinja2.PackageLoader(package), jinja2.PackageLoader(_SHARED)]
    ),
    autoescape=True,
    undefined=jinja2.StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
  )
  environment.tests["bar"] = lambda value: isinstance(value, Bar)
  environment.tests["formatted"] = lambda value: isinstance(value, Number)
  environment.filters["thousands"] = lambda value: f"{value:,}"
  environment.filters["paragraphs"] = _paragraphs
  return environment


def _paragraphs(text: str) -> list[str]:
  """Paragraphs, which empty lines separate."""
  return [part for part in text.split("\n\n") if part.strip()]
