"""The training loop."""

import json
import time
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
  tensorboard,
  train_state,
  workdir,
)
from signllm_jax.tasks.task import ScoreTable
from signllm_jax.training import early_stopping, start, stop_signals, train_step


def train(config: config_lib.Experiment, path: str) -> int:
  """Trains a run, or goes on with it; returns the exit code.

  Args:
    config: the run.
    path: its work directory.

  Raises:
    SignLLMError: as the class says.
  """
  with stop_signals.StopRequest() as stop:
    prepared = start.prepare(config, path)
    with (
      workdir.open_workdir(path, config) as work,
      jax.set_mesh(prepared.run.mesh),
      checkpointer.Checkpoints(
        work.checkpoints, keep=config.checkpoint.keep
      ) as saved,
    ):
      work.check_corpus_infos(prepared.run.infos)
      print(prepared.describe(), flush=True)
      return Loop(prepared, work, stop).train(saved)


class Loop:
  """The training loop. Order: evaluate, save, read, step, log."""

  def __init__(
    self,
    prepared: start.Start,
    work: workdir.WorkDir,
    stop: stop_signals.StopRequest,
  ):
    self.run, self.work, self.stop = prepared.run, work, stop
    self.config = self.run.config
    self.evaluations = prepared.evaluations
    self.vote = processes.Vote()
    self.stopping = False  # in all processes at the same step
    self.train_seconds = self.compile_seconds = 0.0
    self.history: list[dict[str, float]] = []  # of the evaluations

  def train(self, saved: checkpointer.Checkpoints) -> int:
    """Runs to the end or to a stop; returns the exit code."""
    run, config = self.run, self.config
    restored = saved.restore(run.abstract)
    if restored:
      start, state = restored
      print(f"resuming at step {start}", flush=True)
      self.history = self.work.read_history(int(state.progress.evaluated))
      if self.history:
        self.train_seconds = self.history[-1]["train_seconds"]
    else:
      start, state = 0, run.create_state()
    step_function = run.make_step()
    stream = loader.stream(run.batches(), start, config.data)
    pool = config.plc.pool or 1  # candidates of each row that is trained
    read_share = pool * float(run.fed.mean())  # this process's, of a batch
    window = _Window(read_share)
    compiled: set[int] = set()
    rate = f"{run.unit}_per_second"
    with (
      tensorboard.Writer(
        self.work.path / "tensorboard", start, write=self.work.first
      ) as writer,
      tqdm.tqdm(
        total=config.steps,
        initial=start,
        unit="step",
        dynamic_ncols=True,
        disable=not self.work.first,
      ) as bar,
    ):
      writer.hparams(config)
      writer.text("run", run.describe())
      step, metrics = start, {}
      while True:
        self.stopping |= self.vote.ask(self.stop.requested is not None)
        # ---- evaluate
        if evaluates := self._evaluation_due(step, state):
          self._check_finite(metrics)
          self.train_seconds += window.seconds()
          state = self._evaluate(step, state, writer, bar)
        over = early_stopping.reason_to_stop(
          config, jax.device_get(state.progress)
        )
        # ---- save
        scored = not self._evaluation_due(step, state)
        finished = (step >= config.steps and scored) or bool(over)
        if self.stopping or finished or self._save_due(step, start):
          self._check_finite(metrics)
          saved.save(step, state, score=self._score(step, state))
        if self.stopping and not finished:
          saved.wait()
          name = self.stop.requested.name if self.stop.requested else "stop"
          bar.write(f"{name}: step {step} is saved")
          return errors.EXIT_INTERRUPTED
        if finished:
          if not self.evaluations:
            self._report_without_scores(step)
          bar.write(over or "all steps done")
          return 0
        if evaluates:  # its time is not the training's
          window = _Window(read_share)
        # ---- read
        began = time.perf_counter()
        batch = next(stream)
        window.waited += time.perf_counter() - began
        t = loader.padded_length(batch)
        new_shape = t not in compiled
        if new_shape:
          compiled.add(t)
          bar.write(
            f"compiling for {t} {run.unit} ({len(compiled)} of "
            f"{len(run.lengths)} shapes)"
          )
        # ---- step
        began = time.perf_counter()
        state, metrics = step_function(
          state, sharding.put_batch(batch, run.mesh, run.stacked)
        )
        if new_shape:
          seconds = time.perf_counter() - began
          self.compile_seconds += seconds
          window.leave_out(seconds)
        step += 1
        window.count(batch)
        bar.update()
        # ---- log
        if step % config.log_every == 0 or step == config.steps:
          self._check_finite(metrics)
          values = {k: float(v) for k, v in jax.device_get(metrics).items()}
          values |= window.rates(run.unit)
          self.train_seconds += window.seconds()
          window = _Window(read_share)
          writer.scalars(step, {f"train/{k}": v for k, v in values.items()})
          bar.set_postfix_str(
            f"loss {values['loss']:.4f} {values[rate]:.0f} {run.unit}/s "
            f"wait {values['wait_share']:.0%}",
            refresh=False,
          )

  def _evaluation_due(self, step: int, state: train_state.TrainState) -> bool:
    if not self.evaluations:
      return False
    every = self.config.evaluate.every
    last = step >= self.config.steps
    due = last or (every > 0 and step > 0 and step % every == 0)
    return due and int(state.progress.evaluated) != step

  def _must_stop(self) -> bool:
    """Whether an evaluation must end; all processes ask between batches."""
    requested = self.stop.requested is not None
    self.stopping = processes.any_process(self.stopping or requested)
    return self.stopping

  def _save_due(self, step: int, start: int) -> bool:
    return step > start and step % self.config.checkpoint.every == 0

  def _score(self, step: int, state: train_state.TrainState) -> float | None:
    """The score of this very step, if it was evaluated."""
    if int(state.progress.evaluated) != step:
      return None
    return float(state.progress.score)

  def _evaluate(self, step: int, state, writer, bar):
    """Scores the split, writes the report; the state notes the result."""
    began = time.perf_counter()
    results: dict[str, tuple[ScoreTable, list[Any]]] = {}
    for code, each in self.evaluations.items():
      result = each.run(self.run.generator(state, code), self._must_stop)
      if result is None:  # stopped: it is done again after resuming
        return state
      results[code] = result
    languages = {code: rows for code, (rows, _) in results.items()}
    rows = _mean(list(languages.values()))
    count = sum(len(made) for _, made in results.values())
    scorer = next(iter(self.evaluations.values()))
    score = scorer.score(rows)
    if not np.isfinite(score):
      raise errors.NonFiniteError(f"the evaluation at step {step} is NaN")
    self.history.append(
      {
        "step": step,
        "train_seconds": round(self.train_seconds, 3),
        "score": score,
      }
    )
    summary = {
      "split": self.config.evaluate.split,
      "sequences": count,
      "step": step,
      "rows": scorer.complete(rows),
      "seconds": self._seconds(time.perf_counter() - began),
    }
    if unscored := self.run.unscored:
      summary["unscored"] = [part.language for part in unscored]
    if drawn := self.run.describe_draws(state):
      summary["drawn"] = drawn
      writer.text("drawn", json.dumps(drawn, indent=2), step)
    several = len(results) > 1
    if several:
      summary["languages"] = {
        code: scorer.complete(each) for code, each in languages.items()
      }
    summary["history"] = self.history
    self.work.write_text(self.work.report, json.dumps(summary, indent=2))
    title = (
      f"step {step}, {count} sequences of {self.config.evaluate.split}, "
      + scorer.how
    )
    for name, row in rows.items():
      writer.scalars(step, {f"evaluate_{name}/{k}": v for k, v in row.items()})
    for code, (each, made) in results.items():
      mark = f"{code}_" if several else ""
      self.evaluations[code].show(writer, step, mark, made)
      if several:
        own = next(iter(each.values())).items()
        writer.scalars(step, {f"evaluate_{code}/{k}": v for k, v in own})
        bar.write("\n" + scorer.table(each, f"{code}, {title}"))
    writer.flush()
    if several:
      title = f"mean of {len(results)} languages, {title}"
    bar.write("\n" + scorer.table(rows, title) + "\n")
    progress = early_stopping.note_evaluation(state.progress, step, score)
    return state._replace(
      progress=jax.device_put(
        progress, train_state.shardings_of(self.run.abstract).progress
      )
    )

  def _report_without_scores(self, step: int) -> None:
    """Writes the report of a run on data without a split to score."""
    summary = {
      "split": None,
      "sequences": 0,
      "step": step,
      "rows": {},
      "seconds": self._seconds(0.0),
      "unscored": [part.language for part in self.run.unscored],
      "history": [],
    }
    self.work.write_text(self.work.report, json.dumps(summary, indent=2))

  def _seconds(self, evaluation: float) -> dict[str, float]:
    """Seconds spent on each part of the run, for the report."""
    seconds = {
      "data": self.run.data_seconds,
      "compile": self.compile_seconds,
      "train": self.train_seconds,
      "evaluate": evaluation,
    }
    return {name: round(value, 3) for name, value in seconds.items()}

  def _check_finite(self, metrics: train_step.Metrics) -> None:
    """Ends the run at a step that was not finite (exit 66)."""
    failed = int(metrics["failed"]) if metrics else -1
    if failed < 0:
      return
    raise errors.NonFiniteError(
      f"loss or gradient of step {failed} is not finite; examples "
      + ", ".join(self.run.examples(failed)),
      hint="Nothing of it was applied or saved. Check these records, lower "
      "the learning rate, or set --config.non_finite=skip",
    )


def _mean(languages: list[ScoreTable]) -> ScoreTable:
  """The mean of several languages' rows; of one, itself."""
  return {
    name: {
      key: float(np.mean([rows[name][key] for rows in languages]))
      for key in row
    }
    for name, row in languages[0].items()
  }


class _Window:
  """Rates since the last log line."""

  def __init__(self, share: float):
    """Starts one.

    Args:
      share: rows that are counted of those that are trained.
    """
    self._began = time.perf_counter()
    self.waited = 0.0
    self._share, self._length, self._sequences = share, 0, 0

  def count(self, batch: dict[str, np.ndarray]) -> None:
    self._length += int(batch["length"].sum())
    self._sequences += int((batch["length"] > 0).sum())

  def leave_out(self, seconds: float) -> None:
    self._began += seconds

  def seconds(self) -> float:
    return time.perf_counter() - self._began

  def rates(self, unit: str) -> dict[str, float]:
    seconds = self.seconds()
    return {
      f"{unit}_per_second": self._length / seconds / self._share,
      "sequences_per_second": self._sequences / seconds / self._share,
      "wait_share": self.waited / seconds,
    }
