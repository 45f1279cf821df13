"""The order of examples and their batches: a pure function of the seed.

Batch k of a run depends on (seed, k) alone: neither on the number of devices,
processes or readers, nor on where the run was interrupted. So the position in
the data is one number, and resuming is exact.
"""

import dataclasses
import functools
from collections.abc import Sequence

import numpy as np


def round_up(value: int, multiple: int) -> int:
  """Rounds up to a multiple of `multiple`."""
  return -(-value // multiple) * multiple


def balanced_examples(sizes: Sequence[int], temperature: float) -> np.ndarray:
  """Example ids of an epoch, with small corpora repeated.

  The share of a corpus is proportional to its size ** (1 / temperature)
  (temperature sampling); the largest corpus is seen once an epoch.

  Args:
    sizes: number of examples of each corpus; ids run through all corpora.
    temperature: 1 for shares by size; towards infinity all are equal.

  Returns:
    [m] example ids, ascending; each at least once.
  """
  largest, start, ids = max(sizes), 0, []
  for size in sizes:
    repeats = (largest / size) ** (1 - 1 / temperature)
    ends = np.floor(repeats * np.arange(size + 1) + 1e-9).astype(np.int64)
    ids.append(np.repeat(np.arange(start, start + size), np.diff(ends)))
    start += size
  return np.concatenate(ids)


def _random_of_steps(seed: int, start: int, stop: int) -> np.ndarray:
  """Random numbers of steps `start` to `stop`; one per step, in any range."""
  block = 1024
  blocks = range(start // block, -(-stop // block))
  numbers = np.concatenate(
    [np.random.default_rng([seed, 1, i]).random(block) for i in blocks]
  )
  return numbers[start - blocks[0] * block :][: stop - start]


@dataclasses.dataclass(frozen=True, eq=False)
class BatchPlan:
  """The examples of every batch, as a pure function of seed and batch number.

  Every epoch is a permutation, cut into batches of one length bucket each. The
  remainder of a bucket makes a batch with empty rows, so that every example
  counts once an epoch.

  Attributes:
    lengths: [n] frames at each position of an epoch.
    batch_size: rows of a batch.
    bucket: padding multiple, in frames.
    seed: of the order.
    align_lengths: order batches so that all plans of this seed have batches of
      similar lengths at the same steps; languages that are stacked then need
      little padding.
    example_ids: [n] example at each position, of `balanced_examples`; None
      where position i is example i.
  """

  lengths: np.ndarray
  batch_size: int
  bucket: int
  seed: int
  align_lengths: bool = False
  example_ids: np.ndarray | None = None
  _epochs: dict[int, list[tuple[int, np.ndarray]]] = dataclasses.field(
    default_factory=dict, init=False, repr=False
  )

  @functools.cached_property
  def buckets(self) -> dict[int, int]:
    """Padded length -> number of examples."""
    padded = -(-self.lengths // self.bucket) * self.bucket
    sizes, counts = np.unique(padded, return_counts=True)
    return dict(zip(sizes.tolist(), counts.tolist(), strict=True))

  @functools.cached_property
  def batches_per_epoch(self) -> int:
    """Number of batches, the same in every epoch."""
    return sum(-(-n // self.batch_size) for n in self.buckets.values())

  @property
  def padding(self) -> float:
    """Share of padding among all frames of an epoch's batches."""
    frames = sum(
      -(-n // self.batch_size) * self.batch_size * t
      for t, n in self.buckets.items()
    )
    return 1 - float(self.lengths.sum()) / frames

  def _epoch(self, epoch: int) -> list[tuple[int, np.ndarray]]:
    """The batches of an epoch; those of the last two are kept."""
    batches = self._epochs.get(epoch)  # readers ask from several threads
    if batches is None:
      batches = self._shuffled(epoch)
      self._epochs[epoch] = batches
      for old in sorted(self._epochs)[:-2]:
        self._epochs.pop(old, None)
    return batches

  def _shuffled(self, epoch: int) -> list[tuple[int, np.ndarray]]:
    random = np.random.default_rng([self.seed, epoch])
    order = random.permutation(len(self.lengths))
    padded = -(-self.lengths[order] // self.bucket) * self.bucket
    batches = [
      (t, ids[start : start + self.batch_size])
      for t in self.buckets
      for ids in [order[padded == t]]
      for start in range(0, len(ids), self.batch_size)
    ]
    if self.align_lengths:  # `batches` ascend in length
      first = epoch * len(batches)
      keys = _random_of_steps(self.seed, first, first + len(batches))
      return [batches[i] for i in np.argsort(np.argsort(keys))]
    return [batches[i] for i in random.permutation(len(batches))]

  def __getitem__(self, index: int) -> tuple[int, np.ndarray]:
    """Padded frames and example ids of batch `index`, from 0."""
    epoch, position = divmod(index, self.batches_per_epoch)
    t, ids = self._epoch(epoch)[position]
    return t, ids if self.example_ids is None else self.example_ids[ids]
