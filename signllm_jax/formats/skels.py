"""`.skels`: one clip per line, the format of Prompt2Sign and PT.

Each frame is 150 numbers (x, y, z of 50 joints) and a counter from 0 to 1, all
separated by single spaces. (A line of 385 numbers a frame is dwpose128's, see
`dwpose_skels`.) Two conventions share the suffix:

  prompt2sign  OpenPose's sides; counter i/N for i = 1..N; a missing joint, and
               any number that is exactly 0, is written as 0.01600.
  pt           left and right exchanged against OpenPose; counter (i-1)/N; no
               mark for missing joints.

Values are read unchanged; `clips.canonical` normalises their scale.
Source: Prompt2Sign's export; Progressive Transformers (Saunders et al. 2020).
"""

import os
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from absl import logging

from signllm_jax.core import (
  atomic_files,
  clips,
  errors,
  limits,
  skeleton,
  text_files,
)
from signllm_jax.core.skeleton import DWPOSE128, PROMPT2SIGN50
from signllm_jax.formats import decimals, dwpose_skels

MISSING = 0.016
_FRAME = PROMPT2SIGN50.num_values + 1  # numbers of a frame, with its counter
_MAX_NUMBERS = limits.MAX_LINE // 8  # of a line; `%.5f` and a space take 8
_FORM = (
  f"{PROMPT2SIGN50.num_values} numbers and a counter a frame, single spaces "
  "between"
)


def read(
  path: str | os.PathLike,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
) -> Iterator[clips.Clip]:
  """Reads the clips of a file one by one, with OpenPose's sides.

  The shoulders reveal the convention: in PT's files joint 2 lies to the right
  of joint 5. In Prompt2Sign's, a joint of three times 0.01600 is missing, but
  not a neck whose shoulders lie around 0: it is the origin of a canonical clip,
  which the format cannot express otherwise.

  Args:
    path: a `.skels` file.
    fps: frames per second, which the file lacks.
    size: width and height of the picture, of whose width and height dwpose128
      has shares; without it they are taken as of a square picture.

  Raises:
    DataError: a line is not what the format says; names line and frame.
  """
  for _, clip in read_numbered(path, fps, size):
    yield clip


def read_numbered(
  path: str | os.PathLike,
  fps: float = 25.0,
  size: tuple[int, int] | None = None,
  report: Callable[[str], None] | None = None,
) -> Iterator[tuple[int, clips.Clip]]:
  """Yields number of the line and clip, as `read` reads them.

  In dwpose128 an empty line is a clip that failed in the published tool. It is
  left out, and `report` gets a warning (or it is logged); elsewhere an error.
  """
  empty, skeleton = [], None
  for number, line in text_files.read_lines(path, limits.MAX_LINE):
    if dwpose_skels.is_empty(line) and skeleton in (None, DWPOSE128):
      empty.append(number)
      continue
    clip = parse(line, path, number, fps, size)
    skeleton = clip.skeleton
    if empty and skeleton != DWPOSE128:
      break
    yield number, clip
  if empty and skeleton != DWPOSE128:
    raise _not_a_number(b"", path, empty[0])
  if named := [f"line {number}" for number in empty]:
    (report or logging.warning)(dwpose_skels.gaps(path, named))


def parse(
  line: bytes,
  path: str | os.PathLike,
  number: int,
  fps: float,
  size: tuple[int, int] | None = None,
) -> clips.Clip:
  """Parses a line, with or without its end, as described in `read`.

  Args:
    line: one of `text_files.read_lines`.
    path: the file, for messages.
    number: of the line, for messages.
    fps: frames per second.
    size: of the picture, as of `read`.

  Raises:
    DataError: the line is not what the format says; names line and frame.
  """
  # Prompt2Sign's own export ends with a space.
  line = line.rstrip(b"\r\n").removesuffix(b" ")
  if (count := line.count(b" ") + 1) > _MAX_NUMBERS:
    raise errors.DataError(
      f"{count} numbers",
      path=path,
      line=number,
      expected=f"at most {_MAX_NUMBERS}",
    )
  values = decimals.parse(line)
  if values is None:
    raise _not_a_number(line, path, number)
  if _is_dwpose(values):
    rows = dwpose_skels.to_rows(values.reshape(-1, dwpose_skels.FRAME))
    return dwpose_skels.to_keypoints(rows, fps, size).as_clip()
  if len(values) % _FRAME:
    raise errors.DataError(
      f"{len(values)} numbers",
      path=path,
      line=number,
      frame=len(values) // _FRAME + 1,
      expected=f"a multiple of {_FRAME}: {_FORM}; or of {dwpose_skels.FORM}",
      hint="The line is cut off or of another skeleton",
    )
  # Checked here: values beyond float32 would silently become infinite.
  if max(values.max(), -values.min()) > np.finfo(np.float32).max:
    index = int(np.argmax(np.abs(values) > np.finfo(np.float32).max))
    token = line.split(b" ")[index]
    raise errors.DataError(
      f"number {index % _FRAME + 1} is {_show(token)}, out of range",
      path=path,
      line=number,
      frame=index // _FRAME + 1,
      expected="a float32",
    )
  rows = values.reshape(-1, _FRAME)
  _check_counter(rows[:, -1], path, number)
  frames = rows[:, :-1].reshape(-1, PROMPT2SIGN50.num_joints, 3)
  return _to_clip(frames, rows[:, -1], fps)


def _is_dwpose(values: np.ndarray) -> bool:
  """Whether the numbers are frames of 385, whose counter says so."""
  if len(values) % dwpose_skels.FRAME:
    return False
  counter = values[dwpose_skels.FRAME - 1 :: dwpose_skels.FRAME]
  t = len(counter)
  expected = np.arange(t) / max(t - 1, 1)
  return bool(np.abs(counter - expected).max() < 1e-6)


def write(
  path: str | os.PathLike,
  sequence: Iterable[clips.Clip],
  convention: str = "prompt2sign",
) -> None:
  """Writes clips, with unchanged values in five decimals.

  The file is written atomically. The convention `prompt2sign` has no zero: a
  number that is exactly 0 becomes 0.016, and a joint at exactly (0, 0, 0)
  becomes missing, except the neck (see `read`). The convention `pt` cannot mark
  missing joints: they are written as 0.00000 and become valid.

  Clips of dwpose128 are written in the form of `dwpose_skels`, with scores of
  1; only `prompt2sign` has it.

  Args:
    path: the file.
    sequence: clips with OpenPose's sides; of dwpose128, in shares of the
      picture, as `read` returns them.
    convention: `prompt2sign` or `pt`.

  Raises:
    UsageError: no such convention.
    DataError: a clip is empty, too long for a line, or not finite.
    StorageError: the file cannot be written.
  """
  if convention not in ("prompt2sign", "pt"):
    raise errors.UsageError(
      f"unknown convention {convention!r}", expected="prompt2sign or pt"
    )
  with (
    atomic_files.atomic_write(path) as temporary,
    temporary.open("wb") as file,
  ):
    for number, clip in enumerate(sequence, 1):
      line = _format(clip, convention, path, number)
      if len(line) > limits.MAX_LINE:
        raise errors.DataError(
          f"a clip of {len(clip)} frames takes {len(line)} bytes",
          path=path,
          line=number,
          expected=f"at most {limits.MAX_LINE}",
        )
      file.write(line)


def _to_clip(frames: np.ndarray, counter: np.ndarray, fps: float) -> clips.Clip:
  marked = frames == MISSING
  valid = ~(marked[..., 0] & marked[..., 1] & marked[..., 2])
  both = list(PROMPT2SIGN50.shoulders)
  right, left = (frames[:, joint] for joint in both)
  shoulders = valid[:, both].all(1)
  step = np.median((right - left)[shoulders, 0]) if shoulders.any() else 0.0
  if step > 0 or (step == 0 and counter[0] == 0):
    return clips.swap_sides(
      clips.Clip(
        frames.astype(np.float32, copy=False), np.ones_like(valid), fps
      )
    )
  middle, half = (right + left)[:, :2], (right - left)[:, :2]  # twice each
  origin = shoulders & ~valid[:, PROMPT2SIGN50.joint("neck")]
  origin &= np.sum(middle**2, -1) < np.sum(half**2, -1)
  frames = frames.astype(np.float32, copy=False)
  frames[~valid] = 0
  valid[origin, PROMPT2SIGN50.joint("neck")] = True
  return clips.Clip(frames, valid, fps)


def _check_counter(counter: np.ndarray, path, number: int) -> None:
  outside = (counter < 0) | (counter > 1)
  falls = np.diff(counter, prepend=-np.inf) <= 0
  if (bad := outside | falls).any():
    at = int(np.argmax(bad))
    before = f" after {counter[at - 1]:g}" if at else ""
    raise errors.DataError(
      f"counter {counter[at]:g}{before}",
      path=path,
      line=number,
      frame=at + 1,
      expected="counters that increase within 0 to 1",
      hint=f"The form is {_FORM}",
    )


def _not_a_number(line: bytes, path, number: int) -> errors.DataError:
  if not line:
    return errors.DataError("an empty line", path=path, line=number)
  at, token = decimals.first_invalid(line)
  return errors.DataError(
    f"number {at % _FRAME + 1} is {_show(token)}",
    path=path,
    line=number,
    frame=at // _FRAME + 1,
    expected=f"a decimal number ({_FORM})",
  )


def _show(token: bytes) -> str:
  text = token[:40].decode("utf-8", "replace")
  return repr(text + "..." if len(token) > 40 else text)


def _format(clip: clips.Clip, convention: str, path, number: int) -> bytes:
  faces = clip.skeleton == DWPOSE128 and convention == "prompt2sign"
  if not faces:
    skeleton.check_same(clip.skeleton, PROMPT2SIGN50, f"clip {clip.name!r}")
  if not len(clip):
    raise errors.DataError(
      f"clip {clip.name!r} has no frames", path=path, line=number
    )
  finite = np.isfinite(clip.frames).all((1, 2))
  if not finite.all():
    raise errors.DataError(
      f"clip {clip.name!r} holds NaN or infinity",
      path=path,
      line=number,
      frame=int(np.argmin(finite)) + 1,
      expected="finite numbers",
    )
  if faces:
    scored = np.concatenate([clip.frames, clip.valid[..., None]], -1)
    keypoints = clips.Keypoints(scored, clip.fps, skeleton=DWPOSE128)
    return dwpose_skels.to_line(dwpose_skels.from_keypoints(keypoints))
  t = len(clip)
  if convention == "pt":
    clip = clips.swap_sides(clip)
    frames = np.where(clip.valid[..., None], clip.frames, 0)
    counter = np.arange(t) / t
  else:
    seen = clip.valid[..., None] & (clip.frames != 0)
    frames = np.where(seen, clip.frames, MISSING)
    counter = np.arange(1, t + 1) / t
  values = np.column_stack(
    [frames.reshape(t, PROMPT2SIGN50.num_values), counter]
  )
  form = " ".join(["%.5f"] * values.size) + "\n"
  return (form % tuple(values.ravel().tolist())).encode()
