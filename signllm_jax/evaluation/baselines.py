"""What needs no model: the floors that stand beside every score (section 8)."""

import collections
import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import clips, vocabulary

_LONGEST = 3  # characters of the n-grams of `nearest`


def floors(
  true: Sequence[clips.Clip], mean_pose: np.ndarray
) -> dict[str, list[clips.Clip]]:
  """Mean pose, frozen first frame, another clip.

  Args:
    true: clips of the split.
    mean_pose: [J, 3] mean of the training clips.

  Returns:
    Row name -> one clip for each true one; the still ones as long as it.
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
  """The training text most like each text: [n] indices.

  Cosine of TF-IDF vectors, over words where the model reads words and over
  n-grams of 1 to 3 characters where it reads characters; idf is
  log((1 + N) / (1 + df)) + 1 over the training texts. The first of equals, so
  the first training text where nothing is shared.
  """
  postings: dict[str, list[tuple[int, float]]] = collections.defaultdict(list)
  size = np.zeros(len(training))
  counts = [_features(line, tokens) for line in training]
  documents = collections.Counter(f for found in counts for f in found)

  def weight(feature: str, count: int) -> float:
    share = (1 + len(training)) / (1 + documents[feature])
    return count * (math.log(share) + 1)

  for i, found in enumerate(counts):
    for feature, count in found.items():
      value = weight(feature, count)
      postings[feature].append((i, value))
      size[i] += value**2
  columns = {
    feature: (
      np.array([i for i, _ in listed]),
      np.array([v for _, v in listed]),
    )
    for feature, listed in postings.items()
  }
  size = np.sqrt(np.maximum(size, 1e-12))
  chosen = []
  for line in texts:
    score = np.zeros(len(training))
    for feature, count in sorted(_features(line, tokens).items()):
      if feature in columns:
        at, values = columns[feature]
        score[at] += weight(feature, count) * values
    # Rounded: equal texts must not differ by the order of their sums.
    chosen.append(int(np.argmax(np.round(score / size, 9))))
  return np.array(chosen, np.int64)


def _features(line: str, tokens: str) -> collections.Counter:
  listed = vocabulary.tokenize(line, tokens)
  if tokens == "words":
    return collections.Counter(listed)
  return collections.Counter(
    "".join(listed[i : i + n])
    for n in range(1, _LONGEST + 1)
    for i in range(len(listed) - n + 1)
  )
