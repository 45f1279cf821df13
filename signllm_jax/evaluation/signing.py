"""Free-running evaluation of text to pose on a whole split, with baselines."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from signllm_jax import config
from signllm_jax.core import clips, errors
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data import corpus_info, datasets
from signllm_jax.evaluation import baselines, same_text
from signllm_jax.evaluation.metrics import (
  catalogue,
  frechet,
  metric,
  pose,
  visibility,
)
from signllm_jax.evaluation.report import report, tables
from signllm_jax.inference import producer, text_input
from signllm_jax.runs.writers import Writers
from signllm_jax.tasks.task import ScoreTable


class Evaluation:
  """A split of clips and its baselines (`tasks.task.Evaluation`)."""

  how = "free running"

  def __init__(
    self,
    split: datasets.Clips,
    settings: config.Experiment,
    mean_pose: np.ndarray,
  ):
    """Reads the split and scores the baselines.

    Args:
      split: the clips.
      settings: of the run.
      mean_pose: [C] of the training clips.

    Raises:
      DataError: the split is empty.
    """
    self.true = read_examples(split, settings)
    self.sources = [datasets.source_text(c, settings.data) for c in self.true]
    skeleton = skeleton_lib.get(settings.data.skeleton)
    fixed = baselines.of_clips(self.true, mean_pose.reshape(skeleton.shape))
    self._shown = settings.evaluate.clips
    self._baselines: ScoreTable = {
      name: pose.scores(row, self.true)
      for name, row in {"truth": self.true, **fixed}.items()
    }

  def run(
    self,
    model: producer.Producer,
    should_stop: Callable[[], bool] = lambda: False,
  ) -> tuple[ScoreTable, list[clips.Clip]] | None:
    """Produces the split and scores it.

    Returns:
      Rows of the report, `produced` first, and the produced clips with the
      truth's names and texts; None if stopped.
    """
    produced = model.produce(self.sources, should_stop)
    if produced is None:
      return None
    produced = with_true_labels(produced, self.true)
    scores = pose.scores(produced, self.true)
    if model.stochastic:
      total = frechet.sums(produced, self.true).sum(0)
      scores["frechet"] = float(frechet.finish(total))
    return {"produced": scores, **self._baselines}, produced

  def score(self, rows: ScoreTable) -> float:
    """The score that selects the best checkpoint; lower is better.

    DTW-MJE, which the mean of all recordings would minimise; so samples of a
    generative decoder are scored by their Frechet distance.
    """
    produced = rows["produced"]
    return produced.get("frechet", produced["dtw_mje"])

  def complete(self, rows: ScoreTable) -> ScoreTable:
    """The rows as they are reported."""
    return report.with_shares(rows)

  def table(self, rows: ScoreTable, title: str) -> str:
    """The table for the terminal."""
    return tables.training_table(rows, title)

  def show(
    self,
    board: Writers,
    step: int,
    mark: str,
    made: Sequence[clips.Clip],
  ) -> None:
    """Writes clips, produced beside true."""
    shown = zip(made, self.true[: self._shown], strict=False)
    for i, (clip, truth) in enumerate(shown):
      pair = {"produced": clip, "true": truth}
      board.clips(step, f"validation_clips/{mark}{i + 1}", pair)


def read_examples(
  split: datasets.Examples[datasets.Example], settings: config.Experiment
) -> list[datasets.Example]:
  """Reads the examples of a split that are scored during training.

  Raises:
    DataError: the split is empty.
  """
  if not len(split):
    raise errors.DataError(
      f"nothing to evaluate: the split {settings.evaluate.split!r} is empty",
      path=settings.data.folder,
      hint="Name another with --config.evaluate.split, or remove the empty "
      "files to train without scores",
    )
  return [split[i] for i in range(len(split))]


def with_true_labels(
  produced: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> list[clips.Clip]:
  """Gives produced clips the names, texts and glosses of the true ones."""
  return [
    dataclasses.replace(p, name=t.name, text=t.text, gloss=t.gloss)
    for p, t in zip(produced, true, strict=True)
  ]


class EvaluationSplit(NamedTuple):
  """A split for the final evaluation."""

  sources: list[str]  # texts as the model reads them
  true: list[clips.Clip]
  rows: Mapping[str, Sequence[clips.Clip]]  # truth and baselines
  draws: Mapping[str, Sequence[Sequence[clips.Clip]]]  # further ones of a row
  metrics: tuple[metric.Metric, ...]
  notes: list[str]
  train: datasets.Clips


def _check_split(settings: config.Data, split: str) -> None:
  """Raises a DataError for a missing split that names those there are."""
  known = [s for s in datasets.SPLITS if datasets.has_split(settings, s)]
  if known and split not in known:
    raise errors.DataError(
      f"no split {split!r}: no records of it, and no {split}.skels",
      path=settings.folder,
      expected="one of " + ", ".join(known),
    )


def load_split(
  settings: config.Data, info: corpus_info.CorpusInfo, split: str
) -> EvaluationSplit:
  """Reads a whole split and, for the baselines, the training split.

  Raises:
    DataError: the data are gone, or have no such split, or it is empty.
  """
  _check_split(settings, split)
  task = text_input.read_split(settings, info, split)
  assert task.true is not None
  skeleton = skeleton_lib.get(settings.skeleton)
  try:
    train = datasets.open_clips(settings, "train")
    summary = corpus_info.summarise(train, settings)
    mean = summary.mean.reshape(skeleton.shape)
    sources = [datasets.source_text(clip, settings) for clip in _each(train)]
    texts = [clip.text for clip in _each(train)]
    shown = visibility.parts_of_texts(_each(train))
  except errors.DataError as error:
    raise errors.DataError(
      f"the baselines need the training split: {error}",
      path=settings.folder,
    ) from error
  nearest = baselines.nearest(task.sources, sources, info.vocabulary.unit)
  others = same_text.find(task.true, train, texts)
  rows = {
    "truth": task.true,
    **others.rows,
    **baselines.of_clips(task.true, mean),
    "nearest_train": [train[int(i)] for i in nearest],
  }
  if len(task.true) < 2:
    del rows["other_clip"]  # there is no other
  notes = [*task.notes, *others.notes]
  metrics = (
    *catalogue.pose_metrics(skeleton),
    catalogue.hidden_parts(shown, skeleton),
    *catalogue.of_repeated_texts(task.true),
  )
  return EvaluationSplit(
    task.sources, task.true, rows, others.draws, metrics, notes, train
  )


def _each(split: datasets.Clips):
  return (split[i] for i in range(len(split)))
