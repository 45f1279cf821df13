"""Batches of texts and glosses, for text to gloss."""

from collections.abc import Sequence

import numpy as np

from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import batch_plan

_GLOSS_MULTIPLE = 4  # gloss ids are padded to a multiple of this


class TextGlossBatches:
  """Random access to the batches of a corpus of pairs.

  A batch has `source` [B, S] int32 and `gloss` [B, G] int32, each sequence with
  </s> at its end and PAD after the last, and `length` [B] int32, the number of
  source ids, 0 in empty rows.
  """

  def __init__(
    self,
    sources: Sequence[np.ndarray],
    glosses: Sequence[np.ndarray],
    plan: batch_plan.BatchPlan,
    count: int,
  ):
    """Prepares the batches.

    Args:
      sources: ids of each row's sources, each with </s>.
      glosses: ids of each row's glosses, each with </s>.
      plan: the order of the rows.
      count: number of batches.
    """
    self._sources, self._glosses = sources, glosses
    self._plan, self._count = plan, count
    # One padded gloss length for each bucket: fewer shapes to compile.
    self._gloss_lengths: dict[int, int] = {}
    for length, ids in zip(plan.lengths, self._glosses, strict=True):
      t = batch_plan.round_up(int(length), plan.bucket)
      g = batch_plan.round_up(len(ids), _GLOSS_MULTIPLE)
      self._gloss_lengths[t] = max(self._gloss_lengths.get(t, 0), g)

  def __len__(self) -> int:
    return self._count

  def __getitem__(self, index: int) -> dict[str, np.ndarray]:
    t, ids = self._plan[index]
    rows = self._plan.batch_size
    empty_rows = rows - len(ids)
    sources = [self._sources[int(i)] for i in ids]
    glosses = [self._glosses[int(i)] for i in ids]
    length = np.zeros(rows, np.int32)
    length[: len(ids)] = [len(source) for source in sources]
    sources += [np.array([vocabulary_lib.EOS], np.int32)] * empty_rows
    glosses += [np.zeros(0, np.int32)] * empty_rows
    return {
      "source": vocabulary_lib.pad(sources, t),
      "gloss": vocabulary_lib.pad(glosses, self._gloss_lengths[t]),
      "length": length,
    }
