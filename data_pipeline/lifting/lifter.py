"""Lifts 2-D keypoints to 3-D skeletons.

The method of Zelinka and Kanis (WACV 2020), formula 3 of SignLLM: keypoints are
cleaned (`cleaning.py`), an initial skeleton is placed over them
(`initialisation.py`) and fitted by gradient descent (`gradient_descent.py`), a
batch in one jitted call. Every bone has one length in a clip.

There are two modes. `reference` is the published tool: the same choices, plain
gradient descent, bone lengths from all limbs. `fast` measures only limbs that
were detected and descends with Adam; it reaches a lower objective J in a tenth
of the cycles.

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
from data_pipeline.lifting import gradient_descent, initialisation
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50

BUCKET = 32  # clips are padded to a multiple of this many frames
MAX_COORDINATE = 1e6  # squares are summed in float32


@dataclasses.dataclass(frozen=True)
class Lifted:
  """A lifted clip.

  Attributes:
    frames: [T, J, 3] float32 in the coordinates of the keypoints.
    valid: [T, J] bool, where a keypoint had confidence.
    bone_lengths: [K] float32, in the unit of the keypoints.
    objective: J of the normalised clip before and after the descent.
    stages: the five published stages, each [T, J, 3] in the normalised unit:
      normalised, pruned and interpolated keypoints, initial and final joints
      (`stage_files.py` writes them); None if not requested.
  """

  frames: np.ndarray
  valid: np.ndarray
  bone_lengths: np.ndarray
  objective: tuple[float, float]
  stages: tuple[np.ndarray, ...] | None = None


class Prepared(NamedTuple):
  """The stages of a clip before gradient descent, in the normalised unit."""

  normalised: np.ndarray  # [T, J, 3] x, y, confidence, as the next two
  pruned: np.ndarray
  interpolated: np.ndarray
  initial: np.ndarray  # [T, J, 3] x, y, z
  directions: np.ndarray  # [T, N, 3] of the limbs, unit vectors
  log_lengths: np.ndarray  # [K] of the bones
  centre: np.ndarray  # [2] of the normalisation, in the keypoints' unit
  scale: float  # of the normalisation


class Batch(NamedTuple):
  """A batch of padded clips and initial skeletons, in the normalised unit."""

  clip: np.ndarray  # [B, T, J, 3] interpolated keypoints
  length: np.ndarray  # [B] real frames, 0 for a row without a clip
  root: np.ndarray  # [B, T, 3]
  directions: np.ndarray  # [B, T, N, 3]
  lengths: np.ndarray  # [B, K] log bone lengths


def _prepare(
  clip: np.ndarray, bone_lengths: np.ndarray | None, mode: Mode
) -> Prepared:
  """Runs the stages before gradient descent; measures bones if not given."""
  normalised, centre, scale = cleaning.normalise(clip)
  pruned = cleaning.prune(normalised)
  interpolated = cleaning.interpolate(pruned)
  if bone_lengths is None:
    log_lengths = initialisation.measure_bones(interpolated, mode)
  else:
    log_lengths = initialisation.log_lengths(bone_lengths / scale)
  return Prepared(
    normalised,
    pruned,
    interpolated,
    *initialisation.place(interpolated, log_lengths, mode),
    log_lengths,
    centre,
    scale,
  )


def _lift_one(clip, length, root, directions, lengths, mode: Mode, fixed: bool):
  start = gradient_descent.Parameters(
    lengths, root.T, jnp.transpose(directions, (1, 2, 0))
  )
  goal = gradient_descent.target(clip, length)
  end = gradient_descent.descend(start, goal, mode, fixed)
  scores = jnp.stack(
    [gradient_descent.objective(p, goal) for p in (start, end)]
  )
  return (
    jnp.transpose(gradient_descent.forward(end), (2, 0, 1)),
    end.lengths,
    scores,
  )


@functools.partial(jax.jit, static_argnames=("mode", "fixed"))
def _lift_batch(batch: Batch, mode: Mode, fixed: bool):
  """Computes joints [B, T, J, 3], log lengths [B, K] and objectives [B, 2].

  Rows of length 0 are skipped, so that a batch need not be full.
  """

  def lift_row(row: Batch):
    def skip(row: Batch):
      return (
        jnp.zeros_like(row.clip),
        jnp.zeros_like(row.lengths),
        jnp.zeros(2),
      )

    def lift(row: Batch):
      return _lift_one(*row, mode=mode, fixed=fixed)

    return jax.lax.cond(row.length > 0, lift, skip, row)

  # On CPU one clip after another beats vmap: each fits the cache.
  return jax.lax.map(lift_row, batch)


def _buckets(lengths: Sequence[int], batch: int) -> Iterator[list[int]]:
  """Groups indices by padded length, at most `batch` in a group."""
  groups: dict[int, list[int]] = {}
  for index, length in enumerate(lengths):
    groups.setdefault(-(-length // BUCKET), []).append(index)
  for _, group in sorted(groups.items()):
    for start in range(0, len(group), batch):
      yield group[start : start + batch]


def _pad(prepared: Sequence[Prepared], size: int) -> Batch:
  """Pads to `size` clips of a common length, a multiple of BUCKET."""
  longest = max(len(stages.initial) for stages in prepared)
  t = -(-longest // BUCKET) * BUCKET
  batch = Batch(
    clip=np.zeros((size, t, PROMPT2SIGN50.num_joints, 3), np.float32),
    length=np.zeros(size, np.int32),
    root=np.zeros((size, t, 3), np.float32),
    directions=np.zeros((size, t, len(PROMPT2SIGN50.limbs), 3), np.float32),
    lengths=np.zeros((size, PROMPT2SIGN50.num_bones), np.float32),
  )
  for row, stages in enumerate(prepared):
    n = batch.length[row] = len(stages.initial)
    batch.clip[row, :n] = stages.interpolated
    batch.root[row, :n] = stages.initial[:, 0]
    batch.directions[row, :n] = stages.directions
    batch.lengths[row] = stages.log_lengths
  return batch


def _finish(
  clip: np.ndarray,
  prepared: Prepared,
  joints: np.ndarray,
  log_lengths: np.ndarray,
  scores: np.ndarray,
  keep_stages: bool,
) -> Lifted:
  """Removes padding and returns to the keypoints' unit; depth has no offset."""
  joints = joints[: len(clip)]
  scale = np.float32(prepared.scale)
  return Lifted(
    frames=joints * scale + np.append(prepared.centre, np.float32(0)),
    valid=clip[..., 2] > 0,
    bone_lengths=np.exp(log_lengths) * scale,
    objective=(float(scores[0]), float(scores[1])),
    stages=(*prepared[:4], joints) if keep_stages else None,
  )


def lift(
  clips: Sequence[np.ndarray],
  *,
  mode: Mode = "fast",
  bone_lengths: np.ndarray | None = None,
  batch: int = 16,
  keep_stages: bool = False,
) -> list[Lifted]:
  """Lifts clips of any lengths, one batch a core at a time.

  Args:
    clips: arrays [T, J, 3] of x, y, confidence in [0, 1]; T >= 1.
    mode: `fast` or `reference`.
    bone_lengths: [K] known lengths in the keypoints' unit, if one signer
      appears in many clips; measured in each clip and refined if not given.
    batch: clips in a compiled call.
    keep_stages: also return the stages, which take five times the memory.

  Returns:
    One `Lifted` a clip, in order. Deterministic.

  Raises:
    DataError: a clip of another shape, empty, not finite or out of range.
  """
  for index, clip in enumerate(clips):
    joints = PROMPT2SIGN50.num_joints
    if clip.ndim != 3 or clip.shape[1:] != (joints, 3) or not len(clip):
      raise errors.DataError(
        f"clip {index} has keypoints of shape {clip.shape}",
        expected=f"(T >= 1, {joints}, 3)",
      )
    if not np.isfinite(clip).all():
      frame = int(np.flatnonzero(~np.isfinite(clip).all((1, 2)))[0])
      raise errors.DataError(f"clip {index} is not finite", frame=frame + 1)
    if (largest := np.abs(clip).max()) > MAX_COORDINATE:
      raise errors.DataError(
        f"clip {index} has a coordinate of {largest:g}",
        expected=f"pixels or picture fractions, at most {MAX_COORDINATE}",
      )
  finish = functools.partial(_finish, keep_stages=keep_stages)

  def run(group: list[int]) -> list[tuple[int, Lifted]]:
    prepared = [_prepare(clips[i], bone_lengths, mode) for i in group]
    padded = _pad(prepared, batch)
    joints, lengths, scores = jax.device_get(
      _lift_batch(padded, mode, bone_lengths is not None)
    )
    return [
      (
        index,
        finish(clips[index], stages, joints[row], lengths[row], scores[row]),
      )
      for row, (index, stages) in enumerate(zip(group, prepared, strict=True))
    ]

  groups = _buckets([len(clip) for clip in clips], batch)
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as threads:
    results = dict(pair for pairs in threads.map(run, groups) for pair in pairs)
  return [results[index] for index in range(len(clips))]
