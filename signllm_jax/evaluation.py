"""Free-running evaluation of a model on a whole split, with its floors."""

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np

from signllm_jax import clips, config, errors, floors, generate, sources
from signllm_jax.metrics import pose

Rows = dict[str, dict[str, float]]


class Evaluation:
  """A split, its truth and its floors; produced clips are scored against it."""

  def __init__(
    self,
    split: sources.Clips,
    settings: config.Experiment,
    mean_pose: np.ndarray,
  ):
    """Reads the split and scores what needs no model.

    Args:
      split: the clips.
      settings: of the run.
      mean_pose: [150] of the training clips.

    Raises:
      DataError: the split is empty.
    """
    limit = settings.evaluate.max_sequences
    count = min(len(split), limit) if limit else len(split)
    if not count:
      raise errors.DataError(
        "nothing to evaluate: the split is empty",
        path=settings.data.folder,
        hint="Set --config.evaluate.split",
      )
    self.true = [split[i] for i in range(count)]
    self.sources = [sources.source_text(c, settings.data) for c in self.true]
    still = floors.floors(self.true, mean_pose.reshape(-1, 3))
    self._fixed: Rows = {
      name: pose.scores(made, self.true)
      for name, made in {"truth": self.true, **still}.items()
    }

  def run(
    self,
    producer: generate.Producer,
    should_stop: Callable[[], bool] = lambda: False,
  ) -> tuple[Rows, list[clips.Clip]] | None:
    """Produces the split and scores it.

    Returns:
      Rows of the report, `produced` first, and the produced clips with the
      truth's names and texts; None if stopped.
    """
    made = producer.produce(self.sources, should_stop)
    if made is None:
      return None
    made = named(made, self.true)
    return {"produced": pose.scores(made, self.true), **self._fixed}, made


def named(
  made: Sequence[clips.Clip], true: Sequence[clips.Clip]
) -> list[clips.Clip]:
  """Produced clips with the names, texts and glosses of the true ones."""
  return [
    dataclasses.replace(m, name=t.name, text=t.text, gloss=t.gloss)
    for m, t in zip(made, true, strict=True)
  ]
