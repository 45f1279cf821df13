"""Writes a study: one page for raters, and its key for the analysis.

The page is self-contained and loads nothing. It shows pairs of clips of one
text without names of systems, texts or files; the order of the pairs and the
sides are drawn anew for each rater. `key.json` says which clip is which, with
the score of every metric; raters must not have it.
"""

import itertools
import json
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from signllm_jax.core import atomic_files, errors
from signllm_jax.evaluation.report.report import Report
from signllm_jax.evaluation.study import questions
from signllm_jax.visualization import pages

PAIRS = 20  # of a study: about half an hour
TRUTH = "truth"
_SIZE = 480  # pixels of a clip
_VERSION = 1


def write(
  folder: str | os.PathLike,
  reports: Sequence[Report],
  pairs: int = PAIRS,
  seed: int = 0,
) -> list[pathlib.Path]:
  """Writes study.html and key.json; returns their paths.

  Args:
    folder: to write into; it is made.
    reports: of the systems, over the same sequences. The truth is a further
      system; each text shows one pair of systems, in turn.
    pairs: number of texts, drawn at random.
    seed: of the draw and of the names of clips.

  Raises:
    UsageError: the reports are not of the same sequences, or have one name.
    StorageError: a file cannot be written.
  """
  rows = _systems(reports)
  random = np.random.default_rng(seed)
  chosen = np.sort(random.permutation(len(reports[0].true))[:pairs])
  combinations = list(itertools.combinations(rows, 2))
  items, key = [], {}
  for number, index in enumerate(int(i) for i in chosen):
    films = []
    for system in combinations[number % len(combinations)]:
      report, row = rows[system]
      token = random.bytes(6).hex()
      key[token] = _entry(report, row, system, index)
      alone = {"": report.rows[row][index]}
      film = pages.picture(alone, ".mp4", _SIZE)
      films.append({"clip": token, "film": film})
    items.append({"item": f"{number + 1:03d}", "clips": films})
  place = pathlib.Path(folder)
  atomic_files.make_folder(place)
  study = random.bytes(6).hex()
  page = pages.render(
    "signllm_jax.evaluation.study",
    "study.html.j2",
    data={
      "study": study,
      "items": items,
      "scales": [q._asdict() for q in questions.SCALES],
      "points": questions.POINTS,
      "paraphrase": questions.PARAPHRASE,
      "preference": questions.PREFERENCE,
    },
  )
  values = {
    "version": _VERSION,
    "study": study,
    "systems": list(rows),
    "metrics": {m.key: [m.head, m.better] for m in reports[0].metrics},
    "clips": key,
  }
  written = [place / "study.html", place / "key.json"]
  atomic_files.write_text(written[0], page)
  atomic_files.write_text(written[1], json.dumps(values, indent=1) + "\n")
  return written


def _systems(reports: Sequence[Report]) -> dict[str, tuple[Report, str]]:
  """System -> the report and the row with its clips; the truth is the last.

  Raises:
    UsageError: the reports are not of the same sequences, or have one name.
  """
  names = [str(report.facts["name"]) for report in reports]
  if len({*names, TRUTH}) <= len(names):
    raise errors.UsageError(
      f"systems named {', '.join(names)}", expected="names that differ"
    )
  true = [clip.name for clip in reports[0].true]
  if any([clip.name for clip in other.true] != true for other in reports):
    raise errors.UsageError("the reports have other sequences")
  rows = {name: (r, "produced") for name, r in zip(names, reports, strict=True)}
  return {**rows, TRUTH: (reports[0], TRUTH)}


def _entry(report: Report, row: str, system: str, index: int) -> dict[str, Any]:
  scores = {
    m.key: float(report.per_sequence(row, m.key)[index]) for m in report.metrics
  }
  return {
    "system": system,
    "name": report.true[index].name,
    "text": report.true[index].text,
    "scores": {k: v for k, v in scores.items() if np.isfinite(v)},
  }
