"""Columns of the report in groups that fit a screen, headline first."""

from collections.abc import Sequence
from typing import NamedTuple

from signllm_jax.evaluation.metrics import text as text_metrics
from signllm_jax.evaluation.metrics.metric import Metric

MOST = 6  # columns of a table: with intervals below, they fit 1,280 pixels
_HEADLINE = (
  "signing_distance",
  "recognised",
  "bleu_4",
  "letter_error_rate",
  "dtw_mje",
  "frechet",
  "motion_share",
  "length_ratio",
)
_READ = ("likelihood", "encoder_distance", *(m.key for m in text_metrics.TEXT))
_PUBLISHED = ("dtw_pt", "ndtw_mje", "dtwp", "slrtp")
_DISTANCES = ("signing_distance", "dtw_mje", "mpjpe")
_NEARER = {"lower": "lower is better", "higher": "higher is better"}


class Group(NamedTuple):
  """Columns that stand in one table.

  Attributes:
    title: of the table.
    metrics: its columns.
  """

  title: str
  metrics: tuple[Metric, ...]


def groups(metrics: Sequence[Metric]) -> list[Group]:
  """The headline, then all columns by kind, MOST at a time."""

  def of(keys: Sequence[str]) -> list[Metric]:
    return [m for m in metrics if m.key.startswith(tuple(keys))]

  head = [m for key in _HEADLINE for m in metrics if m.key == key][:MOST]
  read = [m for m in metrics if m.key in _READ]
  published = [m for m in of(_PUBLISHED) if m not in read]
  distances = [m for m in of(_DISTANCES) if m not in published]
  rest = [m for m in metrics if m not in (*read, *published, *distances)]
  found = [Group("Headline", tuple(head))]
  for title, listed in (
    ("Read by a model", read),
    ("Distances", distances),
    ("Motion, form and variety", rest),
    ("Published distances", published),
  ):
    for start in range(0, len(listed), MOST):
      part = tuple(listed[start : start + MOST])
      found.append(Group(title if not start else f"{title}, further", part))
  return [group for group in found if group.metrics]


def explain(metric: Metric) -> str:
  """What a column means, a sentence."""
  better = _NEARER.get(metric.better, "the truth itself has 1")
  text = metric.definition[:1].upper() + metric.definition[1:]
  return f"{text}; {better}."
