"""Tables of the data card on texts, and on the overlap of splits."""

import collections
from typing import Any, NamedTuple

from data_pipeline.data_card import statistics
from signllm_jax.visualization.pages import Bar, Number

TOP = 20  # most frequent tokens listed
OVERLAP_EXAMPLES = 5  # texts named that two splits share


class TextTables(NamedTuple):
  """Texts of a data set.

  Attributes:
    tokens: the kind of token that is counted, "words" or "characters".
    first_split: the split that the others' tokens are compared with.
    splits: a row a split.
    most_frequent: a row a token.
    counts: token -> occurrences in all splits.
  """

  tokens: str
  first_split: str
  splits: list[tuple[Any, ...]]
  most_frequent: list[tuple[Any, ...]]
  counts: collections.Counter[str]

  @property
  def vocabulary(self) -> int:
    """Number of different tokens."""
    return len(self.counts)


def texts(stats: statistics.DatasetStatistics) -> TextTables | None:
  """Tables on lengths and vocabulary; None where no clip has a text."""
  counts = {name: stats.vocabulary(name) for name in stats.splits}
  total = sum(counts.values(), start=collections.Counter[str]())
  if not total:
    return None
  first = next(iter(counts))
  rows = []
  for name, split in stats.splits.items():
    unknown = counts[name].keys() - counts[first].keys()
    rows.append(
      (
        name,
        len(split.texts),
        split.clips - len(split.texts),
        split.texts[""],
        counts[name].total(),
        len(counts[name]),
        Number("–") if name == first else len(unknown),
      )
    )
  ranked = sorted(total.items(), key=lambda item: (-item[1], item[0]))
  most = ranked[0][1]
  return TextTables(
    tokens=stats.tokens,
    first_split=first,
    splits=rows,
    most_frequent=[(token, n, Bar(n / most)) for token, n in ranked[:TOP]],
    counts=total,
  )


def overlaps(
  pairs: list[statistics.Overlap],
) -> list[tuple[str, int, int, int, str]]:
  """A row for each two splits."""
  return [
    (
      " and ".join(pair.splits),
      len(pair.texts),
      pair.names,
      pair.poses,
      "; ".join(pair.texts[:OVERLAP_EXAMPLES])
      + ("; …" if len(pair.texts) > OVERLAP_EXAMPLES else ""),
    )
    for pair in pairs
  ]
