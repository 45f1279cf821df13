"""Which examples make which batch: a pure function of the seed.

Batch k of a run depends on (seed, k) and nothing else: not on how many devices,
processes or readers there are, nor on where the run was interrupted. So the
position in the data is one number, and resuming is exact.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np


def round_up(value: int, multiple: int) -> int:
  """The smallest multiple that is not smaller."""
  return -(-value // multiple) * multiple


def balanced_examples(sizes: Sequence[int], temperature: float) -> np.ndarray:
  """Which example each place of an epoch holds, small corpora repeated.

  The share of a corpus is proportional to its size ** (1 / temperature), the
  usual sampling of unequal corpora; the largest is seen once an epoch.

  Args:
    sizes: examples of each corpus, one after another.
    temperature: 1 for shares by size; towards infinity all are equal.

  Returns:
    [m] example ids, rising; each at least once.
  """
  largest, start, parts = max(sizes), 0, []
  for size in sizes:
    times = (largest / size) ** (1 - 1 / temperature)
    ends = np.floor(times * np.arange(size + 1) + 1e-9).astype(np.int64)
    parts.append(np.repeat(np.arange(start, start + size), np.diff(ends)))
    start += size
  return np.concatenate(parts)


def _shared_draws(seed: int, start: int, stop: int) -> np.ndarray:
  """Random numbers of the steps `start` to `stop`, whatever is asked for."""
  block = 1024
  blocks = range(start // block, -(-stop // block))
  drawn = np.concatenate(
    [np.random.default_rng([seed, 1, i]).random(block) for i in blocks]
  )
  return drawn[start - blocks[0] * block :][: stop - start]


@dataclasses.dataclass(frozen=True)
class BatchPlan:
  """Which examples make batch k: a pure function of the seed and k.

  Every epoch is a permutation cut into batches of one length bucket each; what
  is left of a bucket makes a batch with empty rows, so each example counts
  once an epoch.

  Attributes:
    lengths: [n] frames of each place in an epoch.
    batch_size: rows of a batch.
    bucket: padding multiple, in frames.
    seed: of the order.
    matched: batches of like lengths come at the same steps in all plans of the
      seed, so that languages side by side need little padding.
    examples: [n] the example in each place, of `balanced_examples`; None
      where place i holds example i.
  """

  lengths: np.ndarray
  batch_size: int
  bucket: int
  seed: int
  matched: bool = False
  examples: np.ndarray | None = None

  @functools.cached_property
  def buckets(self) -> dict[int, int]:
    """Padded length -> number of examples."""
    padded = -(-self.lengths // self.bucket) * self.bucket
    sizes, counts = np.unique(padded, return_counts=True)
    return dict(zip(sizes.tolist(), counts.tolist(), strict=True))

  @functools.cached_property
  def batches_per_epoch(self) -> int:
    """The same in every epoch."""
    return sum(-(-n // self.batch_size) for n in self.buckets.values())

  @property
  def padding(self) -> float:
    """Share of a batch's cells that are padding, over an epoch."""
    cells = sum(
      -(-n // self.batch_size) * self.batch_size * t
      for t, n in self.buckets.items()
    )
    return 1 - float(self.lengths.sum()) / cells

  @functools.lru_cache(maxsize=2)  # noqa: B019 (a plan lives as long as a run)
  def _epoch(self, epoch: int) -> list[tuple[int, np.ndarray]]:
    random = np.random.default_rng([self.seed, epoch])
    order = random.permutation(len(self.lengths))
    padded = -(-self.lengths[order] // self.bucket) * self.bucket
    batches = [
      (t, ids[start : start + self.batch_size])
      for t in self.buckets
      for ids in [order[padded == t]]
      for start in range(0, len(ids), self.batch_size)
    ]
    if self.matched:  # `batches` rise in length
      first = epoch * len(batches)
      drawn = _shared_draws(self.seed, first, first + len(batches))
      return [batches[i] for i in np.argsort(np.argsort(drawn))]
    return [batches[i] for i in random.permutation(len(batches))]

  def __getitem__(self, index: int) -> tuple[int, np.ndarray]:
    """Padded frames and example ids of batch `index`, from 0."""
    epoch, position = divmod(index, self.batches_per_epoch)
    t, places = self._epoch(epoch)[position]
    return t, places if self.examples is None else self.examples[places]

  def __hash__(self) -> int:
    return id(self)
