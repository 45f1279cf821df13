"""Checks before a run: what it would refuse is refused before it writes."""

import dataclasses
import json

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import paths
from signllm_jax.data import build_commands, datasets
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import checkpointer, config_check, train_state, workdir
from signllm_jax.tasks.task import Evaluation
from signllm_jax.training import initial_weights, setup


@dataclasses.dataclass(frozen=True)
class Start:
  """A run that may start.

  Attributes:
    run: its data, mesh and shapes.
    evaluations: of each language that has the split of `config.evaluate`.
    initial: weights that it starts from, if they are a trained run's.
    note: what is to be said of them otherwise.
  """

  run: setup.Run
  evaluations: dict[str, Evaluation]
  initial: initial_weights.InitialWeights | None = None
  note: str = ""

  def describe(self) -> str:
    """Describes the run, and says loudly which languages are not scored."""
    initial = self.initial.describe() if self.initial else self.note
    parts = [self.run.describe(), initial, self._warning()]
    return "\n".join(filter(None, parts))

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


def prepare(config: config_lib.Experiment, path: str, init: str = "") -> Start:
  """Opens the data of a run; makes and changes nothing.

  A dry run calls it too, and so refuses what a run refuses.

  Args:
    config: the run.
    path: its work directory, or empty for none.
    init: work directory or model file whose weights it starts from, or empty;
      without effect where the work directory has checkpoints.

  Raises:
    SignLLMError: as `check`, `setup.Run` and `initial_weights.plan`; a split
      cannot be read; the work directory holds a run on other data.
  """
  check(config, path)
  if config.compilation_cache:
    compilation_cache.enable()
  run = setup.Run(config)
  if path:
    workdir.compare_corpus_infos(path, run.infos)
  initial, note = None, ""
  if init and path and _has_checkpoints(path):
    note = f"initial     --init={init} is not applied again: the run goes on"
  elif init:
    initial = initial_weights.plan(run, init)
  with jax.set_mesh(run.mesh):
    return Start(run, run.open_evaluations(), initial, note)


def restore_or_create(
  prepared: Start,
  work: workdir.WorkDir,
  checkpoints: checkpointer.Checkpoints,
) -> tuple[int, train_state.TrainState]:
  """The newest checkpoint with its step, or step 0 and a new state.

  A state with the weights of a trained run is saved at once: the same command
  without `init` must go on with it.

  Raises:
    SignLLMError: as `Checkpoints.restore` and `Checkpoints.save`.
  """
  run = prepared.run
  restored = checkpoints.restore(run.abstract)
  if restored is not None:
    print(f"resuming at step {restored[0]}", flush=True)
    return restored
  state = run.create_state()
  if prepared.initial is not None:
    state = initial_weights.apply(prepared.initial, run, state)
    record = json.dumps(prepared.initial.record(), ensure_ascii=False, indent=1)
    # Before the checkpoint: a kill between the two would lose it for good.
    work.write_text(work.path / "initial.json", record)
    checkpoints.save(0, state)
    checkpoints.wait()
  return 0, state


def _has_checkpoints(path: str) -> bool:
  folder = paths.resolve(path, "checkpoints")
  with checkpointer.Checkpoints(folder, keep=None) as saved:
    return bool(saved.steps())
