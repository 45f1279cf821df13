"""2-D keypoints to a 3-D skeleton.

The method of Zelinka and Kanis (WACV 2020), formula 3 of SignLLM: keypoints are
cleaned (`keypoints.py`), a first skeleton is placed over them (`initial.py`),
and a descent fits it (`descent.py`), whole batches in one jitted call. Every
clip gets one length a bone.

Two modes. `reference` is the published tool: the same choices, plain gradient
descent, bone lengths from all limbs. `fast` starts from limbs that were seen
and descends with Adam: a lower objective J in a tenth of the cycles.

Dim letters: B clips, T frames, J = 50 joints, N = 49 limbs, K = 25 bones.
"""

import concurrent.futures
import dataclasses
import functools
import os
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from data_pipeline.keypoints import cleaning
from data_pipeline.keypoints.cleaning import Mode
from data_pipeline.lifting import gradient_filter, initialisation
from signllm_jax.core import errors, skeleton

BUCKET = 32  # clips are padded to a multiple of this many frames
MAX_COORDINATE = 1e6  # its square has to be added up in float32


@dataclasses.dataclass(frozen=True)
class Lifted:
  """A lifted clip.

  Attributes:
    frames: [T, J, 3] float32 in the unit and place of the keypoints.
    valid: [T, J] bool, where a keypoint had confidence.
    bone_lengths: [K] float32, in the unit of the keypoints.
    objective: J of the normalised clip before and after the descent.
    stages: the five published stages, each [T, J, 3] in the normalised unit:
      normalised, pruned and interpolated keypoints, initial and final joints
      (`stages.py` writes them); None if they were not asked for.
  """

  frames: np.ndarray
  valid: np.ndarray
  bone_lengths: np.ndarray
  objective: tuple[float, float]
  stages: tuple[np.ndarray, ...] | None = None


class Before(NamedTuple):
  """A clip in the normalised unit after each stage before the descent."""

  normalised: np.ndarray  # [T, J, 3] x, y, confidence, as the next two
  pruned: np.ndarray
  interpolated: np.ndarray
  initial: np.ndarray  # [T, J, 3] x, y, z
  directions: np.ndarray  # [T, N, 3] of the limbs, unit vectors
  log_lengths: np.ndarray  # [K] of the bones
  centre: np.ndarray  # [2] of the normalisation, in the keypoints' unit
  scale: float  # of the normalisation


class Rows(NamedTuple):
  """A batch of padded clips in the normalised unit, and where they start."""

  clip: np.ndarray  # [B, T, J, 3] interpolated keypoints
  length: np.ndarray  # [B] real frames, 0 for a row without a clip
  root: np.ndarray  # [B, T, 3]
  directions: np.ndarray  # [B, T, N, 3]
  lengths: np.ndarray  # [B, K] log bone lengths


def _prepare(
  clip: np.ndarray, bone_lengths: np.ndarray | None, mode: Mode
) -> Before:
  """All stages before the descent, bones measured if not given."""
  normalised, centre, scale = cleaning.normalise(clip)
  pruned = cleaning.prune(normalised)
  interpolated = cleaning.interpolate(pruned)
  if bone_lengths is None:
    log_lengths = initialisation.measure_bones(interpolated, mode)
  else:
    log_lengths = initialisation.log_lengths(bone_lengths / scale)
  return Before(
    normalised,
    pruned,
    interpolated,
    *initialisation.place(interpolated, log_lengths, mode),
    log_lengths,
    centre,
    scale,
  )


def _lift_one(clip, length, root, directions, lengths, mode: Mode, fixed: bool):
  start = gradient_filter.Parameters(
    lengths, root.T, jnp.transpose(directions, (1, 2, 0))
  )
  goal = gradient_filter.target(clip, length)
  end = gradient_filter.descend(start, goal, mode, fixed)
  scores = jnp.stack([gradient_filter.objective(p, goal) for p in (start, end)])
  return (
    jnp.transpose(gradient_filter.forward(end), (2, 0, 1)),
    end.lengths,
    scores,
  )


@functools.partial(jax.jit, static_argnames=("mode", "fixed"))
def _lift_batch(rows: Rows, mode: Mode, fixed: bool):
  """To joints [B, T, J, 3], log lengths [B, K] and objectives [B, 2].

  A row of length 0 costs nothing, so that a batch need not be full.
  """

  def one(row: Rows):
    def nothing(row: Rows):
      return (
        jnp.zeros_like(row.clip),
        jnp.zeros_like(row.lengths),
        jnp.zeros(2),
      )

    def work(row: Rows):
      return _lift_one(*row, mode=mode, fixed=fixed)

    return jax.lax.cond(row.length > 0, work, nothing, row)

  # On CPU one clip after another beats vmap: each fits the cache.
  return jax.lax.map(one, rows)


def _buckets(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
  """Indices grouped by padded length, at most `batch` at a time."""
  groups: dict[int, list[int]] = {}
  for index, length in enumerate(lengths):
    groups.setdefault(-(-length // BUCKET), []).append(index)
  for _, group in sorted(groups.items()):
    for start in range(0, len(group), batch):
      yield group[start : start + batch]


def _rows(before: Sequence[Before], batch: int) -> Rows:
  """Padded to `batch` clips of a common length, a multiple of BUCKET."""
  longest = max(len(stages.initial) for stages in before)
  t = -(-longest // BUCKET) * BUCKET
  rows = Rows(
    clip=np.zeros((batch, t, skeleton.J, 3), np.float32),
    length=np.zeros(batch, np.int32),
    root=np.zeros((batch, t, 3), np.float32),
    directions=np.zeros((batch, t, len(skeleton.LIMBS), 3), np.float32),
    lengths=np.zeros((batch, skeleton.BONES), np.float32),
  )
  for row, stages in enumerate(before):
    n = rows.length[row] = len(stages.initial)
    rows.clip[row, :n] = stages.interpolated
    rows.root[row, :n] = stages.initial[:, 0]
    rows.directions[row, :n] = stages.directions
    rows.lengths[row] = stages.log_lengths
  return rows


def _finish(
  clip: np.ndarray,
  before: Before,
  joints: np.ndarray,
  log_lengths: np.ndarray,
  scores: np.ndarray,
  keep_stages: bool,
) -> Lifted:
  """Leaves padding and the normalised unit; depth has no place of its own."""
  joints = joints[: len(clip)]
  scale = np.float32(before.scale)
  return Lifted(
    frames=joints * scale + np.append(before.centre, np.float32(0)),
    valid=clip[..., 2] > 0,
    bone_lengths=np.exp(log_lengths) * scale,
    objective=(float(scores[0]), float(scores[1])),
    stages=(*before[:4], joints) if keep_stages else None,
  )


def lift(
  clips: Sequence[np.ndarray],
  *,
  mode: Mode = "fast",
  bone_lengths: np.ndarray | None = None,
  batch: int = 16,
  keep_stages: bool = False,
) -> list[Lifted]:
  """Lifts clips of unequal length, as many batches at once as there are cores.

  Args:
    clips: arrays [T, J, 3] of x, y, confidence in [0, 1]; T >= 1.
    mode: `fast` or `reference`.
    bone_lengths: [K] known lengths in the keypoints' unit (one signer in many
      clips); measured in each clip and refined if not given.
    batch: clips a compiled call.
    keep_stages: hand out the stages too; they take five times the memory.

  Returns:
    One `Lifted` a clip, in order. Deterministic.

  Raises:
    DataError: a clip of another shape, empty, not finite or out of range.
  """
  for index, clip in enumerate(clips):
    if clip.ndim != 3 or clip.shape[1:] != (skeleton.J, 3) or not len(clip):
      raise errors.DataError(
        f"clip {index} has keypoints of shape {clip.shape}",
        expected=f"(T >= 1, {skeleton.J}, 3)",
      )
    if not np.isfinite(clip).all():
      frame = int(np.flatnonzero(~np.isfinite(clip).all((1, 2)))[0])
      raise errors.DataError(f"clip {index} is not finite", frame=frame + 1)
    if (largest := np.abs(clip).max()) > MAX_COORDINATE:
      raise errors.DataError(
        f"clip {index} has a coordinate of {largest:g}",
        expected=f"pixels, or a share of the picture: at most {MAX_COORDINATE}",
      )
  finish = functools.partial(_finish, keep_stages=keep_stages)

  def run(group: list[int]) -> list[tuple[int, Lifted]]:
    before = [_prepare(clips[i], bone_lengths, mode) for i in group]
    rows = _rows(before, batch)
    joints, lengths, scores = jax.device_get(
      _lift_batch(rows, mode, bone_lengths is not None)
    )
    return [
      (
        index,
        finish(clips[index], stages, joints[row], lengths[row], scores[row]),
      )
      for row, (index, stages) in enumerate(zip(group, before, strict=True))
    ]

  groups = _buckets([len(clip) for clip in clips], batch)
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
    results = dict(pair for pairs in threads.map(run, groups) for pair in pairs)
  return [results[index] for index in range(len(clips))]
