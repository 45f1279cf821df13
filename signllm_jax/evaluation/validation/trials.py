"""Trials of metrics on real signing, each a share or a rank over cases.

  sentences: each sentence, and a twin: the same signs stitched from dictionary
    recordings of another signer. A metric that knows signing ranks the own
    sentence of a twin first, prefers the twin to a statue, to another sentence
    and to its own damaged copies, and orders damages of the truth by grade.
  repeated signs: a recording of the same sign is nearer than one of another.

Ties are lost: equal distances do not count as an order.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax.core import clips
from signllm_jax.evaluation.metrics import catalogue, metric
from signllm_jax.evaluation.validation import damages

Distance = Callable[[Sequence[clips.Clip], Sequence[clips.Clip]], np.ndarray]
# Scores of sets of clips, which say nothing of a single pair.
_OF_SETS = ("frechet", "frechet_face", "spread", "coverage")


class Measure(NamedTuple):
  """A distance of single pairs of clips that is tried.

  Attributes:
    key: its name in JSON.
    head: its name in tables.
    distance: (produced, true) -> [n], lower is better.
  """

  key: str
  head: str
  distance: Distance


class Cases(NamedTuple):
  """The outcome of one trial of one measure.

  Attributes:
    values: [n] of every case; means are reported. NaN does not count.
    cluster: [n] the clip that a case is of; intervals resample clips.
  """

  values: np.ndarray
  cluster: np.ndarray


def measures(listed: Sequence[clips.Clip]) -> list[Measure]:
  """The metrics of the catalogue that score single pairs.

  Ratios that are 1 for the truth count by their distance from 1.
  """
  skeleton = listed[0].skeleton
  return [
    Measure(m.key, m.head, _distance(m))
    for m in catalogue.pose_metrics(skeleton)
    if m.key not in _OF_SETS
  ]


def _distance(one: metric.Metric) -> Distance:
  def distance(produced, true) -> np.ndarray:
    values = np.asarray(one.finish(one.sums(produced, true)), np.float64)
    if one.better == "one":
      return np.abs(values - 1)
    return values if one.better == "lower" else -values

  return distance


def sentences(
  measure: Measure,
  true: Sequence[clips.Clip],
  twins: Sequence[clips.Clip],
) -> dict[str, Cases]:
  """Trials of sentences and their twins, in the order of the table."""
  n = len(true)
  row, column = np.divmod(np.arange(n * n), n)
  table = measure.distance(
    [twins[i] for i in column], [true[i] for i in row]
  ).reshape(n, n)
  table = np.where(np.isnan(table), np.inf, table)
  own, clip = np.diag(table), np.arange(n)
  # Ties count half: a constant metric has the rank of chance.
  below = (table < own).sum(0) + ((table == own).sum(0) - 1) / 2
  rank = 1 + below
  found = {
    "rank": Cases(rank, clip),
    "first": Cases((rank == 1).astype(float), clip),
  }
  differ = np.array([not equal(a, b) for a, b in zip(true, twins, strict=True)])
  if differ.any() and not differ.all():
    found["rank_different"] = Cases(rank[differ], clip[differ])

  def beats(rivals: Sequence[clips.Clip]) -> Cases:
    other = measure.distance(rivals, true)
    return Cases((own < other).astype(float), clip)

  found["beats_statue"] = beats(damages.statues(true))
  found["beats_other"] = beats([*true[1:], *true[:1]])
  ordered, lost, whole = [], [], measure.distance(true, true)
  for damage in damages.ALL:
    graded = [whole]
    for grade in damage.grades:
      made = [damage.apply(clip, grade) for clip in true]
      graded.append(measure.distance(made, true))
    steps = np.array(
      [a < b for a, b in itertools.pairwise(graded)], float
    )  # [grades, n]
    key = damage.name.replace(" ", "_")
    found[f"order_{key}"] = Cases(steps.ravel(), np.tile(clip, len(steps)))
    ordered.append(found[f"order_{key}"])
    if damage.name != "faster":  # twins are slow: faster is no damage to them
      lost.append(beats([damage.apply(t, damage.grades[-1]) for t in twins]))
  found["order"] = _joined(ordered)
  found["beats_damaged_twin"] = _joined(lost)
  return found


def _joined(parts: Sequence[Cases]) -> Cases:
  return Cases(*(np.concatenate(each) for each in zip(*parts, strict=True)))


def equal(a: clips.Clip, b: clips.Clip) -> bool:
  """Whether two clips have the same frames, but for rounding."""
  return a.frames.shape == b.frames.shape and np.allclose(a.frames, b.frames)


class Triplets(NamedTuple):
  """Recordings, each with one of the same text and one of another."""

  true: list[clips.Clip]
  same: list[clips.Clip]
  other: list[clips.Clip]


def draw_triplets(
  listed: Sequence[clips.Clip], count: int, seed: int = 0
) -> Triplets:
  """Draws recordings of repeated texts; the same for the same seed.

  Texts are drawn first, so that each counts alike. Empty where fewer than two
  texts have several recordings.
  """
  groups: dict[str, list[clips.Clip]] = {}
  for clip in listed:
    groups.setdefault(clip.text, []).append(clip)
  groups = {text: each for text, each in groups.items() if len(each) > 1}
  random, names = np.random.default_rng(seed), sorted(groups)
  drawn = Triplets([], [], [])
  for _ in range(count if len(names) > 1 else 0):
    own, other = random.choice(len(names), 2, replace=False)
    first, second = random.choice(len(groups[names[own]]), 2, replace=False)
    third = random.integers(len(groups[names[other]]))
    drawn.true.append(groups[names[own]][first])
    drawn.same.append(groups[names[own]][second])
    drawn.other.append(groups[names[other]][third])
  return drawn


def repeated(measure: Measure, drawn: Triplets) -> Cases:
  """Whether the same text is nearer than another, for every triplet."""
  same = measure.distance(drawn.same, drawn.true)
  other = measure.distance(drawn.other, drawn.true)
  return Cases((same < other).astype(float), np.arange(len(same)))


def run(
  tried: Sequence[Measure],
  pairs: tuple[Sequence[clips.Clip], Sequence[clips.Clip]] | None,
  sets: Mapping[str, Triplets],
  progress: Callable[[str], None] = lambda head: None,
) -> dict[str, dict[str, Cases]]:
  """All trials: measure key -> trial -> its cases."""
  found: dict[str, dict[str, Cases]] = {}
  for measure in tried:
    progress(measure.head)
    own = sentences(measure, *pairs) if pairs else {}
    for name, drawn in sets.items():
      own[name] = repeated(measure, drawn)
    found[measure.key] = own
  return found
