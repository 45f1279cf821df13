"""The rows of the paper's studies: what each changes, trains and scores."""

import copy
import json
import pathlib
import re
import time
from collections.abc import Mapping
from typing import Any

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import atomic_files, errors
from signllm_jax.data import datasets
from signllm_jax.evaluation import evaluate_run
from signllm_jax.evaluation.report import study
from signllm_jax.runs import config_check, workdir
from signllm_jax.training import loop, start

# Every row starts from this, whatever the base's file says.
_OFF: dict[str, Any] = {
  "model.future": 1,
  "augment.noise": 0.0,
  "rl.loss": "",
  "plc.pool": 0,
}
_FP, _GN = {"model.future": 10}, {"augment.noise": 5.0}
_RL = {"rl.loss": "reward_mse"}
_PLC = {"plc.pool": 2}
ROWS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
  "components": {
    "base": {},
    "FP": _FP,
    "GN": _GN,
    "FP + GN": _FP | _GN,
    "gloss mode": {"task": "text2langgloss"},
    "RL": _RL,
    "RL + PLC": _RL | _PLC,
    "policy gradient": {"rl.loss": "policy_gradient"},
  },
  "efficiency": {
    "base": {},
    "RL + PLC": _RL | _PLC,
    "RL + PLC without floor": _RL | _PLC | {"plc.floor": 0.0},
    "RL + PLC hard": _RL | _PLC | {"plc.hard": True},
    "RL + PLC hard and mild": _RL
    | _PLC
    | {"plc.hard": True, "plc.floor": 0.0, "plc.eta": 0.5},
  },
}


def vary(
  base: config_lib.Experiment, changes: Mapping[str, Any], seed: int
) -> config_lib.Experiment:
  """The base with a row's changes.

  Args:
    base: of the study; not changed.
    changes: names of fields with dots -> values.
    seed: of the run.

  Raises:
    UsageError: the changes do not go with the base.
  """
  made = copy.deepcopy(base)
  made.seed = seed
  for name, value in {**_OFF, **changes}.items():
    *path, field = name.split(".")
    place: Any = made
    for part in path:
      place = getattr(place, part)
    setattr(place, field, value)
  if made.task == "text2langgloss" and made.data.tokens == "characters":
    # The language's mark is a word; all else stays spelt.
    made.data.tokens, made.data.min_count = "words+characters", 1000
  config_check.check(made)
  return made


def folder_of(study_path: pathlib.Path, row: str, seed: int) -> pathlib.Path:
  """Work directory of a run: `rl-plc/seed0`."""
  return (
    study_path / re.sub(r"\W+", "-", row.lower()).strip("-") / f"seed{seed}"
  )


def run_study(
  name: str,
  base: config_lib.Experiment,
  path: pathlib.Path,
  seeds: int,
  rows: list[str],
) -> int:
  """Trains what is not trained yet; returns the exit code of `train`.

  Args:
    name: of the study.
    base: configuration of all rows.
    path: folder of the study.
    seeds: runs of each row, with seeds from 0.
    rows: names of them.
  """
  # Seed by seed, so that an interrupted study compares like with like.
  runs = [(row, seed) for seed in range(seeds) for row in rows]
  settings = {
    run: vary(base, ROWS[name][run[0]], run[1]) for run in runs
  }  # all are checked before the first is trained
  start.check(base, "")
  for part in config_lib.corpora(base):
    if not datasets.has_split(part, base.evaluate.split):
      raise errors.DataError(
        f"no split {base.evaluate.split!r}",
        path=part.folder,
        hint="A study compares scores. Build the data with --dev=5%",
      )
  began, trained = time.monotonic(), 0
  for number, (row, seed) in enumerate(runs, 1):
    folder = folder_of(path, row, seed)
    if study.is_done(folder, settings[row, seed].steps):
      continue
    left = ""
    if trained:
      each = (time.monotonic() - began) / trained
      left = f"; about {each * (len(runs) - number + 1) / 60:.0f} min left"
    print(
      f"== run {number} of {len(runs)}: {row}, seed {seed}{left}", flush=True
    )
    code = loop.train(settings[row, seed], str(folder))
    if code:
      return code
    trained += 1
    jax.clear_caches()  # of programs that no other row can use
  return 0


def score(path: pathlib.Path, split: str, reader: str) -> dict[str, float]:
  """The metrics of a run's best checkpoint on a split, language means."""
  made: dict[str, list[float]] = {}
  for code in workdir.read_corpus_infos(path):
    report = evaluate_run.evaluate(
      path, language=code, split=split, back_translation=reader
    )
    for key, interval in report.scores["produced"].items():
      made.setdefault(key, []).append(interval.value)
  return {key: sum(each) / len(each) for key, each in made.items()}


def write(
  name: str,
  base: config_lib.Experiment,
  path: pathlib.Path,
  seeds: int,
  rows: list[str],
  split: str,
  reader: str,
) -> None:
  """Reads the runs of a study, scores them and writes what they say.

  Args:
    name: of the study.
    base: configuration of all rows.
    path: folder of the study.
    seeds: runs of each row.
    rows: names of them.
    split: on which the best checkpoints are scored (components).
    reader: work directory of a model of pose to text, or empty.
  """
  runs = {
    row: [study.read_run(folder_of(path, row, seed)) for seed in range(seeds)]
    for row in rows
  }
  if name == "components":
    for row, each in runs.items():
      for seed, one in enumerate(each):
        print(f"== scoring {row}, seed {seed}, on {split}", flush=True)
        folder = folder_of(path, row, seed)
        one.scores.update(score(folder, split, reader))
  made = study.Study(name, base.name, base.steps, split, runs)
  text = study.to_markdown(made)
  print(text)
  files = {
    "study.json": json.dumps(study.to_json(made), indent=1) + "\n",
    "study.md": text,
    "study.svg": study.curves(made),
  }
  for file, content in files.items():
    atomic_files.write_text(path / file, content)
  print("wrote", *(str(path / file) for file in files))
