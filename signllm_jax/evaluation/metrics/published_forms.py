"""Metrics as others publish them, for setting a table of theirs beside ours.

SLRTP 2025 (Walsh et al., CVPRW 2025; its evaluation code): DTW-MJE, total
distance and duration, on every second frame at 25 frames a second. PT (Saunders
et al., ECCV 2020; its `calculate_dtw`): DTW without the last frame of either
clip.

Where they differ from ours: every number counts as it is stored, so a missing
joint stands at 0, the origin of a canonical clip; theirs know no missing
joints. Units are canonical, not those of their files. Their DTW-MJE is aligned
by fastdtw, an approximation; ours is exact, so it is at most as large along
the aligned numbers.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation.metrics import metric, pairs, pose
from signllm_jax.losses import dtw, frame_cost

SLRTP_RATE = 12.5  # frames a second that SLRTP scores


def slrtp_frames(clip: clips.Clip) -> pairs.Sequence3D:
  """Every n-th frame, so that about SLRTP_RATE a second are left."""
  step = max(1, round(clip.fps / SLRTP_RATE))
  return pairs.Sequence3D(clip.frames[::step], clip.valid[::step])


def slrtp_mje(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Joint distances over aligned frames, and their number: [n, 2].

  The alignment minimises the Euclidean distance of all numbers of a frame. The
  score pools the frames of all clips, so long clips weigh more.
  """
  return pairs.over_pairs(
    _aligned_joints,
    [slrtp_frames(clip) for clip in produced],
    [slrtp_frames(clip) for clip in true],
  )


def _aligned_joints(batch: pairs.Batch) -> np.ndarray:
  whole, joints = _slrtp_costs(batch.reference, batch.hypothesis)
  paths = dtw.paths(whole, batch.rows, batch.columns)
  count = batch.reference.shape[2]
  found = []
  for table, path in zip(np.asarray(joints, np.float64), paths, strict=True):
    row, column = path.T
    found.append((table[row, column].sum() * count, len(path) * count))
  return np.array(found)


@jax.jit
def _slrtp_costs(
  reference: jax.Array, hypothesis: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Distances of whole frames and mean distances of joints, each [B, R, Q]."""
  x, y = (z.reshape(*z.shape[:2], -1) for z in (reference, hypothesis))
  every = jnp.ones(reference.shape[:3], bool)
  return (
    frame_cost.local_cost(x, y, "l2"),
    frame_cost.local_cost(x, y, "mean_joint", every),
  )


def slrtp_distances(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Path lengths of the wrists: [n, 4], produced left, right, true likewise."""

  def path(clip: clips.Clip) -> list[float]:
    right, left = pose.wrist_joints(clip.skeleton)
    frames = slrtp_frames(clip).frames.astype(np.float64)
    steps = np.linalg.norm(np.diff(frames[:, [left, right]], axis=0), axis=-1)
    return steps.sum(0).tolist()

  return np.array(
    [[*path(a), *path(b)] for a, b in zip(produced, true, strict=True)]
  )


def slrtp_distance_ratio(sums: np.ndarray) -> np.ndarray:
  """Mean over both wrists of produced over true path: [..., 4] -> [...]."""
  ratios = metric.divide(sums[..., :2], sums[..., 2:])
  return ratios.mean(-1)


def slrtp_durations(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Frames, produced over true, of each pair: [n]."""
  return np.array(
    [
      len(slrtp_frames(a).frames) / len(slrtp_frames(b).frames)
      for a, b in zip(produced, true, strict=True)
    ]
  )


def dtw_pt_own(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """PT's DTW of each pair as its own script computes it: [n].

  L1 over the numbers as they stand, without the last frame of both clips,
  total over the frames of the truth that are left.
  """

  def cut(clip: clips.Clip) -> pairs.Sequence3D:
    kept = max(1, len(clip) - 1)
    return pairs.Sequence3D(clip.frames[:kept], clip.valid[:kept])

  return pairs.over_pairs(
    _pt_own, [cut(clip) for clip in produced], [cut(clip) for clip in true]
  )


def _pt_own(batch: pairs.Batch) -> jax.Array:
  x, y = (
    z.reshape(*z.shape[:2], -1) for z in (batch.reference, batch.hypothesis)
  )
  cost = frame_cost.local_cost(x, y, "l1")
  return dtw.align(cost, batch.rows, batch.columns).total / batch.rows
