"""Coverage within a text: which of its recordings produced clips come near.

Naeem et al., Reliable Fidelity and Diversity Metrics for Generative Models,
ICML 2020: the share of real samples that have a produced one within the
distance of their nearest real neighbour. Here both are of the same text, so a
model that signs a text in one way only covers few of its recordings. It asks
for models that sign differently each time; one clip for each recording of a
text is produced.
"""

import collections
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips

FRAMES = 32  # of time-normalised clips, as of `spread`


def covered(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> np.ndarray:
  """Whether each true clip is covered: [n]; NaN for a text with one clip.

  The distance of two clips is the root mean square over joints that both show
  and FRAMES moments, after interpolation in time. NaN as well for a clip that
  shares no visible joint with the others.
  """
  groups = collections.defaultdict(list)
  for i, clip in enumerate(true):
    groups[clip.text].append(i)
  found = np.full(len(true), np.nan)
  for rows in groups.values():
    if len(rows) > 1:
      real = _normalised([true[i] for i in rows])
      made = _normalised([produced[i] for i in rows])
      between = _distances(real, real)
      np.fill_diagonal(between, np.inf)
      radius = between.min(1)
      nearest = _distances(real, made).min(1)
      found[rows] = np.where(np.isfinite(radius), nearest <= radius, np.nan)
  return found


def _normalised(
  group: Sequence[clips.Clip],
) -> tuple[np.ndarray, np.ndarray]:
  """Frames [m, FRAMES J, D] and mask [m, FRAMES J] of clips."""
  resampled = [clips.with_frames(clip, FRAMES) for clip in group]
  frames = np.stack([clip.frames for clip in resampled]).astype(np.float64)
  valid = np.stack([clip.valid for clip in resampled])
  m, _, _, dims = frames.shape
  return frames.reshape(m, -1, dims), valid.reshape(m, -1)


def _distances(a, b) -> np.ndarray:
  """Root mean square distances [m, k]; infinite without a common joint."""
  rows = []
  for frames, valid in zip(*a, strict=True):
    both = b[1] & valid
    squares = (np.square(b[0] - frames).sum(-1) * both).sum(-1)
    count = both.sum(-1)
    mean = squares / np.maximum(count, 1)
    rows.append(np.where(count > 0, np.sqrt(mean), np.inf))
  return np.array(rows)
