"""Frechet distance between the frames of produced and of true signing.

The distance of two Gaussians (Dowson and Landau 1982; Heusel et al. 2017 use it
on image features), fitted to features of single frames. The features need no
network, so the score is reproducible anywhere.

Features of frame t >= 1, standardised by the true frames: positions of nose,
elbows and wrists about the neck and of ten fingertips about their hand's wrist,
and the change of each since frame t - 1. Missing cells take the truth's mean;
a joint that the truth shows in less than half of its frames is left out. So is
a depth that hardly varies in the truth: MediaPipe's can be a thousandth of x
and y, and standardised it would be the whole distance.

Of a face apart: points along the lines of brows, eyes and mouth about the
middle of all of these, so that it does not measure where the head is.
"""

import functools
import math
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import SIDES, Skeleton

FEATURES = ("mouth", "brows", "eyes")
_STILL = 1e-6  # deviation of a number that does not vary
_FLAT = 2e-4  # of a depth that does not, 0.0006 of the shoulders' distance
_RIDGE = 1e-9  # on variances of about 1: Cholesky then accepts still poses


@functools.cache
def _joints(skeleton: Skeleton) -> tuple[list[int], dict[str, list[int]]]:
  """Joints of the body about the origin, and fingertips by side."""
  names = ("nose", "right_elbow", "right_wrist", "left_elbow", "left_wrist")
  found = [skeleton.find(name) for name in names]
  tips = {
    side: [skeleton.hand(side) + 4 * finger for finger in range(1, 6)]
    for side in SIDES
  }
  return [joint for joint in found if joint is not None], tips


@functools.cache
def _face_joints(skeleton: Skeleton) -> list[int]:
  """Four points along each closed line of the face, three along others."""
  joints = []
  for name in FEATURES:
    for line in skeleton.features[name]:
      closed = line[0] == line[-1]
      count = 4 if closed else 3
      at = np.linspace(0, len(line) - 1, count + closed)[:count]
      joints += [line[round(place)] for place in at]
  return list(dict.fromkeys(joints))


def _face(clip: clips.Clip) -> np.ndarray:
  """Features [T - 1, 2 n D] of n points of the face; NaN where missing."""
  joints = _face_joints(clip.skeleton)
  frames, valid = clip.frames[:, joints], clip.valid[:, joints]
  # In frames that lack some, the middle would be of other points.
  seen = np.asarray(valid.all(1))
  place = frames.astype(np.float64) - frames.mean(1, keepdims=True)
  return _with_changes(np.where(seen[:, None, None], place, np.nan))


def _with_changes(known: np.ndarray) -> np.ndarray:
  """Positions [T, n, D] of frames from 1 on, and their changes: flat."""
  both = np.stack([known[1:], np.diff(known, axis=0)], 1)
  return both.reshape(len(both), math.prod(both.shape[1:]))


def _frames(clip: clips.Clip) -> np.ndarray:
  """Features [T - 1, 2 n D] of n joints; NaN where missing."""
  skeleton = clip.skeleton
  body, tips = _joints(skeleton)
  frames, valid = clip.frames, clip.valid
  place = [frames[:, body] - skeleton.origin_of(frames)]
  seen = [valid[:, body] & skeleton.origin_shown(valid)[:, None]]
  for side, joints in tips.items():
    wrist = skeleton.hand(side)
    place.append(frames[:, joints] - frames[:, wrist, None])
    seen.append(valid[:, joints] & valid[:, wrist, None])
  shown = np.concatenate(seen, 1)[..., None]
  known = np.where(shown, np.concatenate(place, 1), np.nan).astype(np.float64)
  return _with_changes(known)


def sums(
  produced: Sequence[clips.Clip],
  true: Sequence[clips.Clip],
  *,
  face: bool = False,
) -> np.ndarray:
  """Moments of each pair's features: [n, 2 (1 + D + D^2)].

  Count, sum and outer products of the produced frames, then of the true ones;
  D is at most 90 in 3-D, and of a face at most 168.
  """
  features = _face if face else _frames
  reference = [features(clip) for clip in true]
  pooled = np.concatenate(reference)
  shown = ~np.isnan(pooled)
  used = shown.sum(0) * 2 >= max(len(pooled), 1)
  count = np.maximum(shown.sum(0), 1)
  mean = np.where(shown, pooled, 0).sum(0) / count
  deviation = np.sqrt((np.where(shown, pooled - mean, 0) ** 2).sum(0) / count)
  least = np.full(len(deviation), _STILL)
  if true[0].skeleton.dims == 3:
    least[2::3] = _FLAT
  used &= deviation > least

  def moments(frames: np.ndarray) -> np.ndarray:
    x = (np.nan_to_num(frames - mean) / np.where(used, deviation, 1))[:, used]
    return np.concatenate([[len(x)], x.sum(0), (x.T @ x).ravel()])

  return np.stack(
    [
      np.concatenate([moments(features(clip)), moments(own)])
      for clip, own in zip(produced, reference, strict=True)
    ]
  )


def finish(total: np.ndarray) -> np.ndarray:
  """Squared Frechet distance of summed moments: [..., k] -> [...].

  Covariances are shrunk towards their diagonal by D / (D + true frames): few
  frames do not determine the correlations of D features. 0 without any joint.
  """
  half = total.shape[-1] // 2
  d = round((np.sqrt(4 * half - 3) - 1) / 2)
  shrink = d / (d + np.maximum(total[..., half], 1))
  mean_a, a = _gaussian(total[..., :half], d, shrink)
  mean_b, b = _gaussian(total[..., half:], d, shrink)
  root = np.linalg.cholesky(b)
  common = np.linalg.eigvalsh(np.swapaxes(root, -1, -2) @ a @ root)
  trace = np.trace(a, axis1=-2, axis2=-1) + np.trace(b, axis1=-2, axis2=-1)
  apart = np.square(mean_a - mean_b).sum(-1)
  squared = apart + trace - 2 * np.sqrt(np.maximum(common, 0)).sum(-1)
  known = (total[..., 0] > 0) & (total[..., half] > 0)
  return np.where(known, np.maximum(squared, 0), np.nan)


def _gaussian(
  moments: np.ndarray, d: int, shrink: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
  count = np.maximum(moments[..., :1], 1)
  mean = moments[..., 1 : 1 + d] / count
  outer = moments[..., 1 + d :].reshape(*moments.shape[:-1], d, d)
  covariance = (
    outer / count[..., None] - mean[..., :, None] * mean[..., None, :]
  )
  eye = np.eye(d)
  covariance *= 1 - shrink[..., None, None] * (1 - eye)
  return mean, covariance + _RIDGE * eye
