"""Distances between produced and true signing, along the cheapest alignment.

Computed in float32, batches of pairs at a time. Missing joints of the truth do
not count; a produced joint always counts, as a model must give a position for
every joint. Units are the canonical skeleton's (shoulders 1/3 apart) unless
another one is given.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.evaluation.metrics import pairs
from signllm_jax.losses import dtw, frame_cost

DTWP_FILL = 10.0  # value of a missing joint in pose-evaluation's DTWp


def dtw_pt(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Progressive Transformers' DTW of each pair: [n].

  The local cost is the L1 distance over the numbers of a frame; the path's
  total is divided by the frames of the truth. Where joints are missing, their
  numbers count as the mean of the frame's others.
  """
  return pairs.over_pairs(_pt, produced, true)


def _pt(batch: pairs.Batch) -> jax.Array:
  alignment = dtw.align(_pt_cost(batch), batch.rows, batch.columns)
  return alignment.total / batch.rows


@jax.jit
def _pt_cost(batch: pairs.Batch) -> jax.Array:
  seen = batch.valid.astype(jnp.float32)
  share = seen.shape[-1] * seen / jnp.maximum(seen.sum(-1, keepdims=True), 1)

  def values_first(x):  # [B, T, J, D] -> [C, B, T]
    return jnp.moveaxis(x.reshape(*x.shape[:2], -1), -1, 0)

  def add(cost, values):
    a, b, weight = values
    return cost + weight[..., None] * jnp.abs(a[..., None] - b[:, None]), None

  # Value by value as in `frame_cost`: a trailing axis is slower.
  return jax.lax.scan(
    add,
    jnp.zeros((*batch.valid.shape[:2], batch.shown.shape[1])),
    (
      values_first(batch.reference),
      values_first(batch.hypothesis),
      values_first(share[..., None].repeat(batch.reference.shape[-1], -1)),
    ),
    unroll=10,
  )[0]


def dtw_mje(
  produced: Sequence[pairs.Joints], true: Sequence[pairs.Joints]
) -> np.ndarray:
  """Mean joint distance along the cheapest path, of each pair: [n]."""
  return pairs.over_pairs(_mje, produced, true)


def _mje(batch: pairs.Batch) -> jax.Array:
  alignment = dtw.align(_mean_joint(batch), batch.rows, batch.columns)
  return alignment.total / alignment.cells


@jax.jit
def _mean_joint(batch: pairs.Batch) -> jax.Array:
  reference, hypothesis = (
    x.reshape(*x.shape[:2], -1) for x in (batch.reference, batch.hypothesis)
  )
  return frame_cost.local_cost(reference, hypothesis, "mean_joint", batch.valid)


def dtw_mje_of_part(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip], part: str
) -> np.ndarray:
  """DTW-MJE of a part of the body or the face, aligned by itself: [n].

  NaN where the truth never shows the part.
  """
  skeleton = true[0].skeleton
  chosen = skeleton.parts.get(part) or skeleton.feature(part)
  joints = np.isin(np.arange(skeleton.num_joints), chosen)
  # The other joints are masked, not removed: one compiled shape for all parts.
  alone = [pairs.Sequence3D(clip.frames, clip.valid & joints) for clip in true]
  shown = np.array([part.valid.any() for part in alone])
  return np.where(shown, dtw_mje(produced, alone), np.nan)


def mpjpe(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Mean per-joint position error on DTW-aligned frames, of each pair: [n].

  Every true joint counts once: its error is the mean over the frames that the
  path of `dtw_mje` aligns with its frame. (In DTW-MJE a frame counts as often
  as the path visits it.)
  """
  return pairs.over_pairs(_mpjpe, produced, true)


def _mpjpe(batch: pairs.Batch) -> np.ndarray:
  costs = _mean_joint(batch)
  paths = dtw.paths(costs, batch.rows, batch.columns)
  joints = np.asarray(batch.valid).sum(-1)
  errors = []
  for cost, path, seen in zip(np.asarray(costs), paths, joints, strict=True):
    row, column = path.T
    frames = np.bincount(row, cost[row, column]) / np.bincount(row)
    seen = seen[: len(frames)]
    errors.append((frames * seen).sum() / max(seen.sum(), 1))
  return np.array(errors)


def ndtw_mje(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """nDTW-MJE of Ham2Pose (Arkushin et al., CVPR 2023), of each pair: [n].

  Both clips are normalised by their shoulders; every keypoint is aligned by
  itself; the mean of the paths' totals. A keypoint missing in the truth costs
  nothing, one missing in the hypothesis half of its distance from the origin.
  The published metric is in 2-D and uses fastdtw's approximation; this one is
  in 3-D and exact.
  """
  totals = pairs.over_pairs(
    _keypoints, _by_shoulders(produced), _by_shoulders(true)
  )
  return totals.mean(-1)


def _keypoints(batch: pairs.Batch) -> np.ndarray:
  return _align_each(_keypoint_costs, batch)


@jax.jit
def _keypoint_costs(pair: pairs.Batch) -> jax.Array:
  reference = pair.reference.swapaxes(0, 1)  # [K, R, D]
  hypothesis = pair.hypothesis.swapaxes(0, 1)  # [K, Q, D]
  cost = jnp.linalg.norm(reference[:, :, None] - hypothesis[:, None], axis=-1)
  missing = jnp.linalg.norm(reference, axis=-1)[..., None] / 2
  cost = jnp.where(pair.shown.T[:, None], cost, missing)
  return jnp.where(pair.valid.T[..., None], cost, 0)


def _align_each(
  costs: Callable[[pairs.Batch], jax.Array], batch: pairs.Batch
) -> np.ndarray:
  """Totals [B, K] of the cheapest paths of each pair's `costs` [K, R, Q].

  One pair at a time, as the costs of all keypoints of a batch are gigabytes.
  """
  totals = []
  for i in range(len(batch.rows)):
    pair = jax.tree.map(lambda x, i=i: x[i], batch)
    cost = costs(pair)
    ends = (np.full(len(cost), int(n)) for n in (pair.rows, pair.columns))
    totals.append(dtw.align(cost, *ends).total)
  return np.stack(jax.device_get(totals))


def dtwp(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """DTWp of the toolkit pose-evaluation, of each pair: [n].

  Jiang et al., Meaningful Pose-Based Sign Language Evaluation, WMT 2025: frames
  without hands are trimmed at both ends, only the hands are kept, missing
  values become 10, every keypoint is aligned by itself (squared Euclidean local
  cost, root of the total), and the mean is taken. Our clips have no pixels, so
  they are normalised by their shoulders first (the paper's nDTWp).
  """
  hands = _hands(true[0].skeleton)
  totals = pairs.over_pairs(
    _squared_keypoints,
    [_trim(sequence, hands) for sequence in _by_shoulders(produced)],
    [_trim(sequence, hands) for sequence in _by_shoulders(true)],
  )
  return np.sqrt(totals[:, hands]).mean(-1)


def _hands(skeleton: Skeleton) -> list[int]:
  return [*skeleton.parts["left_hand"], *skeleton.parts["right_hand"]]


def _squared_keypoints(batch: pairs.Batch) -> np.ndarray:
  return _align_each(_squared_costs, batch)


@jax.jit
def _squared_costs(pair: pairs.Batch) -> jax.Array:
  reference = pair.reference.swapaxes(0, 1)
  hypothesis = pair.hypothesis.swapaxes(0, 1)
  return ((reference[:, :, None] - hypothesis[:, None]) ** 2).sum(-1)


def _trim(sequence: pairs.Sequence3D, hands: list[int]) -> pairs.Sequence3D:
  """Cuts to the frames that show a hand and fills missing joints."""
  shown = np.flatnonzero(sequence.valid[:, hands].any(1))
  span = slice(shown[0], shown[-1] + 1) if len(shown) else slice(None)
  frames, valid = sequence.frames[span], sequence.valid[span]
  return pairs.Sequence3D(np.where(valid[..., None], frames, DTWP_FILL), valid)


def _by_shoulders(sequence: Sequence[clips.Clip]) -> list[pairs.Sequence3D]:
  """Normalises clips: the middle of the shoulders at 0, their distance 1.

  Both are means over the clip, as in pose-format's normalisation.
  """
  normalised = []
  for clip in sequence:
    middle, width = np.zeros(clip.skeleton.dims), clips.SHOULDER_WIDTH
    shoulders = list(clip.skeleton.shoulders)
    seen = clip.valid[:, shoulders].all(1)
    if seen.any():
      right, left = clip.frames[seen][:, shoulders].swapaxes(0, 1)
      middle = (right + left).mean(0, dtype=np.float64) / 2
      width = np.linalg.norm(right - left, axis=-1).mean(dtype=np.float64)
    frames = (clip.frames - middle) / max(width, 1e-6)
    frames = np.where(clip.valid[..., None], frames, 0).astype(np.float32)
    normalised.append(pairs.Sequence3D(frames, clip.valid))
  return normalised
