"""The training step: a pure function of state and batch, compiled by shape."""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from signllm_jax import config as config_lib
from signllm_jax import tasks
from signllm_jax.data.batch import Batch
from signllm_jax.rl import priority, reward
from signllm_jax.runs import optimizer, train_state
from signllm_jax.tasks.task import Known, Outcome

Metrics = dict[str, jax.Array]

_DRAW = 1  # folded into a step's key for the choice of examples


class _Look(NamedTuple):
  """What a step sees before it moves."""

  loss: jax.Array  # []
  grads: Any  # as the parameters
  errors: tuple[jax.Array, ...]  # of `Outcome`
  drawn: Any  # ids, which are real, rewards: of `priority.learn`; or None
  told: Metrics


def make_train_step(
  config: config_lib.Experiment,
  sizes: train_state.Sizes,
  batches_per_epoch: int | np.ndarray,
  placed: Any,
  trained: np.ndarray | None = None,
) -> Callable[[train_state.TrainState, Batch], tuple[Any, Metrics]]:
  """Builds `step(state, batch) -> (state, metrics)`; the state is donated.

  Args:
    config: the run.
    sizes: of the data.
    batches_per_epoch: after as many steps the noise takes its new std; of each
      language, [L], in MLSF.
    placed: the state's shardings; without them XLA may replicate moments.
    trained: [L] bool, MLSF's groups that learn; all others stay bit-equal.
      None without stacked groups.

  A step whose loss or gradient is not finite changes no parameter. With
  `non_finite="stop"` nothing after it does either, and `progress.failed` holds
  its number; with "skip" it is counted, up to the limit in a row. With `plc` a
  batch is a pool of candidates: the step chooses those it learns from.
  """
  method = tasks.of(config.task)
  graphdef = train_state.graph(config, sizes)

  def loss_of(params, part: Batch, group: train_state.Group, key, total):
    model = nnx.merge(graphdef, params)
    known = Known(group.statistics, group.residuals)
    return method.loss(config, model, part, known, key, total)

  gradient = jax.value_and_grad(loss_of, has_aux=True)

  def whole_batch(group: train_state.Group, batch: Batch, key):
    total = method.total(config, batch)
    parts = config.optim.accumulate
    if parts == 1:
      (loss, outcome), grads = gradient(group.params, batch, group, key, total)
      return loss, grads, outcome
    # Rows are dealt out in turn, so each part is spread over all devices.
    split = jax.tree.map(
      lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch
    )

    def add(carry, part):
      loss, grads = carry
      (more, outcome), extra = gradient(
        group.params, part[0], group, part[1], total
      )
      return (loss + more, jax.tree.map(jnp.add, grads, extra)), outcome

    zeros = jax.tree.map(jnp.zeros_like, group.params)
    keys = jax.random.split(key, parts)
    (loss, grads), outcome = jax.lax.scan(
      add, (jnp.float32(0), zeros), (split, keys)
    )
    sums = jax.tree.map(functools.partial(jnp.sum, axis=0), outcome.parts)
    in_turn = jax.tree.map(
      lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]),
      (outcome.errors, outcome.reward),
    )
    return loss, grads, Outcome(sums, *in_turn)

  def look(group: train_state.Group, batch: Batch, step) -> _Look:
    """What a group sees in a batch; changes nothing."""
    key = jax.random.fold_in(group.key, step)
    told = {}
    if group.table is not None:
      batch, told = priority.draw(
        group.table, batch, config.plc, jax.random.fold_in(key, _DRAW)
      )
    loss, grads, outcome = whole_batch(group, batch, key)
    told |= {f"loss_{name}": part for name, part in outcome.parts.items()}
    real = batch["length"] > 0
    if outcome.reward is not None and (config.rl.loss or config.plc.pool):
      told |= reward.spread(outcome.reward, real)
    drawn = None
    if group.table is not None:
      drawn = (batch["example"], real, outcome.reward)
    return _Look(loss, grads, outcome.errors, drawn, told)

  def move(group: train_state.Group, seen: _Look, epoch, step, rate, applied):
    """The group one step further; bit-equal to itself if not `applied`."""
    params, opt_state = optimizer.apply(
      config.optim, group.params, group.opt_state, seen.grads, rate, applied
    )
    new = method.track(group.residuals, seen.errors, (step + 1) % epoch == 0)
    table = group.table
    if table is not None:
      table = priority.learn(table, *seen.drawn)
    residuals, table = jax.tree.map(
      lambda new, old: jnp.where(applied, new, old),
      (new, table),
      (group.residuals, group.table),
    )
    return group._replace(
      params=params, opt_state=opt_state, residuals=residuals, table=table
    )

  epochs = jnp.asarray(batches_per_epoch)
  learns = jnp.asarray(True)
  if trained is not None:  # one group a language, side by side
    learns = jnp.asarray(trained)
    look = jax.vmap(look, (0, 0, None), spmd_axis_name="language")
    move = jax.vmap(move, (0, 0, 0, None, None, 0), spmd_axis_name="language")

  def step(state: train_state.TrainState, batch: Batch):
    rate = optimizer.learning_rate(
      config.optim, config.steps, state.step, state.progress.plateau
    )
    seen = look(state.group, batch, state.step)
    # Guard before the update is kept, never after.
    gradient_norm = optax.tree.norm(seen.grads)
    finite = jnp.all(jnp.isfinite(seen.loss)) & jnp.isfinite(gradient_norm)
    progress = _judge(config, state, finite)
    applied = learns & finite & (progress.failed < 0)
    group = move(state.group, seen, epochs, state.step, rate, applied)
    new_state = state._replace(
      step=state.step + (progress.failed < 0),
      progress=progress,
      **group._asdict(),
    )
    metrics = {
      "loss": jnp.mean(seen.loss),
      "learning_rate": rate,
      "gradient_norm": gradient_norm,
      "parameter_norm": optax.tree.norm(new_state.params),
      "skipped": progress.skipped,
      "failed": progress.failed,
      **{name: jnp.mean(value) for name, value in seen.told.items()},
    }
    return new_state, metrics

  return jax.jit(step, donate_argnames="state", out_shardings=(placed, None))


def _judge(
  config: config_lib.Experiment,
  state: train_state.TrainState,
  finite: jax.Array,
) -> train_state.Progress:
  """What a finite or non-finite step means for the run."""
  progress = state.progress
  in_row = jnp.where(finite, 0, progress.skipped_in_row + 1)
  limit = config.non_finite_limit if config.non_finite == "skip" else 0
  fails = ~finite & (in_row > limit) & (progress.failed < 0)
  failed = jnp.where(fails, state.step, progress.failed)
  counted = ~finite & (failed < 0)
  return progress._replace(
    failed=failed,
    skipped=progress.skipped + counted,
    skipped_in_row=in_row,
  )
