"""Spread of the clips of one text: how much its signing varies.

People sign a text differently each time. A deterministic model does not: its
clips of a text are equal, and their spread is 0.
"""

import collections
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation.metrics import metric

FRAMES = 32  # of time-normalised clips


def sums(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Squared deviations from the mean clip of each text: [n, 4].

  The sum over visible joints and FRAMES moments of the squared distance between
  a clip and the mean of its text's clips, and the number of terms; of the
  produced clips, then of the true ones. A deviation among m clips counts
  m / (m - 1) times, as in an unbiased variance. Texts are those of the true
  clips; one with a single clip has no terms.
  """
  groups = collections.defaultdict(list)
  for i, clip in enumerate(true):
    groups[clip.text].append(i)
  found = np.zeros((len(true), 4))
  for rows in groups.values():
    found[rows, :2] = _deviations([produced[i] for i in rows])
    found[rows, 2:] = _deviations([true[i] for i in rows])
  return found


def _deviations(group: Sequence[clips.Clip]) -> np.ndarray:
  """Squared deviation of each clip from the mean, and its terms: [m, 2]."""
  normalised = [clips.with_frames(clip, FRAMES) for clip in group]
  x = np.stack([clip.frames for clip in normalised]).astype(np.float64)
  seen = np.stack([clip.valid for clip in normalised])
  count = seen.sum(0)
  mean = (x * seen[..., None]).sum(0) / np.maximum(count, 1)[..., None]
  used = seen & (count > 1)
  weight = used * count / np.maximum(count - 1, 1)
  squares = ((x - mean) ** 2).sum(-1) * weight
  return np.stack([squares.sum((1, 2)), used.sum((1, 2))], -1)


def ratio(total: np.ndarray) -> np.ndarray:
  """Root mean square deviation, produced over true: [..., 4] -> [...]."""
  produced, true = metric.ratio(total[..., :2]), metric.ratio(total[..., 2:])
  return np.sqrt(metric.divide(produced, true))
