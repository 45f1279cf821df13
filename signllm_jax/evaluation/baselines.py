"""Baselines that need no model, reported beside every score (section 8)."""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips, vocabulary

_MAX_NGRAM = 3  # characters, of `nearest`


def mean_frame(listed: Sequence[clips.Clip]) -> np.ndarray:
  """The mean [J, D] of all frames, float64; 0 for joints never shown."""
  frames = np.concatenate([clip.frames for clip in listed], dtype=np.float64)
  valid = np.concatenate([clip.valid for clip in listed])[..., None]
  return (frames * valid).sum(0) / np.maximum(valid.sum(0), 1)


def of_clips(
  true: Sequence[clips.Clip], mean_pose: np.ndarray
) -> dict[str, list[clips.Clip]]:
  """Mean pose, frozen first frame and another clip, for each true clip.

  Args:
    true: clips of the split.
    mean_pose: [J, D] mean of the training clips.

  Returns:
    Row name -> one clip for each true clip. The still ones have its length.
  """

  def still(clip: clips.Clip, frame: np.ndarray) -> clips.Clip:
    frames = np.broadcast_to(frame, clip.frames.shape).astype(np.float32)
    return dataclasses.replace(clip, frames=frames)

  return {
    "mean_pose": [still(clip, mean_pose) for clip in true],
    "frozen": [still(clip, clip.frames[0]) for clip in true],
    "other_clip": [*true[1:], *true[:1]],
  }


def nearest(
  texts: Sequence[str], training: Sequence[str], tokens: str
) -> np.ndarray:
  """Finds the most similar training text of each text: [n] indices.

  Cosine of TF-IDF vectors, over words where the model reads words and over
  n-grams of 1 to 3 characters where it reads characters; idf is
  log((1 + N) / (1 + df)) + 1 over the training texts. Of equally similar
  texts it is the first, so the very first where nothing is shared.
  """
  postings: dict[str, list[tuple[int, float]]] = collections.defaultdict(list)
  norm = np.zeros(len(training))
  counts = [_features(line, tokens) for line in training]
  documents = collections.Counter(f for features in counts for f in features)

  def weight(feature: str, count: int) -> float:
    share = (1 + len(training)) / (1 + documents[feature])
    return count * (math.log(share) + 1)

  for i, features in enumerate(counts):
    for feature, count in features.items():
      value = weight(feature, count)
      postings[feature].append((i, value))
      norm[i] += value**2
  columns = {
    feature: (
      np.array([i for i, _ in entries]),
      np.array([v for _, v in entries]),
    )
    for feature, entries in postings.items()
  }
  norm = np.sqrt(np.maximum(norm, 1e-12))
  chosen = []
  for line in texts:
    score = np.zeros(len(training))
    for feature, count in sorted(_features(line, tokens).items()):
      if feature in columns:
        indices, values = columns[feature]
        score[indices] += weight(feature, count) * values
    # Rounded, so that equal texts do not differ by the order of summation.
    chosen.append(int(np.argmax(np.round(score / norm, 9))))
  return np.array(chosen, np.int64)


def _features(line: str, tokens: str) -> collections.Counter:
  units = vocabulary.tokenize(line, tokens)
  if tokens == "words":
    return collections.Counter(units)
  return collections.Counter(
    "".join(units[i : i + n])
    for n in range(1, _MAX_NGRAM + 1)
    for i in range(len(units) - n + 1)
  )
