"""Evaluation of models of text to gloss on a whole split."""

import dataclasses
import json
import math
import os
from collections.abc import Sequence
from typing import Any, NamedTuple

from signllm_jax.core import atomic_files, errors, gloss, paths
from signllm_jax.data import datasets, text_gloss_corpus
from signllm_jax.evaluation import glossed_twice, glossing
from signllm_jax.evaluation.report import bootstrap, tables
from signllm_jax.inference import gloss_flags, load
from signllm_jax.runs import restore

_NAMES = {
  "produced": "produced",
  "together": "all models together",
  "over_models": "mean of the models alone",
}


class GlossReport(NamedTuple):
  """Scores of a split.

  Attributes:
    details: of the models and the split.
    scores: row -> metric -> value with interval.
    glosses: of the first row, beside the texts and the true glosses.
  """

  details: dict[str, Any]
  scores: dict[str, dict[str, bootstrap.Interval]]
  glosses: list[tuple[str, str, str]]


def evaluate(
  path: str | os.PathLike,
  *,
  language: str = "",
  split: str = "test",
  resamples: int = bootstrap.RESAMPLES,
  options: gloss_flags.GlossOptions = gloss_flags.AS_TRAINED,
) -> GlossReport:
  """Scores the best checkpoint of a run, or several models together.

  Intervals are of the bootstrap over sentences. With further models there is a
  row of their mean, each alone, with Student's interval over the models.

  Args:
    path: work directory of a run of text_to_gloss.
    language: of the glosses, where the model knows several.
    split: one of `datasets.SPLITS`.
    resamples: of the bootstrap.
    options: further models, and how to search.

  Raises:
    UsageError: as `load.load_glosser`, or the data have no such split.
    DataError: a fault in the run's data.
  """
  described = restore.describe(path)
  chosen = load.choose(described, language)
  texts, true = _read(chosen, split)
  models = [path, *options.ensemble]
  made = _write_texts(path, chosen.code, options, texts)
  weights = bootstrap.resample(len(true), resamples)
  first = "together" if options.ensemble else "produced"
  scores = {
    first: {
      m.key: bootstrap.interval(m, m.sums(made, true), weights)
      for m in glossing.METRICS
    }
  }
  if options.ensemble:
    alone = dataclasses.replace(options, ensemble=())
    each = [_write_texts(model, chosen.code, alone, texts) for model in models]
    scores["over_models"] = {
      m.key: bootstrap.over_seeds([m.score(lines, true) for lines in each])
      for m in glossing.METRICS
    }
  scores |= _agreement(chosen)
  details = {
    "workdirs": list(map(str, models)),
    "language": chosen.code,
    "split": split,
    "sentences": len(true),
    "gloss": dataclasses.asdict(options.apply(described.config.gloss)),
    "bootstrap": bootstrap.facts(resamples),
    "signatures": {
      m.key: m.signature("free", len(true)) for m in glossing.METRICS
    },
  }
  return GlossReport(details, scores, list(zip(texts, made, true, strict=True)))


def _read(chosen: load.Chosen, split: str) -> tuple[list[str], list[str]]:
  """Texts and glosses of a split, without marks."""
  if not datasets.has_split(chosen.settings, split):
    raise errors.UsageError(
      f"--split={split}: the data of the run have none",
      path=chosen.settings.folder,
    )
  pairs = text_gloss_corpus.open_pairs(chosen.settings, split)
  mark = gloss.prepend_language("", chosen.code)
  texts = [pair.source.removeprefix(mark) for pair in pairs]
  true = [gloss.strip_marks(pair.gloss) for pair in pairs]
  return texts, true


def _write_texts(
  model: str | os.PathLike,
  code: str,
  options: gloss_flags.GlossOptions,
  texts: Sequence[str],
) -> list[str]:
  """The glosses of texts, without marks."""
  lines = load.load_glosser(model, code, options).write(texts)
  assert lines is not None  # nobody stops it
  return list(map(gloss.strip_marks, lines))


def _agreement(
  chosen: load.Chosen,
) -> dict[str, dict[str, bootstrap.Interval]]:
  """The row of the corpus glossed twice; none without repeated texts."""
  train = text_gloss_corpus.open_pairs(chosen.settings, "train")
  agreement = glossed_twice.find(train)
  if agreement is None:
    return {}
  return {
    "glossed_twice": {
      m.key: bootstrap.Interval(agreement.score(m), math.nan, math.nan)
      for m in glossing.METRICS
    }
  }


def to_markdown(report: GlossReport) -> str:
  """The table of a report."""
  names = _NAMES | {"glossed_twice": glossing.GLOSSED_TWICE}
  cells = [["", *(m.head for m in glossing.METRICS)]]
  for row, scores in report.scores.items():
    shown = [tables.format_score(m, scores[m.key]) for m in glossing.METRICS]
    cells.append([names[row], *shown])
  details = report.details
  title = f"{details['split']}, {details['sentences']} sentences"
  return f"{title}\n\n{tables.markdown(cells)}"


def write(folder: paths.AnyPath, report: GlossReport) -> list[paths.AnyPath]:
  """Writes report.json, report.md and the glosses, a line each.

  Raises:
    StorageError: a file cannot be written.
  """
  values = report.details | {
    "rows": {
      row: {key: _finite(score) for key, score in scores.items()}
      for row, scores in report.scores.items()
    }
  }
  files = {
    "report.json": json.dumps(values, indent=1, ensure_ascii=False) + "\n",
    "report.md": to_markdown(report) + "\n",
    "produced.gloss": "".join(f"{made}\n" for _, made, _ in report.glosses),
  }
  for name, text in files.items():
    atomic_files.write_text(folder / name, text)
  return [folder / name for name in files]


def _finite(score: bootstrap.Interval) -> list[float | None]:
  """Value, low and high; None where there is no interval."""
  return [None if math.isnan(number) else number for number in score]
