"""The table of the trials of metrics, with intervals, and what was asked."""

import json
import math
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from signllm_jax.core import atomic_files
from signllm_jax.evaluation.metrics import metric
from signllm_jax.evaluation.report import bootstrap, tables
from signllm_jax.evaluation.validation import damages
from signllm_jax.evaluation.validation.trials import Cases, Measure

SIGNS, LETTERS = "repeated_signs", "fingerspelling"


class _Column(NamedTuple):
  head: str
  asked: float  # of a metric that knows signing; NaN: nothing
  share: bool
  definition: str


_NAN = float("nan")
_COLUMNS = {
  "rank": _Column("rank", 3, False, "rank of the own sentence of a twin"),
  "rank_different": _Column(
    "rank, differing", _NAN, False, "the same, over twins that are no copies"
  ),
  "first": _Column("first", 0.6, True, "twins whose own sentence ranks first"),
  "beats_statue": _Column(
    "statue", 0.9, True, "twins nearer than the mean pose with the true length"
  ),
  "beats_other": _Column(
    "sentence", _NAN, True, "twins nearer than another real sentence"
  ),
  "beats_damaged_twin": _Column(
    "damaged", _NAN, True, "twins nearer than their heaviest damaged copies"
  ),
  "order": _Column(
    "in order", 0.95, True, "steps of damage to the truth that cost more"
  ),
  SIGNS: _Column(
    "signs", 0.95, True, "recordings nearer to their sign than to another"
  ),
  LETTERS: _Column(
    "spelling",
    _NAN,
    True,
    "spelt words nearer to themselves, at another speed, size and with noise, "
    "than to a word with other letters",
  ),
}
_DAMAGES = {
  f"order_{d.name.replace(' ', '_')}": _Column(d.name, _NAN, True, d.definition)
  for d in damages.ALL
}

_MEAN = metric.Metric(
  "mean",
  "mean",
  "lower",
  "mean over cases",
  lambda values, _: metric.counted(np.asarray(values)),
  metric.ratio,
)


class Result(NamedTuple):
  """Scores of all trials.

  Attributes:
    heads: measure key -> its name.
    scores: measure key -> trial -> mean with interval.
    notes: about the data.
  """

  heads: dict[str, str]
  scores: dict[str, dict[str, bootstrap.Interval]]
  notes: list[str]


def summarise(
  tried: Sequence[Measure],
  found: Mapping[str, Mapping[str, Cases]],
  notes: Sequence[str],
  resamples: int = bootstrap.RESAMPLES,
) -> Result:
  """Means with 95 % intervals over clips, or over triplets."""
  scores = {
    key: {name: _interval(cases, resamples) for name, cases in own.items()}
    for key, own in found.items()
  }
  return Result({m.key: m.head for m in tried}, scores, list(notes))


def _interval(cases: Cases, resamples: int) -> bootstrap.Interval:
  clusters = np.unique(cases.cluster)
  rows = metric.counted(cases.values)
  sums = np.stack([rows[cases.cluster == c].sum(0) for c in clusters])
  weights = bootstrap.resample(len(clusters), resamples)
  return bootstrap.interval(_MEAN, sums, weights)


def _format(column: _Column, score: bootstrap.Interval) -> str:
  if math.isnan(score.value):
    return "–"
  style = "{:.0%}" if column.share else "{:.2f}"
  value, low, high = (style.format(x) for x in score)
  return value if math.isnan(score.low) else f"{value} [{low}, {high}]"


def _cells(result: Result, columns: Mapping[str, _Column]) -> list[list[str]]:
  used = {
    key: column
    for key, column in columns.items()
    if any(key in own for own in result.scores.values())
  }
  lines = [["metric", *(column.head for column in used.values())]]
  for key, own in result.scores.items():
    lines.append(
      [
        result.heads[key],
        *(_format(column, own[name]) for name, column in used.items()),
      ]
    )
  asked = [
    "–"
    if math.isnan(column.asked)
    else (f"≥ {column.asked:.0%}" if column.share else f"≤ {column.asked:g}")
    for column in used.values()
  ]
  lines.append(["asked of a metric", *asked])
  return lines if len(lines[0]) > 1 else []


def _legend(columns: Mapping[str, _Column], result: Result) -> str:
  return "\n".join(
    f"- {column.head}: {column.definition}."
    for key, column in columns.items()
    if any(key in own for own in result.scores.values())
  )


def to_markdown(result: Result) -> str:
  """The tables, with their definitions, as Markdown."""
  main, graded = _cells(result, _COLUMNS), _cells(result, _DAMAGES)
  parts = ["# Validation of metrics", tables.markdown(main)]
  parts.append(_legend(_COLUMNS, result))
  if graded:
    parts += [
      "## Damage in order",
      "Shares of steps, from no damage over three grades, that cost more.",
      tables.markdown(graded),
      _legend(_DAMAGES, result),
    ]
  return "\n\n".join([*parts, *result.notes, ""])


def to_json(result: Result) -> dict[str, Any]:
  """The scores as plain values; undefined numbers are None."""

  def plain(score: bootstrap.Interval) -> list[float | None]:
    return [x if math.isfinite(x) else None for x in score]

  return {
    "metrics": {
      key: {
        "name": result.heads[key],
        **{name: plain(score) for name, score in own.items()},
      }
      for key, own in result.scores.items()
    },
    "notes": result.notes,
  }


def write(folder: str | os.PathLike, result: Result) -> list[pathlib.Path]:
  """Writes validation.json and validation.md; returns their paths.

  Raises:
    StorageError: a file cannot be written.
  """
  place = pathlib.Path(folder)
  atomic_files.make_folder(place)
  text = json.dumps(to_json(result), indent=1, ensure_ascii=False) + "\n"
  written = [place / "validation.json", place / "validation.md"]
  atomic_files.write_text(written[0], text)
  atomic_files.write_text(written[1], to_markdown(result))
  return written
