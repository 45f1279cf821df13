"""Reads and writes the stages of lifting, `<clip>/1.txt` to `5.txt`.

The stages are normalised, pruned and interpolated keypoints (x, y, confidence),
initial joints and lifted joints (x, y, z), all in the normalised unit. A line
is a frame: 150 numbers as `%e`, a tab after each. The tools of Zelinka and
Kanis (WACV 2020) and of Prompt2Sign write the same format.
"""

import os
import pathlib
import re
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import atomic_files, errors, text_files
from signllm_jax.core.skeleton import PROMPT2SIGN50

NAMES = ("1.txt", "2.txt", "3.txt", "4.txt", "5.txt")
_MAX_LINE = 4096  # bytes; 150 numbers take 2,250 at most
_NUMBER = re.compile(rb"-?\d\.\d{6}e[+-]\d{2,3}")
_LARGEST = float(np.finfo(np.float32).max)
_EXPECTED = (
  f"{PROMPT2SIGN50.num_values} float32 numbers as `%e` writes them, a tab "
  "after each"
)
_FORM = "\t".join(["%e"] * PROMPT2SIGN50.num_values) + "\t\n"


def write(folder: str | os.PathLike, stages: Sequence[np.ndarray]) -> None:
  """Writes the texts of a clip, each atomically.

  Args:
    folder: folder of the clip; made if it does not exist.
    stages: five arrays [T, J, 3], as `lifter.Lifted.stages` holds them.

  Raises:
    DataError: a stage is missing, of another shape, or not finite.
    StorageError: the folder or a text cannot be written.
  """
  folder = pathlib.Path(folder)
  if len(stages) != len(NAMES):
    raise errors.DataError(
      f"{len(stages)} stages", path=folder, expected=f"{len(NAMES)}"
    )
  for name, stage in zip(NAMES, stages, strict=True):
    _check(stage, len(stages[0]), folder / name)
  atomic_files.make_folder(folder)
  for name, stage in zip(NAMES, stages, strict=True):
    rows = stage.reshape(len(stage), PROMPT2SIGN50.num_values).tolist()
    atomic_files.write_text(
      folder / name, "".join(_FORM % tuple(row) for row in rows)
    )


def read(folder: str | os.PathLike) -> tuple[np.ndarray, ...]:
  """Reads the five stages, each [T, J, 3] float32.

  Raises:
    DataError: a text is missing, empty or of another format, or two differ in
      their number of frames; names file and line.
  """
  folder = pathlib.Path(folder)
  stages = []
  for name in NAMES:
    stage = _read(folder / name)
    if stages and len(stage) != len(stages[0]):
      raise errors.DataError(
        f"{len(stage)} frames",
        path=folder / name,
        expected=f"{len(stages[0])} as in {NAMES[0]}",
        hint="The texts of a clip belong together; lift it again",
      )
    stages.append(stage)
  return tuple(stages)


def _check(stage: np.ndarray, frames: int, path: pathlib.Path) -> None:
  if stage.shape != (frames, PROMPT2SIGN50.num_joints, 3):
    raise errors.DataError(
      f"a stage of shape {stage.shape}",
      path=path,
      expected=f"({frames}, {PROMPT2SIGN50.num_joints}, 3)",
    )
  finite = np.isfinite(stage).all((1, 2))
  if not finite.all():
    raise errors.DataError(
      "NaN or infinity", path=path, frame=int(np.argmin(finite)) + 1
    )


def _read(path: pathlib.Path) -> np.ndarray:
  rows = [
    _parse(line, path, number)
    for number, line in text_files.read_lines(path, _MAX_LINE)
  ]
  if not rows:
    raise errors.DataError("no frames", path=path)
  return np.stack(rows).reshape(-1, PROMPT2SIGN50.num_joints, 3)


def _parse(line: bytes, path: pathlib.Path, number: int) -> np.ndarray:
  """Parses the numbers of a line, [C] float32."""
  tabs = line.count(b"\t")
  tokens = line.split(b"\t")
  if tabs != PROMPT2SIGN50.num_values or tokens.pop() != b"\n":
    raise errors.DataError(
      f"{tabs} tabs" if line.endswith(b"\n") else "no end of line",
      path=path,
      line=number,
      expected=_EXPECTED,
      hint="The text is truncated or of another skeleton",
    )
  for at, token in enumerate(tokens):
    if not _NUMBER.fullmatch(token) or abs(float(token)) > _LARGEST:
      shown = token[:40].decode("utf-8", "replace")
      raise errors.DataError(
        f"number {at + 1} is {shown!r}",
        path=path,
        line=number,
        expected=_EXPECTED,
      )
  return np.array(tokens, np.float64).astype(np.float32)
