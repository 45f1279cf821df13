"""Evaluation during training: scores, report.json, writers, terminal."""

import json
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import tqdm

from signllm_jax.core import errors
from signllm_jax.runs import train_state, workdir, writers
from signllm_jax.tasks.task import Evaluation, ScoreTable
from signllm_jax.training import early_stopping, setup, validation_loss

Results = dict[str, tuple[ScoreTable, list[Any]]]  # of each language


class Evaluator:
  """Scores the languages of a run and reports the scores.

  Attributes:
    history: step, seconds of training and score of each evaluation.
  """

  def __init__(
    self,
    run: setup.Run,
    evaluations: dict[str, Evaluation],
    work: workdir.WorkDir,
    writer: writers.Writers,
    bar: tqdm.tqdm,
  ):
    """Takes what is evaluated and where the scores go.

    Args:
      run: the run.
      evaluations: of each language that is scored; may be empty.
      work: where the report is written.
      writer: of scores and outputs.
      bar: progress bar, above which the tables are printed.
    """
    self._run, self._config = run, run.config
    self._evaluations = evaluations
    self._work, self._writer, self._bar = work, writer, bar
    self.history: list[dict[str, float]] = []
    self._loss: validation_loss.ValidationLoss | None = None
    if evaluations and run.config.evaluate.loss:
      self._loss = validation_loss.ValidationLoss(run)

  def read_history(self, step: int) -> None:
    """Takes the evaluations until a step from the report of a resumed run."""
    self.history = self._work.read_history(step)

  def seconds_before(self) -> float:
    """Seconds of training until the last evaluation of the history."""
    return self.history[-1]["train_seconds"] if self.history else 0.0

  def is_due(self, step: int, state: train_state.TrainState) -> bool:
    """Whether a step must be evaluated, and was not yet."""
    if not self._evaluations:
      return False
    every = self._config.evaluate.every
    last = step >= self._config.steps
    due = last or (every > 0 and step > 0 and step % every == 0)
    return due and int(state.progress.evaluated) != step

  def evaluate(
    self,
    step: int,
    state: train_state.TrainState,
    seconds: dict[str, float],
    should_stop: Callable[[], bool],
  ) -> train_state.TrainState:
    """Scores a step and reports the scores.

    Args:
      step: its number.
      state: after it.
      seconds: of the run so far, by activity; `train` is kept in the history.
      should_stop: asked between batches.

    Returns:
      The state with the score in its progress; the same state if stopped, and
      then the step is evaluated after resuming.

    Raises:
      NonFiniteError: the score is NaN or infinite.
    """
    started = time.perf_counter()
    results: Results = {}
    for code, evaluation in self._evaluations.items():
      result = evaluation.run(self._run.generator(state, code), should_stop)
      if result is None:
        return state
      results[code] = result
    loss = None
    if self._loss is not None:
      loss = self._loss.measure(state, should_stop)
      if loss is None:
        return state
    mean = _mean([scores for scores, _ in results.values()])
    score = self._scorer.score(mean)
    if not np.isfinite(score):
      raise errors.NonFiniteError(f"the evaluation at step {step} is NaN")
    train_seconds = round(seconds["train"], 3)
    self.history.append(
      {"step": step, "train_seconds": train_seconds, "score": score}
    )
    seconds = seconds | {"evaluate": time.perf_counter() - started}
    self._write_report(step, state, results, mean, seconds, loss)
    self._show(step, results, mean, loss)
    progress = early_stopping.note_evaluation(state.progress, step, score)
    return state._replace(
      progress=jax.device_put(
        progress, train_state.shardings_of(self._run.abstract).progress
      )
    )

  @property
  def _scorer(self) -> Evaluation:
    """Any of the evaluations: all score and format alike."""
    return next(iter(self._evaluations.values()))

  def _write_report(
    self,
    step: int,
    state: train_state.TrainState,
    results: Results,
    mean: ScoreTable,
    seconds: dict[str, float],
    loss: float | None,
  ) -> None:
    """Writes report.json."""
    report: dict[str, Any] = {
      "split": self._config.evaluate.split,
      "sequences": sum(len(outputs) for _, outputs in results.values()),
      "step": step,
      "rows": self._scorer.complete(mean),
      "seconds": _rounded(seconds),
    }
    if loss is not None and np.isfinite(loss):
      report["loss"] = loss
    if unscored := self._run.unscored:
      report["unscored"] = [part.language for part in unscored]
    if drawn := self._run.sampling_summary(state):
      report["drawn"] = drawn
      self._writer.text("drawn", json.dumps(drawn, indent=2), step)
    if len(results) > 1:
      report["languages"] = {
        code: self._scorer.complete(scores)
        for code, (scores, _) in results.items()
      }
    report["history"] = self.history
    self._work.write_text(self._work.report, json.dumps(report, indent=2))

  def finish(self, step: int, seconds: dict[str, float]) -> None:
    """Writes report.json of a finished run, if none of its data are scored."""
    if self._evaluations:
      return
    report = {
      "split": None,
      "sequences": 0,
      "step": step,
      "rows": {},
      "seconds": _rounded(seconds | {"evaluate": 0.0}),
      "unscored": [part.language for part in self._run.unscored],
      "history": [],
    }
    self._work.write_text(self._work.report, json.dumps(report, indent=2))

  def _show(
    self, step: int, results: Results, mean: ScoreTable, loss: float | None
  ) -> None:
    """Writes scores and outputs to the writers, tables to the terminal."""
    count = sum(len(outputs) for _, outputs in results.values())
    split = self._config.evaluate.split
    title = f"step {step}, {count} sequences of {split}, {self._scorer.how}"
    for number, (name, row) in enumerate(mean.items()):
      self._write_scores(step, f"rows/{name}" if number else "", row)
    if loss is not None:
      self._writer.scalars(step, {"train/loss": loss}, split)
    for code, (scores, outputs) in results.items():
      prefix = f"{code}_" if len(results) > 1 else ""
      self._evaluations[code].show(self._writer, step, prefix, outputs)
      if len(results) > 1:
        line = f"languages/{code}"
        self._write_scores(step, line, next(iter(scores.values())))
        table = self._scorer.table(scores, f"{code}, {title}")
        self._bar.write("\n" + table)
    self._writer.flush()
    if len(results) > 1:
      title = f"mean of {len(results)} languages, {title}"
    if loss is not None:
      title += f", loss {loss:.4f}"
    self._bar.write("\n" + self._scorer.table(mean, title) + "\n")

  def _write_scores(self, step: int, line: str, row: dict[str, float]) -> None:
    """Writes a row of the report; its first is the run's own line."""
    scores = {f"validation/{key}": value for key, value in row.items()}
    self._writer.scalars(step, scores, line)


def score_of(step: int, state: train_state.TrainState) -> float | None:
  """The score of this very step, or None if it was not evaluated."""
  if int(state.progress.evaluated) != step:
    return None
  return float(state.progress.score)


def _mean(languages: list[ScoreTable]) -> ScoreTable:
  """Averages the score tables of several languages; of one, returns it."""
  return {
    name: {
      key: float(np.mean([table[name][key] for table in languages]))
      for key in row
    }
    for name, row in languages[0].items()
  }


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
  return {name: round(value, 3) for name, value in seconds.items()}
