"""`.skels` of 385 numbers a frame, of Prompt2Sign since 2025: dwpose128.

A line is a clip. A frame is not made of triples but of blocks: x and y of the
body (36 numbers), its scores (18), x and y of both hands, left first (84),
their scores (42), x and y of the face (136), its scores (68), and a counter
i / (N - 1) from i = 0. All have eight decimals. x and y are shares of the
picture; the scores of the body are the points' numbers, -1 where not seen, as
in the tool's JSON (`dwpose`). 385 tells the form from `skels`.

Source: github.com/SignLLM/Prompt2Sign, tools-new-2025.
"""

import os
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import DWPOSE128
from signllm_jax.formats import dwpose

FRAME = 3 * DWPOSE128.num_joints + 1  # numbers of a frame, with its counter
FORM = f"{FRAME} numbers a frame: body, hands, face with scores, and a counter"
_BODY = len(DWPOSE128.parts["body"])
_PARTS = (_BODY, DWPOSE128.num_joints - _BODY - len(DWPOSE128.face))
_PARTS = (*_PARTS, len(DWPOSE128.face))  # joints of a block


def to_rows(values: np.ndarray) -> np.ndarray:
  """Numbers [T, 385] of a line as x, y and score: [T, 128, 3]."""
  parts, start = [], 0
  for joints in _PARTS:
    xy = values[:, start : start + 2 * joints].reshape(len(values), joints, 2)
    scores = values[:, start + 2 * joints : start + 3 * joints, None]
    parts.append(np.concatenate([xy, scores], -1))
    start += 3 * joints
  return np.concatenate(parts, 1)


def to_line(rows: np.ndarray) -> bytes:
  """The line of x, y and scores [T, 128, 3], as they stand; `to_rows` back."""
  blocks, start, t = [], 0, len(rows)
  for joints in _PARTS:
    part = rows[:, start : start + joints]
    blocks += [part[..., :2].reshape(t, -1), part[..., 2]]
    start += joints
  counter = np.arange(t) / max(t - 1, 1)
  values = np.column_stack([*blocks, counter])
  form = " ".join(["%.8f"] * values.size) + "\n"
  return (form % tuple(values.ravel().tolist())).encode()


def to_keypoints(
  rows: np.ndarray, fps: float, size: tuple[int, int] | None = None
) -> clips.Keypoints:
  """Keypoints of x, y and scores [T, 128, 3]; unseen joints are 0.

  With the size of the picture they are in pixels.
  """
  values = rows.astype(np.float64)
  values[:, :_BODY, 2] = values[:, :_BODY, 2] >= 0
  for frame in values:
    dwpose.clear_unseen(frame[None], DWPOSE128)
  values[values[..., 2] <= 0] = 0
  np.minimum(values[..., 2], 1, out=values[..., 2])
  if size is not None:
    values[..., :2] *= size
  frames = values.astype(np.float32)
  return clips.Keypoints(frames, fps, size, skeleton=DWPOSE128)


def from_keypoints(keypoints: clips.Keypoints) -> np.ndarray:
  """x, y and scores [T, 128, 3] in the form's convention, of shares."""
  rows = keypoints.frames.astype(np.float64)
  rows[..., :2] /= keypoints.size or 1
  seen = rows[:, :_BODY, 2] > 0
  rows[:, :_BODY, 2] = np.where(seen, np.arange(_BODY), -1)
  rows[:, :_BODY, :2] = np.where(seen[..., None], rows[:, :_BODY, :2], -1)
  return rows


def is_empty(line: bytes) -> bool:
  """Whether a line has nothing but its end, as of a clip that failed."""
  return len(line) <= 3 and not line.strip()


def gaps(path: str | os.PathLike, names: Sequence[str]) -> str:
  """The warning of clips that failed in the published tool."""
  more = f" and {len(names) - 20} more" if len(names) > 20 else ""
  return (
    f"{os.fspath(path)}: {len(names)} clips are missing, their lines are "
    f"empty: {', '.join(names[:20])}{more}"
  )
