"""The paper's studies: rows of configurations, trained, scored and compared."""

import copy
import dataclasses
import json
import pathlib
import re
import time
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import atomic_files, errors
from signllm_jax.data import datasets
from signllm_jax.evaluation import evaluate_run
from signllm_jax.evaluation.report import study
from signllm_jax.runs import config_check, workdir
from signllm_jax.training import loop, start

# Every row starts from these values, whatever the base sets.
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


@dataclasses.dataclass(frozen=True)
class Plan:
  """Runs of a study.

  Attributes:
    name: of the study, a key of ROWS.
    base: configuration of all rows.
    path: folder of the study.
    seeds: number of runs of each row; the seeds count from 0.
    rows: names of rows.
  """

  name: str
  base: config_lib.Experiment
  path: pathlib.Path
  seeds: int
  rows: list[str]

  def workdir(self, row: str, seed: int) -> pathlib.Path:
    """Work directory of a run: `rl-plc/seed0`."""
    folder = re.sub(r"\W+", "-", row.lower()).strip("-")
    return self.path / folder / f"seed{seed}"


def choose_rows(name: str, names: Sequence[str]) -> list[str]:
  """Returns the rows of these names, or all rows of a study without names.

  Raises:
    UsageError: the study has no such row.
  """
  known = list(ROWS[name])
  rows = [row.strip() for row in names] or known
  if unknown := [row for row in rows if row not in known]:
    raise errors.UsageError(
      f"--rows={','.join(unknown)}", expected="some of " + repr(known)
    )
  return rows


def row_config(
  base: config_lib.Experiment, changes: Mapping[str, Any], seed: int
) -> config_lib.Experiment:
  """Returns the configuration of a row.

  Args:
    base: of the study; not changed.
    changes: names of fields with dots -> values.
    seed: of the run.

  Raises:
    UsageError: the changes do not go with the base.
  """
  config = copy.deepcopy(base)
  config.seed = seed
  for name, value in {**_OFF, **changes}.items():
    *sections, field = name.split(".")
    section: Any = config
    for part in sections:
      section = getattr(section, part)
    setattr(section, field, value)
  if config.task == "text2langgloss" and config.data.tokens == "characters":
    # The language's mark is a word; all else stays spelt.
    config.data.tokens, config.data.min_count = "words+characters", 1000
  config_check.check(config)
  return config


def train_rows(plan: Plan) -> int:
  """Trains the runs that are not done yet; returns the exit code of `train`.

  Raises:
    DataError: the data lack a split, or as `start.check`.
    UsageError: as `row_config` and `start.check`.
  """
  # Seed by seed, so that an interrupted study has complete seeds to compare.
  runs = [(row, seed) for seed in range(plan.seeds) for row in plan.rows]
  # All are checked before the first is trained.
  configs = {
    (row, seed): row_config(plan.base, ROWS[plan.name][row], seed)
    for row, seed in runs
  }
  _check_data(plan.base)
  started, trained = time.monotonic(), 0
  for number, (row, seed) in enumerate(runs, 1):
    folder = plan.workdir(row, seed)
    if study.is_done(folder, configs[row, seed].steps):
      continue
    left = ""
    if trained:
      seconds = (time.monotonic() - started) / trained
      left = f"; about {seconds * (len(runs) - number + 1) / 60:.0f} min left"
    print(
      f"== run {number} of {len(runs)}: {row}, seed {seed}{left}", flush=True
    )
    code = loop.train(configs[row, seed], str(folder))
    if code:
      return code
    trained += 1
    jax.clear_caches()  # of programs that no other row can use
  return 0


def _check_data(base: config_lib.Experiment) -> None:
  """Refuses data without the split that a study compares."""
  start.check(base, "")
  for part in config_lib.corpora(base):
    if not datasets.has_split(part, base.evaluate.split):
      raise errors.DataError(
        f"no split {base.evaluate.split!r}",
        path=part.folder,
        hint="A study compares scores. Build the data with --dev=5%",
      )


def score(path: pathlib.Path, split: str, reader: str) -> dict[str, float]:
  """Scores a run's best checkpoint on a split; means over its languages."""
  values: dict[str, list[float]] = {}
  for code in workdir.read_corpus_infos(path):
    report = evaluate_run.evaluate(
      path, language=code, split=split, back_translation=reader
    )
    for key, interval in report.scores["produced"].items():
      values.setdefault(key, []).append(interval.value)
  return {key: sum(listed) / len(listed) for key, listed in values.items()}


def write_report(plan: Plan, split: str, reader: str) -> None:
  """Writes study.json, study.md and study.svg, and prints the table.

  Args:
    plan: a study whose runs are done.
    split: on which the best checkpoints are scored (components).
    reader: work directory of a pose-to-text model, or empty.
  """
  runs = {
    row: [study.read_run(plan.workdir(row, seed)) for seed in range(plan.seeds)]
    for row in plan.rows
  }
  if plan.name == "components":
    for row, row_runs in runs.items():
      for seed, run in enumerate(row_runs):
        print(f"== scoring {row}, seed {seed}, on {split}", flush=True)
        run.scores.update(score(plan.workdir(row, seed), split, reader))
  base = plan.base
  result = study.Study(plan.name, base.name, base.steps, split, runs)
  text = study.to_markdown(result)
  print(text)
  files = {
    "study.json": json.dumps(study.to_json(result), indent=1) + "\n",
    "study.md": text,
    "study.svg": study.curves(result),
  }
  for file, content in files.items():
    atomic_files.write_text(plan.path / file, content)
  print("wrote", *(str(plan.path / file) for file in files))
