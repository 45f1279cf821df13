"""What a method of training is made of; `methods` has them all."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.data.batch import Batch
from signllm_jax.data.pose_statistics import PoseStatistics, Residuals

Rows = dict[str, dict[str, float]]  # of a report: name -> metric -> score


class Known(NamedTuple):
  """What a loss may know besides the batch; nothing in it is learnt."""

  statistics: PoseStatistics
  residuals: Residuals


class Outcome(NamedTuple):
  """What a loss tells besides itself."""

  parts: dict[str, jax.Array]  # name -> []; those of a batch's parts add up
  errors: tuple[jax.Array, ...] = ()  # [B, ...] each, for `track`
  reward: jax.Array | None = None  # [B] of each example, for `rl.priority`


class Method(Protocol):
  """A module of this package. All but `build_model` run inside the step.

  A batch may come in parts, one after another (`optim.accumulate`): a loss is
  a sum over its part, divided by `total` of the whole batch. One that was drawn
  by `rl.priority` has `weight` [B].
  """

  UNIT: str  # of the lengths that batches are padded to

  def build_model(
    self, config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
  ) -> nnx.Module:
    """The model, with fresh parameters.

    Args:
      config: the run.
      vocabulary: number of tokens of the source (`data.source`).
      glosses: number of gloss tokens; 0 unless `data.glosses`.
      rngs: stream `params`.
    """
    ...

  def total(self, config: Experiment, batch: Batch) -> Any:
    """What the sums of a whole batch are divided by."""
    ...

  def loss(
    self,
    config: Experiment,
    model: Any,
    batch: Batch,
    known: Known,
    key: jax.Array,
    total: Any,
  ) -> tuple[jax.Array, Outcome]:
    """The loss [] of a batch or of a part of one, in training."""
    ...

  def track(
    self,
    residuals: Residuals,
    errors: tuple[jax.Array, ...],
    epoch_ends: jax.Array,
  ) -> Residuals:
    """The residuals after a batch; `errors` are of all its rows."""
    ...


def track_nothing(
  residuals: Residuals, errors: tuple[jax.Array, ...], epoch_ends: jax.Array
) -> Residuals:
  """`Method.track` of a method without noise from residuals."""
  return residuals


class Evaluation(Protocol):
  """A split that is scored while a model trains; `setup.Run` opens it."""

  how: str  # what the model does, for the report's title

  def run(
    self, model: Any, should_stop: Callable[[], bool]
  ) -> tuple[Rows, list[Any]] | None:
    """Rows of the report and what was made of each clip; None if stopped."""
    ...

  def score(self, rows: Rows) -> float:
    """What decides which checkpoint is best; lower is better."""
    ...

  def complete(self, rows: Rows) -> Rows:
    """The rows as they are reported."""
    ...

  def table(self, rows: Rows, title: str) -> str:
    """The table for the terminal."""
    ...

  def show(self, board: Any, step: int, mark: str, made: list[Any]) -> None:
    """Writes some of what was made to TensorBoard, names after `mark`."""
    ...
