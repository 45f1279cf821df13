"""Analysis of the ratings of a study: agreement, systems, and metrics."""

import csv
import io
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
import numpy as np
from scipy import stats

from signllm_jax.core import errors, foreign_files, limits, text_files
from signllm_jax.evaluation.report import bootstrap, tables
from signllm_jax.evaluation.study import kit, questions

COLUMNS = ("study", "rater", "item", "clip", "question", "answer", "seconds")
_LEAST = 4  # clips, for a correlation
_RESAMPLES = 1000


class _Clip(msgspec.Struct):
  """A clip in the key of a study."""

  system: str
  scores: dict[str, float]


class _Key(msgspec.Struct):
  """What the analysis reads of the key of a study, as `kit.write` makes it."""

  study: str
  systems: list[str]
  metrics: dict[str, tuple[str, str]]
  clips: dict[str, _Clip]


class Rating(NamedTuple):
  """One answer of one rater about one clip."""

  rater: str
  clip: str
  question: str
  answer: str


def read_key(folder: str | os.PathLike) -> dict[str, Any]:
  """Reads the key of a study.

  Raises:
    DataError: it is missing or damaged.
  """
  path = pathlib.Path(folder, "key.json")
  key = foreign_files.read_json(path)
  try:
    msgspec.convert(key, _Key)
  except msgspec.ValidationError as error:
    raise errors.DataError(
      f"not the key of a study: {error}",
      path=path,
      expected="key.json of --study",
    ) from error
  return key


def read_ratings(
  path: str | os.PathLike, key: Mapping[str, Any]
) -> list[Rating]:
  """Reads the results of a rater, a CSV file of the page.

  Raises:
    DataError: names the line; another study, clip, question or answer.
  """
  text = text_files.read_text(path, limits.MAX_TEXTS_FILE)
  lines = csv.DictReader(io.StringIO(text))
  if tuple(lines.fieldnames or ()) != COLUMNS:
    raise errors.DataError(
      "other columns", path=path, line=1, expected=",".join(COLUMNS)
    )
  answers: dict[str, tuple[str, ...]] = {
    **{q.key: questions.ANSWERS for q in questions.SCALES},
    "preferred": questions.PREFERENCES,
    "paraphrase": (),  # any
  }
  found = []
  for number, row in enumerate(lines, 2):
    problem = ""
    if row["study"] != key["study"]:
      problem = "of another study"
    elif row["clip"] not in key["clips"]:
      problem = f"no clip {row['clip']!r}"
    elif (known := answers.get(row["question"])) is None:
      problem = f"no question {row['question']!r}"
    elif known and row["answer"] not in known:
      problem = f"answer {row['answer']!r}"
    if problem:
      raise errors.DataError(problem, path=path, line=number)
    found.append(
      Rating(row["rater"], row["clip"], row["question"], row["answer"])
    )
  return found


def alpha(values: Sequence[Sequence[float]]) -> float:
  """Krippendorff's alpha for intervals (Krippendorff 2011).

  Args:
    values: of each unit, its ratings; units with one rating do not count.

  Returns:
    1 - observed over expected disagreement; NaN where all ratings are equal
    or no unit has two.
  """
  units = [np.array(unit, float) for unit in values if len(unit) > 1]
  if not units:
    return math.nan
  pooled = np.concatenate(units)
  n = len(pooled)

  def disagreement(x: np.ndarray) -> float:
    return float(np.square(x[:, None] - x[None]).sum())

  observed = sum(disagreement(unit) / (len(unit) - 1) for unit in units) / n
  expected = disagreement(pooled) / (n * (n - 1))
  return 1 - observed / expected if expected else math.nan


class Correlation(NamedTuple):
  """Of a metric with the mean ratings of clips; higher follows people."""

  pearson: float
  low: float
  high: float
  spearman: float
  clips: int


def correlate(scores: np.ndarray, ratings: np.ndarray) -> Correlation:
  """Pearson's r with a 95 % bootstrap interval over clips, and Spearman's."""
  n = len(scores)
  if n < _LEAST or np.ptp(scores) == 0 or np.ptp(ratings) == 0:
    return Correlation(math.nan, math.nan, math.nan, math.nan, n)
  pearson = float(np.corrcoef(scores, ratings)[0, 1])
  random = np.random.default_rng(0)
  drawn = []
  for rows in random.integers(n, size=(_RESAMPLES, n)):
    if np.ptp(scores[rows]) and np.ptp(ratings[rows]):
      drawn.append(np.corrcoef(scores[rows], ratings[rows])[0, 1])
  tail = (1 - bootstrap.LEVEL) / 2
  low, high = np.quantile(drawn, [tail, 1 - tail])
  spearman = float(np.asarray(stats.spearmanr(scores, ratings))[0])
  return Correlation(pearson, float(low), float(high), spearman, n)


class Analysis(NamedTuple):
  """The results of a study.

  Attributes:
    raters: number of raters.
    agreement: question -> Krippendorff's alpha.
    systems: system -> question -> mean rating with interval over clips.
    preferred: system -> share of its pairs in which it was preferred; a draw
      counts half.
    metrics: metric head -> question -> correlation over produced clips; the
      sign is turned where lower is better, so that +1 follows people.
  """

  raters: int
  agreement: dict[str, float]
  systems: dict[str, dict[str, bootstrap.Interval]]
  preferred: dict[str, float]
  metrics: dict[str, dict[str, Correlation]]


def analyse(key: Mapping[str, Any], ratings: Sequence[Rating]) -> Analysis:
  """Analyses the ratings of all raters together.

  Raises:
    DataError: there are none.
  """
  if not ratings:
    raise errors.DataError("no ratings")
  agreement, metrics = {}, {}
  systems: dict[str, dict[str, bootstrap.Interval]] = {}
  for question in questions.SCALES:
    units: dict[str, list[float]] = {}
    for rating in ratings:
      if rating.question == question.key:
        units.setdefault(rating.clip, []).append(float(rating.answer))
    agreement[question.key] = alpha(list(units.values()))
    means = {clip: float(np.mean(each)) for clip, each in units.items()}
    for system in key["systems"]:
      own = [m for c, m in means.items() if _system(key, c) == system]
      if own:
        systems.setdefault(system, {})[question.key] = _mean(own)
    sign = 1 if question.better else -1
    for name, found in _correlations(key, means, sign).items():
      metrics.setdefault(name, {})[question.key] = found
  raters = len({rating.rater for rating in ratings})
  return Analysis(raters, agreement, systems, _preferred(key, ratings), metrics)


def _system(key: Mapping[str, Any], clip: str) -> str:
  return key["clips"][clip]["system"]


def _mean(values: Sequence[float]) -> bootstrap.Interval:
  x = np.array(values)
  weights = bootstrap.resample(len(x))
  low, high = np.quantile(weights @ x / len(x), [0.025, 0.975])
  return bootstrap.Interval(float(x.mean()), float(low), float(high))


def _correlations(
  key: Mapping[str, Any], means: Mapping[str, float], sign: int
) -> dict[str, Correlation]:
  found = {}
  produced = [c for c in means if _system(key, c) != kit.TRUTH]
  for name, (head, better) in key["metrics"].items():
    used = [c for c in produced if name in key["clips"][c]["scores"]]
    scores = np.array([key["clips"][c]["scores"][name] for c in used], float)
    if better == "one":
      scores = -np.abs(scores - 1)
    elif better == "lower":
      scores = -scores
    rated = np.array([sign * means[c] for c in used])
    found[head] = correlate(scores, rated)
  return found


def _preferred(
  key: Mapping[str, Any], ratings: Sequence[Rating]
) -> dict[str, float]:
  shares: dict[str, list[float]] = {}
  for rating in ratings:
    if rating.question == "preferred":
      system = _system(key, rating.clip)
      shares.setdefault(system, []).append(float(rating.answer))
  return {system: float(np.mean(each)) for system, each in shares.items()}


def to_markdown(found: Analysis) -> str:
  """The tables of the analysis."""
  keys = [q.key for q in questions.SCALES]
  rows = [["", *keys]]
  rows.append(["agreement (alpha)", *(_show(found.agreement[k]) for k in keys)])
  for system, own in found.systems.items():
    cells = [
      f"{s.value:.2f} [{s.low:.2f}, {s.high:.2f}]" if (s := own.get(k)) else "–"
      for k in keys
    ]
    rows.append([system, *cells])
  lines = [["metric", *keys]]
  for head, own in found.metrics.items():
    cells = [
      f"{_show(c.pearson)} [{_show(c.low)}, {_show(c.high)}]"
      for c in (own[k] for k in keys)
    ]
    lines.append([head, *cells])
  preferred = ", ".join(f"{s} {p:.0%}" for s, p in found.preferred.items())
  return "\n\n".join(
    [
      f"# Ratings of {found.raters} rater" + "s" * (found.raters != 1),
      tables.markdown(rows),
      "Means of 1 to 5 with 95 % intervals over clips; in effort 1 is good. "
      "Agreement is Krippendorff's alpha for intervals: 1 perfect, 0 chance.",
      f"Preferred: {preferred or 'nobody was asked'} (share of the pairs, a "
      "draw counts half).",
      "## Metrics and people",
      tables.markdown(lines),
      "Pearson's r of each metric with the mean ratings of produced clips, and "
      "95 % intervals over clips. Signs are turned: +1 follows people.",
      "",
    ]
  )


def _show(value: float) -> str:
  return "–" if math.isnan(value) else f"{value:.2f}"
