"""The training loop."""

import contextlib
from typing import Any

import jax
import numpy as np
import tqdm

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.data import loader
from signllm_jax.parallel import processes, sharding
from signllm_jax.runs import (
  checkpointer,
  step_copies,
  train_state,
  workdir,
  writers,
)
from signllm_jax.training import (
  early_stopping,
  evaluator,
  gradient_norms,
  profiler,
  setup,
  start,
  stop_signals,
  throughput,
  train_step,
  watchdog,
)


def train(
  config: config_lib.Experiment,
  path: str,
  profiled: profiler.StepRange | None = None,
  init: str = "",
  stall_limit: float = 0,
) -> int:
  """Trains a run, or resumes it; returns the exit code.

  Args:
    config: the run.
    path: its work directory.
    profiled: steps of which `profile/` in the work directory gets a trace.
    init: work directory or model file whose weights it starts from, or empty.
    stall_limit: seconds without a step after which the process ends; 0 never.

  Raises:
    SignLLMError: as the class says.
  """
  with stop_signals.StopRequest() as stop, contextlib.ExitStack() as copies:
    copies.enter_context(step_copies.keeping())  # of a trained run's weights
    prepared = start.prepare(config, path, init)
    run = prepared.run
    with (
      workdir.open_workdir(path, config) as work,
      jax.set_mesh(run.mesh),
      checkpointer.Checkpoints(
        work.checkpoints,
        keep=config.checkpoint.keep,
        may_commit=work.check_lock,
      ) as checkpoints,
    ):
      work.check_corpus_infos(run.infos)
      print(prepared.describe(), flush=True)
      step, state = start.restore_or_create(prepared, work, checkpoints)
      copies.close()
      norms = gradient_norms.GradientNorms.restore(checkpoints, step)
      with (
        writers.open_writers(config, work, step) as writer,
        tqdm.tqdm(
          total=config.steps,
          initial=step,
          unit="step",
          dynamic_ncols=True,
          disable=not work.first,
        ) as bar,
      ):
        writer.describe_run(config, run.describe())
        scorer = evaluator.Evaluator(
          run, prepared.evaluations, work, writer, bar
        )
        if step:
          scorer.read_history(int(state.progress.evaluated))
        trace = profiler.Profiler(work.path / "profile", profiled, bar.write)
        with trace as profile, watchdog.Watchdog(stall_limit) as watch:
          loop = Loop(
            run, scorer, checkpoints, writer, bar, stop, profile, watch, norms
          )
          return loop.train(step, state)


class Loop:
  """The training loop: evaluate, save, read, step, log, in this order."""

  def __init__(
    self,
    run: setup.Run,
    scorer: evaluator.Evaluator,
    checkpoints: checkpointer.Checkpoints,
    writer: writers.Writers,
    bar: tqdm.tqdm,
    stop: stop_signals.StopRequest,
    profile: profiler.Profiler,
    watch: watchdog.Watchdog,
    norms: gradient_norms.GradientNorms,
  ):
    """Builds the step; nothing is compiled yet."""
    self.run, self.config, self.scorer = run, run.config, scorer
    self.checkpoints, self.writer, self.bar = checkpoints, writer, bar
    self.stop, self.vote = stop, processes.Vote()
    self.profile, self.watch, self.norms = profile, watch, norms
    self.stopping = False  # in all processes at the same step
    self.train_step = run.make_step()
    self.measure = run.make_histograms()
    self.compiled: set[int] = set()  # padded lengths
    candidates = self.config.plc.pool or 1  # of each row that is trained
    read = float(run.rows_of_process.mean())  # by this process, of a batch
    self.clock = throughput.Throughput(
      candidates * read, scorer.seconds_before()
    )

  def train(self, step: int, state: train_state.TrainState) -> int:
    """Trains to the last step or to a stop; returns the exit code.

    Args:
      step: the first step.
      state: before it; it is donated.

    Raises:
      NonFiniteError: a loss, gradient or score is NaN or infinite.
      StorageError: a checkpoint or the report cannot be written.
    """
    config, first_step = self.config, step
    metrics: train_step.Metrics = {}
    batches = loader.stream(self.run.batches(), step, config.data)
    while True:
      self.watch.note_progress()
      self.stopping |= self.vote.ask(self.stop.requested is not None)
      # ---- evaluate
      if evaluates := self.scorer.is_due(step, state):
        self._check_finite(metrics)
        self.clock.stop()
        state = self.scorer.evaluate(
          step, state, self._seconds(), self._must_stop
        )
      # ---- save
      finished = self._reason_to_finish(step, state)
      save_due = step > first_step and step % config.checkpoint.every == 0
      # Stopped inside this evaluation, it was saved without its score.
      save_due |= evaluates and step == first_step > 0
      if self.stopping or finished or save_due:
        self._check_finite(metrics)
        self.writer.flush()  # events of a saved step are not written again
        self._save(step, state)
      if finished:
        self.scorer.finish(step, self._seconds())
        self.bar.write(finished)
        return 0
      if self.stopping:
        self.checkpoints.wait()
        name = self.stop.requested.name if self.stop.requested else "stop"
        self.bar.write(f"{name}: step {step} is saved")
        return errors.EXIT_INTERRUPTED
      if evaluates:
        self.clock.restart()
      with self.profile.step(step):
        # ---- read
        with self.clock.waiting():
          batch = next(batches)
        # ---- step
        if self._shows_histograms(step + 1):
          self._write_histograms(step + 1, state, batch)
        state, metrics = self._step(state, batch)
        self.norms.note(step, metrics)
        step += 1
      self.profile.end_step(step, metrics)
      # ---- log
      if step % config.log_every == 0 or step == config.steps:
        self._log(step, metrics)

  def _save(self, step: int, state: train_state.TrainState) -> None:
    self._report_spikes()
    self.checkpoints.save(
      step,
      state,
      score=evaluator.score_of(step, state),
      gradient_norms=self.norms.record(),
    )

  def _report_spikes(self) -> None:
    """Prints steps with a far too large gradient and their samples."""
    for step, problem in self.norms.read():
      samples = ", ".join(self.run.sample_names(step))
      self.bar.write(f"{problem}; it was clipped. Check its samples: {samples}")

  def _reason_to_finish(self, step: int, state: train_state.TrainState) -> str:
    """Says why training ends here; empty if it goes on."""
    progress = jax.device_get(state.progress)
    reason = early_stopping.reason_to_stop(self.config, progress)
    last = step >= self.config.steps and not self.scorer.is_due(step, state)
    return reason or ("all steps done" if last else "")

  def _must_stop(self) -> bool:
    """Whether an evaluation must end; all processes ask between batches."""
    self.watch.note_progress()
    requested = self.stop.requested is not None
    self.stopping = processes.any_process(self.stopping or requested)
    return self.stopping

  def _step(
    self, state: train_state.TrainState, batch: dict[str, np.ndarray]
  ) -> tuple[Any, train_step.Metrics]:
    """One step; says so where its shape is compiled."""
    run, t = self.run, loader.padded_length(batch)
    timed: Any = contextlib.nullcontext()
    if t not in self.compiled:
      self.compiled.add(t)
      self.bar.write(
        f"compiling for {t} {run.length_unit} ({len(self.compiled)} of "
        f"{len(run.lengths)} shapes)"
      )
      timed = self.clock.compiling()
    with timed:
      state, metrics = self.train_step(
        state, sharding.put_batch(batch, run.mesh, run.stacked)
      )
    self.clock.count(batch)
    self.bar.update()
    return state, metrics

  def _shows_histograms(self, step: int) -> bool:
    every = self.config.histograms_every
    return every > 0 and step % every == 0

  def _write_histograms(
    self,
    step: int,
    state: train_state.TrainState,
    batch: dict[str, np.ndarray],
  ) -> None:
    """Writes histograms of weights and gradients, from which a step is made."""
    with self.clock.compiling():  # not a part of the rates
      on_mesh = sharding.put_batch(batch, self.run.mesh, self.run.stacked)
      found = jax.device_get(self.measure(state, on_mesh))
    self.writer.histograms(step, found)

  def _log(self, step: int, metrics: train_step.Metrics) -> None:
    """Writes metrics and rates to the writers and the progress bar."""
    self._check_finite(metrics)
    self._report_spikes()
    unit = self.run.length_unit
    values = {k: float(v) for k, v in jax.device_get(metrics).items()}
    values |= self.clock.rates(unit) | {"spikes": self.norms.spikes}
    self.clock.stop()
    self.clock.restart()
    self.writer.scalars(step, {_tag(k): v for k, v in values.items()})
    self.bar.set_postfix_str(
      f"loss {values['loss']:.4f} {values[f'{unit}_per_second']:.0f} {unit}/s "
      f"wait {values['wait_share']:.0%}",
      refresh=False,
    )

  def _seconds(self) -> dict[str, float]:
    """Seconds of the run by activity, for the report."""
    return {
      "data": self.run.data_seconds,
      "compile": self.clock.compile_seconds,
      "train": self.clock.train_seconds,
    }

  def _check_finite(self, metrics: train_step.Metrics) -> None:
    """Ends the run at a step that was not finite (exit 66)."""
    failed = int(metrics["failed"]) if metrics else -1
    if failed < 0:
      return
    raise errors.NonFiniteError(
      f"loss or gradient of step {failed} is not finite; samples "
      + ", ".join(self.run.sample_names(failed)),
      hint="Nothing of it was applied or saved. Check these records, lower "
      "the learning rate, or set --config.non_finite=skip",
    )


def _tag(name: str) -> str:
  """The tag of a metric of a step: losses come first in an ordered list."""
  if name.startswith("loss"):
    return f"train/{name}"
  if name in ("skipped", "failed", "spikes"):
    return f"train/steps/{name}"
  if name.endswith(("_per_second", "wait_share")):
    return f"train/speed/{name}"
  if name.startswith(("reward", "policy")):
    return f"train/reward/{name}"
  if name in ("learning_rate", "gradient_norm", "parameter_norm"):
    return f"train/optimizer/{name}"
  return f"train/sampling/{name.removeprefix('sampling_')}"
