"""Reads clips.text and clips.gloss beside the clips, matched by name.

Line i of clips.text and of clips.gloss belongs to the clip that line i of
clips.files names. The lines are not changed. The files may have the name of the
folder of the clips instead, such as train.text.
"""

import itertools
import pathlib
from collections.abc import Callable, Sequence

from signllm_jax.core import errors, foreign_files, limits, text_files


def listed(prefix: str, names: Sequence[str]) -> str:
  """Lists up to five names after a prefix; empty if there are none."""
  if not names:
    return ""
  more = f" and {len(names) - 5} more" if len(names) > 5 else ""
  return f"{prefix} {', '.join(names[:5])}{more}"


def read(
  path: pathlib.Path, clip_names: set[str], report: Callable[[str], None]
) -> dict[str, dict[str, str]]:
  """Reads the `text` and `gloss` of each name, where these files exist.

  Args:
    path: the folder or file in which clips were found.
    clip_names: names of the clips.
    report: called with names that have no clip, and clips that have no name.

  Raises:
    DataError: the files do not have equally many lines, name a clip twice, are
      not UTF-8 or too large.
  """
  folders = [path, path.parent] if path.is_dir() else [path.parent]
  stems = ["clips", path.name] if path.is_dir() else ["clips"]
  for stem, folder in itertools.product(stems, folders):
    if (folder / f"{stem}.files").is_file():
      break
    if stem == "clips" and (folder / "clips.text").is_file():
      report(f"{folder}: clips.text is ignored, as there is no clips.files")
  else:
    return {}
  names = _lines(folder / f"{stem}.files")
  lines = {}
  for kind in ("text", "gloss"):
    file = folder / f"{stem}.{kind}"
    if file.is_file():
      lines[kind] = _lines(file)
      if len(lines[kind]) != len(names):
        raise errors.DataError(
          f"{len(lines[kind])} lines",
          path=file,
          expected=f"{len(names)} as in {stem}.files",
          hint="The files belong together line by line",
        )
  line_of = {}
  for number, name in enumerate(names, 1):
    if line_of.setdefault(name, number) != number:
      raise errors.DataError(
        f"name {name!r} again, first in line {line_of[name]}",
        path=folder / f"{stem}.files",
        line=number,
        expected="each name once",
      )
  if unmatched := [name for name in names if name not in clip_names]:
    report(
      f"{folder}/{stem}.files: names without a clip:{listed('', unmatched)}"
    )
  if unnamed := sorted(clip_names - set(names)):
    report(f"{folder}/{stem}.files: clips without a line:{listed('', unnamed)}")
  return {
    name: {kind: lines[kind][number - 1] for kind in lines}
    for name, number in line_of.items()
  }


def _lines(file: pathlib.Path) -> list[str]:
  foreign_files.check_file(file, limits.MAX_TEXTS_FILE)
  lines = []
  for number, line in text_files.read_lines(file):
    line = line.removesuffix(b"\n").removesuffix(b"\r")
    lines.append(text_files.decode_line(line, file, number))
  return lines
