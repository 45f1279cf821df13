"""Evaluation of text to gloss during training."""

import dataclasses
from collections.abc import Callable, Sequence

from signllm_jax import config
from signllm_jax.core import gloss
from signllm_jax.data import text_gloss_corpus
from signllm_jax.evaluation import baselines, glossed_twice, reading, signing
from signllm_jax.evaluation.report import tables
from signllm_jax.inference import glosser
from signllm_jax.runs.writers import Writers
from signllm_jax.tasks.task import ScoreTable

METRICS = tuple(  # named bleu4 as in the field's scripts
  dataclasses.replace(m, key=m.key.replace("bleu_", "bleu"))
  for m in reading.metrics_of("words")
)
GLOSSED_TWICE = "the corpus glossed twice (its repeated texts)"
_NAMES = {
  "produced": "produced",
  "nearest_train": "gloss of the nearest training text (baseline)",
  "other": "gloss of another text (baseline)",
  "glossed_twice": GLOSSED_TWICE,
}


class Evaluation:
  """A split of texts and glosses (`tasks.task.Evaluation`)."""

  how = "by beam search"

  def __init__(
    self, settings: config.Experiment, train: Sequence[text_gloss_corpus.Pair]
  ):
    """Reads the split and scores the baselines.

    Args:
      settings: of the run, with the data of one of its languages.
      train: its training pairs, for the baselines.

    Raises:
      DataError: the language has no such split, or it is empty.
    """
    part = settings.data
    opened = text_gloss_corpus.open_pairs(part, settings.evaluate.split)
    split = signing.read_examples(opened, settings)
    mark = gloss.prepend_language("", part.language)
    own = [pair for pair in train if pair.source.startswith(mark)]
    self._texts = [pair.source.removeprefix(mark) for pair in split]
    self.true = [gloss.strip_marks(pair.gloss) for pair in split]
    nearest = baselines.nearest(
      self._texts, [pair.source.removeprefix(mark) for pair in own], "words"
    )
    self._baselines = {
      "nearest_train": self._score(
        [gloss.strip_marks(own[int(i)].gloss) for i in nearest]
      ),
      "other": self._score([*self.true[1:], self.true[0]]),
    }
    if agreement := glossed_twice.find(own):
      self._baselines["glossed_twice"] = {
        m.key: agreement.score(m) for m in METRICS
      }
    self._shown = settings.evaluate.clips

  def run(
    self,
    model: glosser.Glosser,
    should_stop: Callable[[], bool] = lambda: False,
  ) -> tuple[ScoreTable, list[str]] | None:
    """Glosses the split and scores it; None if stopped."""
    lines = model.write(self._texts, should_stop)
    if lines is None:
      return None
    glosses = [gloss.strip_marks(line) for line in lines]
    return {"produced": self._score(glosses), **self._baselines}, glosses

  def _score(self, glosses: Sequence[str]) -> dict[str, float]:
    return {m.key: m.score(glosses, self.true) for m in METRICS}

  def score(self, rows: ScoreTable) -> float:
    """The score that selects the best checkpoint; lower is better."""
    return 100 - rows["produced"]["bleu4"]

  def complete(self, rows: ScoreTable) -> ScoreTable:
    """The rows as they are reported."""
    return rows

  def table(self, rows: ScoreTable, title: str) -> str:
    """The table for the terminal."""
    return tables.metric_table(rows, METRICS, _NAMES, title)

  def show(
    self, board: Writers, step: int, mark: str, made: Sequence[str]
  ) -> None:
    """Writes glosses, produced above true."""
    shown = list(zip(self._texts, made, self.true, strict=True))[: self._shown]
    lines = [f"{text}\nproduced {a}\ntrue     {b}" for text, a, b in shown]
    board.text(f"{mark}gloss", "\n\n".join(lines), step)
