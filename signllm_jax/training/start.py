"""Checks before a run: what it would refuse is refused before it writes."""

import dataclasses

import jax

from signllm_jax import config as config_lib
from signllm_jax.data import build_commands, datasets
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import config_check, workdir
from signllm_jax.tasks.task import Evaluation
from signllm_jax.training import setup


@dataclasses.dataclass(frozen=True)
class Start:
  """A run that may start.

  Attributes:
    run: its data, mesh and shapes.
    evaluations: of each language that has the split of `config.evaluate`.
  """

  run: setup.Run
  evaluations: dict[str, Evaluation]

  def describe(self) -> str:
    """Describes the run, and says loudly which languages are not scored."""
    return "\n".join(filter(None, [self.run.describe(), self._warning()]))

  def _warning(self) -> str:
    """Says that languages are trained without scores; empty if none is."""
    unscored = self.run.unscored
    if not unscored:
      return ""
    listed = ", ".join(
      f"{part.language} in {part.folder}".strip() for part in unscored
    )
    lines = [f"NOT SCORED: there is no split 'dev' of {listed}."]
    if self.evaluations:
      lines += [
        f"  Scores, and so the best checkpoint, are those of "
        f"{', '.join(self.evaluations)} alone."
      ]
    else:
      lines += [
        "  The run is trained to its last step without scores; its latest "
        "checkpoint counts as its best."
      ]
      if self.run.config.patience:
        lines += ["  --config.patience has no effect: nothing is compared."]
      if self.run.config.optim.schedule == "plateau":
        lines += ["  The learning rate stays at its peak: no plateau is seen."]
    lines += [
      "  To have scores, move some lines of its train.* into files dev.*."
      if self.run.config.task == "text_to_gloss"
      else "  To set clips of train aside, build the data with --dev=5%."
    ]
    return "\n".join(lines)


def check(config: config_lib.Experiment, path: str) -> None:
  """Checks what needs no data; makes and changes nothing.

  Args:
    config: the run.
    path: its work directory, or empty for none.

  Raises:
    UsageError: the configuration cannot work, or the work directory is
      another's.
    DataError: the data of a language are not there; names the commands that
      build them.
    StorageError: the work directory cannot be written.
  """
  config_check.check(config)
  if path:
    workdir.check_workdir(path, config)
  missing = [
    part
    for part in config_lib.corpora(config)
    if not datasets.has_split(part, "train")
  ]
  if missing:
    raise build_commands.no_data(missing, "train")


def prepare(config: config_lib.Experiment, path: str) -> Start:
  """Opens the data of a run; makes and changes nothing.

  A dry run calls it too, and so refuses what a run refuses.

  Args:
    config: the run.
    path: its work directory, or empty for none.

  Raises:
    SignLLMError: as `check` and `setup.Run`; a split cannot be read; the work
      directory holds a run on other data.
  """
  check(config, path)
  if config.compilation_cache:
    compilation_cache.enable()
  run = setup.Run(config)
  if path:
    workdir.compare_corpus_infos(path, run.infos)
  with jax.set_mesh(run.mesh):
    return Start(run, run.open_evaluations())
