"""Studies: rows of configurations, trained with several seeds and compared."""

import dataclasses
import json
import re
import time
from collections.abc import Sequence

import jax

from signllm_jax import config as config_lib
from signllm_jax import config_files
from signllm_jax.core import atomic_files, errors, paths
from signllm_jax.data import datasets
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.evaluation import evaluate_run
from signllm_jax.evaluation.report import study, study_tables
from signllm_jax.parallel import sharding
from signllm_jax.runs import restore, train_state, workdir
from signllm_jax.training import loop, start, study_rows


@dataclasses.dataclass(frozen=True)
class Plan:
  """Runs of a study.

  Attributes:
    name: of the study, one of `study_rows.STUDIES`.
    base: configuration of all rows.
    path: folder of the study, on a disk or in a bucket.
    seeds: number of runs of each row; the seeds count from 0.
    rows: names of rows.
  """

  name: str
  base: config_lib.Experiment
  path: paths.AnyPath
  seeds: int
  rows: list[str]

  def workdir(self, row: str, seed: int) -> paths.AnyPath:
    """Work directory of a run: `rl-plc/seed0`."""
    folder = re.sub(r"\W+", "-", row.lower()).strip("-")
    return self.path / folder / f"seed{seed}"

  @property
  def reader(self) -> paths.AnyPath:
    """Work directory of the reader of `train_reader`."""
    return self.path / "reader"


def train_rows(plan: Plan) -> int:
  """Trains the runs that are not done yet; returns the exit code of `train`.

  Raises:
    DataError: the data lack a split, or as `start.check`.
    UsageError: as `study_rows.row_config` and `start.check`.
  """
  # Seed by seed, so that an interrupted study has complete seeds to compare.
  runs = [(row, seed) for seed in range(plan.seeds) for row in plan.rows]
  # All are checked before the first is trained.
  changes = study_rows.rows(plan.name, plan.base)
  configs = {
    (row, seed): study_rows.row_config(plan.base, changes[row], seed)
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


def train_reader(plan: Plan) -> int:
  """Trains the reader of a study, if it is not done yet; returns the exit code.

  It is `configs/whole_signs_reader.py` on the data of the study.

  Raises:
    UsageError: the data are of several languages, of which a reader knows one.
    DataError: the data lack a split.
  """
  if len(config_lib.corpora(plan.base)) > 1:
    raise errors.UsageError(
      "data of several languages, for which no reader can be trained",
      hint="Name a reader with --back_translation",
    )
  config = config_files.load("whole_signs_reader")
  config.data = dataclasses.replace(plan.base.data, glosses=False)
  if study.is_done(plan.reader, config.steps):
    return 0
  print("== training the reader", flush=True)
  code = loop.train(config, str(plan.reader))
  jax.clear_caches()
  return code


def write_report(plan: Plan, split: str, reader: str) -> None:
  """Writes study.json, study.md and study.svg, and prints the table.

  Args:
    plan: a study whose runs are done.
    split: on which the best checkpoints are scored; not of "efficiency".
    reader: work directory of a pose-to-text model, or empty.
  """
  runs = {
    row: [study.read_run(plan.workdir(row, seed)) for seed in range(plan.seeds)]
    for row in plan.rows
  }
  references: study.Scores = {}
  if plan.name != "efficiency":
    for row, row_runs in runs.items():
      for seed, run in enumerate(row_runs):
        print(f"== scoring {row}, seed {seed}, on {split}", flush=True)
        path = plan.workdir(row, seed)
        scores = _score(path, split, reader, study_tables.keys(plan.name))
        run.scores.update(scores.pop("produced"))
        run.parameters = _count_parameters(path)
        references = references or scores
  data = plan.base.data
  result = study.Study(
    plan.name,
    plan.base.name,
    plan.base.steps,
    split,
    runs,
    references,
    reader,
    data.folder,
    data.language,
    study_rows.width_scale(plan.base),
    plan.base.evaluate.split,
  )
  text = study_tables.to_markdown(result)
  print(text)
  files = {
    "study.json": json.dumps(study_tables.to_json(result), indent=1) + "\n",
    "study.md": text,
    "study.svg": study_tables.curves(result),
  }
  for file, content in files.items():
    atomic_files.write_text(plan.path / file, content)
  print("wrote", *(str(plan.path / file) for file in files))


def _score(
  path: paths.AnyPath, split: str, reader: str, keys: Sequence[str]
) -> dict[str, dict[str, float]]:
  """Scores a run's best checkpoint on a split; means over its languages.

  Returns:
    Row of the report -> metric -> value.
  """
  values: dict[str, dict[str, list[float]]] = {}
  for code in workdir.read_corpus_infos(path):
    report = evaluate_run.evaluate(
      path,
      language=code,
      split=split,
      back_translation=reader,
      resamples=1,
      metrics=keys,
    )
    for row, scores in report.scores.items():
      for key, interval in scores.items():
        of_row = values.setdefault(row, {})
        of_row.setdefault(key, []).append(interval.value)
  return {
    row: {key: sum(listed) / len(listed) for key, listed in scores.items()}
    for row, scores in values.items()
  }


def _count_parameters(path: paths.AnyPath) -> int:
  """Trainable parameters of a run."""
  config, infos = restore.describe(path)
  mesh = sharding.make_mesh(config_lib.Mesh(), jax.devices()[:1])
  codes = list(infos) if config.task == "mlsf" else []
  sizes = sizes_lib.sizes_of(config, infos)
  abstract = train_state.abstract_state(config, sizes, mesh, codes)
  return train_state.count_parameters(abstract)
