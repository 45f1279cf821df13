"""Studies with seeds: `python -m signllm_jax.ablate --study=... --config=...`.

Trains every row of a study with several seeds, one run after another, and
writes study.json, study.md and study.svg into --workdir. Interrupted, the same
command goes on where it stopped.

  --study=components   what each part adds: base, future prediction (FP),
                       Gaussian noise (GN), both, gloss mode, RL, RL + PLC
  --study=efficiency   steps and time until the base's final DTW-MJE, with and
                       without the Priority Learning Channel
  --study=signing      decoders and losses on texts that people repeat: motion,
                       bones, Frechet distance, spread, recognition; trains its
                       reader where none is given
  --study=sizes        SignLLM's sizes 40M, 120M and 1B, each in both modes; a
                       narrower base scales them all
  --config=configs/ablation.py    the base, on any prepared data set; fields can
                       be set: --config.steps=500
  --rows="base,RL + PLC"          some rows alone
  --split=test         scores the best checkpoints on a split (not efficiency)
  --back_translation=WORKDIR      a model of pose to text reads them as well

Exit codes as of `signllm_jax.train`.
"""

import sys

from absl import app, flags, logging
from ml_collections import config_flags

from signllm_jax import config_files
from signllm_jax.core import errors, paths
from signllm_jax.data import datasets
from signllm_jax.training import studies, study_rows

_CONFIG = config_flags.DEFINE_config_file(
  "config", None, "Experiment: the base of all rows."
)
_STUDY = flags.DEFINE_enum(
  "study", None, list(study_rows.STUDIES), "Which rows are trained."
)
_WORKDIR = flags.DEFINE_string(
  "workdir", None, "Folder of the study, also in a bucket: gs://..."
)
_SEEDS = flags.DEFINE_integer("seeds", 3, "Runs of each row.", lower_bound=1)
_ROWS = flags.DEFINE_list("rows", [], "Names of rows; all without it.")
_SPLIT = flags.DEFINE_enum(
  "split", "test", list(datasets.SPLITS), "Scored after training."
)
_READER = flags.DEFINE_string(
  "back_translation", "", "Work directory of a model of pose to text."
)


def main(argv: list[str]) -> None:
  """The command."""
  logging.set_verbosity(logging.WARNING)

  def work() -> None:
    if len(argv) > 1:
      raise errors.UsageError(f"unknown arguments {argv[1:]}")
    name, base, folder = _STUDY.value, _CONFIG.value, _WORKDIR.value
    if not (name and base and folder):
      raise errors.UsageError(
        "--study, --config and --workdir are needed", hint="See --help"
      )
    rows = study_rows.choose(name, base, _ROWS.value)
    path = paths.resolve(folder)
    plan = studies.Plan(name, base, path, _SEEDS.value, rows)
    if code := studies.train_rows(plan):
      sys.exit(code)
    reader = _READER.value
    if name == "signing" and not reader:
      if code := studies.train_reader(plan):
        sys.exit(code)
      reader = str(plan.reader)
    studies.write_report(plan, _SPLIT.value, reader)

  sys.exit(errors.exit_code_of(work))


if __name__ == "__main__":
  app.run(main, argv=config_files.command_line())
