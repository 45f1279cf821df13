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
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.data.batch import Batch
from signllm_jax.rl import balance, priority, reward
from signllm_jax.rl.balance import GradientParts
from signllm_jax.rl.recognition import TextReader
from signllm_jax.runs import optimizer, train_state
from signllm_jax.tasks.task import LossContext, LossOutput

Metrics = dict[str, jax.Array]

_DRAW = 1  # folded into a step's key for the choice of samples


class Gradients(NamedTuple):
  """Loss, gradients and statistics of one batch."""

  loss: jax.Array  # []
  grads: Any  # as the parameters
  errors: tuple[jax.Array, ...]  # of `LossOutput`
  rewards: Any  # ids, mask and rewards, for `priority.update`; None without plc
  metrics: Metrics


def make_train_step(
  config: config_lib.Experiment,
  sizes: sizes_lib.Sizes,
  batches_per_epoch: int | np.ndarray,
  shardings: Any,
  trainable: np.ndarray | None = None,
  reader: TextReader | None = None,
) -> Callable[[train_state.TrainState, Batch], tuple[Any, Metrics]]:
  """Builds `step(state, batch) -> (state, metrics)`; the state is donated.

  A step whose loss or gradient is not finite changes no parameter. With
  `non_finite="stop"` no later step does either, and `progress.failed` holds
  its number; with "skip" it is counted, up to the limit in a row. With `plc` a
  batch is a pool of candidates, from which the step draws its rows.

  Args:
    config: the run.
    sizes: of the data.
    batches_per_epoch: number of steps after which the noise takes a new std;
      [L], of each language, in MLSF.
    shardings: of the state; without them XLA may replicate the moments.
    trainable: [L] bool, MLSF's groups that learn; the others stay bit-equal.
      None without stacked groups.
    reader: of the reward "recognition".
  """
  stacked = trainable is not None  # one group a language, side by side
  compute_gradients = make_gradients(config, sizes, stacked, reader)
  apply_update = functools.partial(_apply_update, config)
  epochs = jnp.asarray(batches_per_epoch)
  learns = jnp.asarray(True if trainable is None else trainable)
  if stacked:
    apply_update = jax.vmap(
      apply_update, (0, 0, 0, None, None, 0), spmd_axis_name="language"
    )

  def step(state: train_state.TrainState, batch: Batch):
    rate = optimizer.learning_rate(
      config.optim, config.steps, state.step, state.progress.plateau
    )
    computed = compute_gradients(state.group, batch, state.step)
    # The guard comes before the update is kept, never after.
    gradient_norm = optax.tree.norm(computed.grads)
    finite = jnp.all(jnp.isfinite(computed.loss)) & jnp.isfinite(gradient_norm)
    progress = _count_non_finite(config, state, finite)
    applied = learns & finite & (progress.failed < 0)
    group = apply_update(
      state.group, computed, epochs, state.step, rate, applied
    )
    new_state = state._replace(
      step=state.step + (progress.failed < 0),
      progress=progress,
      **group._asdict(),
    )
    return new_state, _step_metrics(computed, new_state, rate, gradient_norm)

  return jax.jit(step, donate_argnames="state", out_shardings=(shardings, None))


def make_gradients(
  config: config_lib.Experiment,
  sizes: sizes_lib.Sizes,
  stacked: bool,
  reader: TextReader | None = None,
) -> Callable[[train_state.Group, Batch, jax.Array], Gradients]:
  """Builds the function of group, batch and step that a step begins with.

  Args:
    config: the run.
    sizes: of the data.
    stacked: whether groups and batches have a leading axis of languages.
    reader: of the reward "recognition".
  """
  compute_gradients = functools.partial(
    _compute_gradients, config, _loss_and_gradient(config, sizes, reader)
  )
  if not stacked:
    return compute_gradients
  return jax.vmap(compute_gradients, (0, 0, None), spmd_axis_name="language")


def _step_metrics(
  computed: Gradients,
  state: train_state.TrainState,
  rate: jax.Array,
  gradient_norm: jax.Array,
) -> Metrics:
  """Metrics of a step, means over stacked groups."""
  return {
    "loss": jnp.mean(computed.loss),
    "learning_rate": rate,
    "gradient_norm": gradient_norm,
    "parameter_norm": optax.tree.norm(state.params),
    "skipped": state.progress.skipped,
    "failed": state.progress.failed,
    **{name: jnp.mean(value) for name, value in computed.metrics.items()},
  }


def _loss_and_gradient(
  config: config_lib.Experiment,
  sizes: sizes_lib.Sizes,
  reader: TextReader | None,
) -> Callable[..., tuple[tuple[jax.Array, LossOutput], GradientParts]]:
  """Builds the loss of a micro-batch with its gradients by the parameters."""
  task = tasks.get_task(config.task)
  graphdef = train_state.graph(config, sizes)

  def loss(
    params, batch: Batch, group: train_state.Group, key, denominator
  ) -> tuple[jax.Array, LossOutput]:
    model = nnx.merge(graphdef, params)
    context = LossContext(group.statistics, group.residuals, reader)
    return task.loss(config, model, batch, context, key, denominator)

  def of_policy(*arguments) -> jax.Array:
    policy = loss(*arguments)[1].policy
    assert policy is not None
    return policy

  def parts(*arguments):
    (value, output), supervised = jax.value_and_grad(loss, has_aux=True)(
      *arguments
    )
    if output.policy is None:
      return (value, output), GradientParts(supervised, None)
    # XLA computes once what both have in common.
    policy = jax.grad(of_policy)(*arguments)
    joint = value + output.policy
    return (joint, output), GradientParts(supervised, policy)

  return parts


def _compute_gradients(
  config: config_lib.Experiment,
  loss_and_gradient: Callable[
    ..., tuple[tuple[jax.Array, LossOutput], GradientParts]
  ],
  group: train_state.Group,
  batch: Batch,
  step: jax.Array,
) -> Gradients:
  """Draws the rows of a batch, if `plc` does, and computes its gradients."""
  key = jax.random.fold_in(group.key, step)
  metrics = {}
  if group.table is not None:
    batch, told = priority.draw(
      group.table, batch, config.plc, jax.random.fold_in(key, _DRAW)
    )
    metrics = {f"sampling_{name}": value for name, value in told.items()}
  loss, parts, output = _accumulate(
    config, loss_and_gradient, group, batch, key
  )
  grads, shares = balance.combine(parts, config.rl)
  metrics |= shares
  metrics |= {f"loss_{name}": term for name, term in output.terms.items()}
  real = batch["length"] > 0
  if output.reward is not None and (config.rl.loss or config.plc.pool):
    metrics |= reward.quantiles(output.reward, real)
  rewards = None
  if group.table is not None:
    rewards = (batch["example"], real, output.reward)
  return Gradients(loss, grads, output.errors, rewards, metrics)


def _accumulate(
  config: config_lib.Experiment,
  loss_and_gradient: Callable[
    ..., tuple[tuple[jax.Array, LossOutput], GradientParts]
  ],
  group: train_state.Group,
  batch: Batch,
  key: jax.Array,
) -> tuple[jax.Array, GradientParts, LossOutput]:
  """Sums loss, gradients and terms over the micro-batches of a batch."""
  denominator = tasks.get_task(config.task).loss_denominator(config, batch)
  count = config.optim.accumulate
  if count == 1:
    (loss, output), grads = loss_and_gradient(
      group.params, batch, group, key, denominator
    )
    return loss, grads, output
  # Rows are dealt out in turn, so each micro-batch is spread over all devices.
  split = jax.tree.map(
    lambda x: x.reshape(-1, count, *x.shape[1:]).swapaxes(0, 1), batch
  )

  def add(carry, inputs):
    loss, grads = carry
    micro_batch, key = inputs
    (term, output), gradient = loss_and_gradient(
      group.params, micro_batch, group, key, denominator
    )
    return (loss + term, jax.tree.map(jnp.add, grads, gradient)), output

  zeros = jax.tree.map(jnp.zeros_like, group.params)
  learns_policy = config.rl.loss == "policy_gradient"
  zeros = GradientParts(zeros, zeros if learns_policy else None)
  keys = jax.random.split(key, count)
  (loss, grads), output = jax.lax.scan(
    add, (jnp.float32(0), zeros), (split, keys)
  )
  terms = jax.tree.map(functools.partial(jnp.sum, axis=0), output.terms)
  in_order = jax.tree.map(
    lambda x: x.swapaxes(0, 1).reshape(-1, *x.shape[2:]),
    (output.errors, output.reward),
  )
  return loss, grads, LossOutput(terms, *in_order)


def _apply_update(
  config: config_lib.Experiment,
  group: train_state.Group,
  computed: Gradients,
  epoch: jax.Array,
  step: jax.Array,
  rate: jax.Array,
  applied: jax.Array,
) -> train_state.Group:
  """Returns the group after a step; bit-equal to before if not `applied`."""
  params, opt_state = optimizer.apply(
    config.optim, group.params, group.opt_state, computed.grads, rate, applied
  )
  ema = group.ema
  if ema is not None:
    ema = optimizer.update_average(config.optim, ema, params, step, applied)
  residuals = tasks.get_task(config.task).update_residuals(
    group.residuals, computed.errors, (step + 1) % epoch == 0
  )
  table = group.table
  if table is not None:
    table = priority.update(table, *computed.rewards)
  residuals, table = jax.tree.map(
    lambda new, old: jnp.where(applied, new, old),
    (residuals, table),
    (group.residuals, group.table),
  )
  return group._replace(
    params=params,
    opt_state=opt_state,
    residuals=residuals,
    table=table,
    ema=ema,
  )


def _count_non_finite(
  config: config_lib.Experiment,
  state: train_state.TrainState,
  finite: jax.Array,
) -> train_state.Progress:
  """Counts a step that is not finite; over the limit it fails the run."""
  progress = state.progress
  in_row = jnp.where(finite, 0, progress.skipped_in_row + 1)
  limit = config.non_finite_limit if config.non_finite == "skip" else 0
  fails = ~finite & (in_row > limit) & (progress.failed < 0)
  failed = jnp.where(fails, state.step, progress.failed)
  skipped = ~finite & (failed < 0)
  return progress._replace(
    failed=failed,
    skipped=progress.skipped + skipped,
    skipped_in_row=in_row,
  )
