"""Distances between produced and true signing, along the cheapest alignment.

Each is one function of a pair, computed on the device in float32. Missing
joints of the truth do not count; a produced joint counts where it is, for a
model must say where every joint is. Units are the canonical skeleton's
(shoulders 1/3 apart) unless said otherwise.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax import clips, skeleton
from signllm_jax.losses import dtw
from signllm_jax.metrics import pairs

HANDS = [*skeleton.PARTS["left_hand"], *skeleton.PARTS["right_hand"]]
DTWP_FILL = 10.0  # where a joint is missing, in pose-evaluation's DTWp
_SHOULDERS = [skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER]


def dtw_pt(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Progressive Transformers' DTW of each pair: [n].

  The local cost is the L1 distance over the 150 numbers of a frame; the path's
  total is divided by the frames of the truth. Where joints are missing, their
  numbers count as the mean of the frame's others.
  """
  return pairs.over_pairs(_pt, produced, true)


def _pt(pair: pairs.Pair) -> jax.Array:
  gap = jnp.abs(pair.reference[:, None] - pair.hypothesis[None]).sum(-1)
  seen = pair.valid[:, None].astype(jnp.float32)
  total = jnp.sum(gap * seen, -1) / jnp.maximum(jnp.sum(seen, -1), 1)
  cost = skeleton.J * total
  return dtw.align(cost, pair.rows, pair.columns)[0] / pair.rows


def dtw_mje(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Mean joint distance along the cheapest path, of each pair: [n]."""
  return pairs.over_pairs(_mje, produced, true)


def _mje(pair: pairs.Pair) -> jax.Array:
  cost = dtw.mean_joint_cost(pair.reference, pair.valid, pair.hypothesis)
  total, cells = dtw.align(cost, pair.rows, pair.columns)
  return total / cells


def dtw_mje_of_part(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip], part: str
) -> np.ndarray:
  """DTW-MJE of one of `skeleton.PARTS`, aligned by itself: [n].

  NaN where the truth never shows the part.
  """
  joints = list(skeleton.PARTS[part])
  found = dtw_mje(_only(produced, joints), _only(true, joints))
  shown = np.array([clip.valid[:, joints].any() for clip in true])
  return np.where(shown, found, np.nan)


def _only(listed: Sequence, joints: list[int]) -> list[pairs.Sequence3D]:
  return [
    pairs.Sequence3D(one.frames[:, joints], one.valid[:, joints])
    for one in listed
  ]


def mpjpe(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Mean per-joint position error on DTW-aligned frames, of each pair: [n].

  Every true joint counts once: its error is the mean over the frames that the
  path of `dtw_mje` gives to its frame. (In DTW-MJE a frame counts as often as
  the path stays on it.)
  """
  return pairs.over_pairs(_mpjpe, produced, true)


def _mpjpe(pair: pairs.Pair) -> jax.Array:
  cost = dtw.mean_joint_cost(pair.reference, pair.valid, pair.hypothesis)
  # The total's derivative by a cell's cost is 1 on the path and 0 elsewhere.
  path = jax.grad(lambda c: dtw.align(c, pair.rows, pair.columns)[0])(cost)
  frames = jnp.sum(path * cost, 1) / jnp.maximum(jnp.sum(path, 1), 1)
  joints = jnp.sum(pair.valid, 1)
  return jnp.sum(frames * joints) / jnp.maximum(jnp.sum(joints), 1)


def ndtw_mje(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """nDTW-MJE of Ham2Pose (Arkushin et al., CVPR 2023), of each pair: [n].

  Both clips are normalised by their shoulders; every keypoint is aligned by
  itself; the mean of the paths' totals. A keypoint missing in the truth costs
  nothing, one missing in the hypothesis half of its distance from the origin.
  Exact, where the published one is fastdtw's estimate; 3-D, where it is 2-D.
  """
  found = pairs.over_pairs(
    _keypoints, _by_shoulders(produced), _by_shoulders(true)
  )
  return found.mean(-1)


def _keypoints(pair: pairs.Pair) -> jax.Array:
  reference = pair.reference.swapaxes(0, 1)  # [K, R, 3]
  hypothesis = pair.hypothesis.swapaxes(0, 1)  # [K, Q, 3]
  gap = reference[:, :, None] - hypothesis[:, None]  # [K, R, Q, 3]
  cost = jnp.sqrt(jnp.sum(gap**2, -1))
  unseen = jnp.sqrt(jnp.sum(reference**2, -1))[..., None] / 2
  cost = jnp.where(pair.shown.T[:, None], cost, unseen)
  cost = jnp.where(pair.valid.T[..., None], cost, 0)
  return _align_each(cost, pair)


def _align_each(cost: jax.Array, pair: pairs.Pair) -> jax.Array:
  """Totals of the cheapest paths through each of [K, R, Q] costs: [K]."""
  align = jax.vmap(dtw.align, (0, None, None))
  return align(cost, pair.rows, pair.columns)[0]


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
  found = pairs.over_pairs(
    _squared_keypoints,
    [_hands(one) for one in _by_shoulders(produced)],
    [_hands(one) for one in _by_shoulders(true)],
  )
  return np.sqrt(found).mean(-1)


def _squared_keypoints(pair: pairs.Pair) -> jax.Array:
  reference = pair.reference.swapaxes(0, 1)
  hypothesis = pair.hypothesis.swapaxes(0, 1)
  gap = reference[:, :, None] - hypothesis[:, None]
  return _align_each(jnp.sum(gap**2, -1), pair)


def _hands(one: pairs.Sequence3D) -> pairs.Sequence3D:
  """Both hands, from the first frame that shows one to the last."""
  frames, valid = one.frames[:, HANDS], one.valid[:, HANDS]
  shown = np.flatnonzero(valid.any(1))
  if len(shown):
    span = slice(shown[0], shown[-1] + 1)
    frames, valid = frames[span], valid[span]
  return pairs.Sequence3D(np.where(valid[..., None], frames, DTWP_FILL), valid)


def _by_shoulders(listed: Sequence[clips.Clip]) -> list[pairs.Sequence3D]:
  """Clips with the middle of the shoulders at 0 and their distance 1.

  Both are means over the clip, as in pose-format's normalisation.
  """
  made = []
  for clip in listed:
    middle, width = np.zeros(3), clips.SHOULDER_WIDTH
    seen = clip.valid[:, _SHOULDERS].all(1)
    if seen.any():
      right, left = clip.frames[seen][:, _SHOULDERS].swapaxes(0, 1)
      middle = (right + left).mean(0, dtype=np.float64) / 2
      width = np.linalg.norm(right - left, axis=-1).mean(dtype=np.float64)
    frames = (clip.frames - middle) / max(width, 1e-6)
    frames = np.where(clip.valid[..., None], frames, 0).astype(np.float32)
    made.append(pairs.Sequence3D(frames, clip.valid))
  return made
