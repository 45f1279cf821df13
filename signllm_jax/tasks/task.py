"""Protocols of a training task and of its evaluation."""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.data.batch import Batch
from signllm_jax.data.pose_statistics import PoseStatistics, Residuals
from signllm_jax.data.sizes import Sizes
from signllm_jax.rl.recognition import TextReader

ScoreTable = dict[str, dict[str, float]]  # row of a report -> metric -> score


class LossContext(NamedTuple):
  """Values besides the batch that a loss may use; none is learnt."""

  statistics: PoseStatistics
  residuals: Residuals
  reader: TextReader | None = None  # of `rl.reader`


class LossOutput(NamedTuple):
  """Values that a loss returns besides itself."""

  terms: dict[str, jax.Array]  # name -> []; micro-batches' terms add up
  errors: tuple[jax.Array, ...] = ()  # [B, ...] each, for `update_residuals`
  reward: jax.Array | None = None  # [B] of each sample, for `rl.priority`
  policy: jax.Array | None = None  # [] weighted loss of the policy, which is
  # not part of the loss: `rl.balance` adds its gradient


class Task(Protocol):
  """A module of this package. All but `build_model` run inside the step.

  A batch may be split into micro-batches (`optim.accumulate`): a loss is a sum
  over its micro-batch, divided by `loss_denominator` of the whole batch. A
  batch that was drawn by `rl.priority` has `weight` [B].
  """

  LENGTH_UNIT: str  # of padded lengths: "frames" or "tokens"

  def build_model(
    self, config: Experiment, sizes: Sizes, rngs: nnx.Rngs
  ) -> nnx.Module:
    """Builds the model with fresh parameters.

    Args:
      config: the run.
      sizes: of the data.
      rngs: stream `params`.
    """
    ...

  def loss_denominator(self, config: Experiment, batch: Batch) -> Any:
    """Computes what the sums of a whole batch are divided by."""
    ...

  def loss(
    self,
    config: Experiment,
    model: Any,
    batch: Batch,
    context: LossContext,
    key: jax.Array,
    denominator: Any,
  ) -> tuple[jax.Array, LossOutput]:
    """Computes the training loss [] of a batch or of a micro-batch."""
    ...

  def update_residuals(
    self,
    residuals: Residuals,
    errors: tuple[jax.Array, ...],
    epoch_ends: jax.Array,
  ) -> Residuals:
    """Returns the residuals after a batch; `errors` are of all its rows."""
    ...


def keep_residuals(
  residuals: Residuals, errors: tuple[jax.Array, ...], epoch_ends: jax.Array
) -> Residuals:
  """`Task.update_residuals` of a task without noise from residuals."""
  return residuals


class Evaluation(Protocol):
  """A split that is scored during training; `training.setup.Run` opens it."""

  how: str  # decoding of the model, for the report's title

  def run(
    self, model: Any, should_stop: Callable[[], bool]
  ) -> tuple[ScoreTable, list[Any]] | None:
    """Returns the scores and the output for each sample; None if stopped."""
    ...

  def score(self, rows: ScoreTable) -> float:
    """Returns the score that selects the best checkpoint; lower is better."""
    ...

  def complete(self, rows: ScoreTable) -> ScoreTable:
    """Returns the rows as they are reported."""
    ...

  def table(self, rows: ScoreTable, title: str) -> str:
    """Formats the table for the terminal."""
    ...

  def show(self, board: Any, step: int, mark: str, made: list[Any]) -> None:
    """Writes some outputs (`runs.writers`); `mark` is part of their names."""
    ...
