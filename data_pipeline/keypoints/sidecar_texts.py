"""Texts and glosses that lie beside clips, matched by the clips' names.

Line i of clips.text and of clips.gloss belongs to the clip that line i of
clips.files names. The lines are kept as they stand.
"""

import pathlib
from collections.abc import Callable, Sequence

from signllm_jax.core import errors, text_files

MAX_BYTES = 256 << 20  # of a file


def listed(before: str, names: Sequence[str]) -> str:
  """The first names, after `before`; nothing if there are none."""
  if not names:
    return ""
  more = f" and {len(names) - 5} more" if len(names) > 5 else ""
  return f"{before} {', '.join(names[:5])}{more}"


def read(
  path: pathlib.Path, found: set[str], report: Callable[[str], None]
) -> dict[str, dict[str, str]]:
  """Name -> its `text` and `gloss`, as far as there are files of them.

  Args:
    path: the folder or file in which clips were found.
    found: the clips' names.
    report: called with names that have no clip, and clips that have no name.

  Raises:
    DataError: the files do not have equally many lines, name a clip twice, are
      not UTF-8 or too large.
  """
  folders = [path, path.parent] if path.is_dir() else [path.parent]
  for folder in folders:
    if (folder / "clips.files").is_file():
      break
    if (folder / "clips.text").is_file():
      report(f"{folder}: clips.text is left out, for want of clips.files")
  else:
    return {}
  names = _lines(folder / "clips.files")
  lines = {}
  for kind in ("text", "gloss"):
    file = folder / f"clips.{kind}"
    if file.is_file():
      lines[kind] = _lines(file)
      if len(lines[kind]) != len(names):
        raise errors.DataError(
          f"{len(lines[kind])} lines",
          path=file,
          expected=f"{len(names)} as in clips.files",
          hint="The files belong together line by line",
        )
  first = {}  # line of each name
  for number, name in enumerate(names, 1):
    if first.setdefault(name, number) != number:
      raise errors.DataError(
        f"name {name!r} again, first in line {first[name]}",
        path=folder / "clips.files",
        line=number,
        expected="each name once",
      )
  if lost := [name for name in names if name not in found]:
    report(f"{folder}/clips.files: names without a clip:{listed('', lost)}")
  if silent := sorted(found - set(names)):
    report(f"{folder}/clips.files: clips without a line:{listed('', silent)}")
  return {
    name: {kind: lines[kind][number - 1] for kind in lines}
    for name, number in first.items()
  }


def _lines(file: pathlib.Path) -> list[str]:
  if file.stat().st_size > MAX_BYTES:
    raise errors.DataError(
      f"{file.stat().st_size} bytes", path=file, expected=f"at most {MAX_BYTES}"
    )
  lines = file.read_bytes().split(b"\n")
  if not lines[-1]:
    lines.pop()
  return [
    text_files.decode_line(line.removesuffix(b"\r"), file, number)
    for number, line in enumerate(lines, 1)
  ]
