"""The training step: a pure function of state and batch, compiled by shape."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from signllm_jax import augment, optim
from signllm_jax import config as config_lib
from signllm_jax import state as state_lib
from signllm_jax.losses import pose as pose_loss

Batch = dict[str, jax.Array]
Metrics = dict[str, jax.Array]


def teacher_inputs(start: jax.Array, target: jax.Array) -> jax.Array:
  """The start frame, then all targets but the last: [B, T, 151]."""
  return jnp.concatenate([start[:, None], target[:, :-1]], 1)


def _targets(batch: Batch, statistics: state_lib.Statistics) -> jax.Array:
  """Normalised frames with counter; missing and padded cells are 0."""
  poses = statistics.normalize(batch["frames"])
  seen = jnp.repeat(batch["valid"], 3, axis=-1)
  return pose_loss.with_counter(jnp.where(seen, poses, 0), batch["length"])


def make_train_step(
  config: config_lib.Experiment,
  vocabulary: int,
  batches_per_epoch: int | np.ndarray,
  placed: Any,
  trained: np.ndarray | None = None,
) -> Callable[[state_lib.TrainState, Batch], tuple[Any, Metrics]]:
  """Builds `step(state, batch) -> (state, metrics)`; the state is donated.

  Args:
    config: the run.
    vocabulary: number of source tokens.
    batches_per_epoch: after as many steps the noise takes its new std; of each
      language, [L], in MLSF.
    placed: the state's shardings; without them XLA may replicate moments.
    trained: [L] bool, MLSF's groups that learn; all others stay bit-equal.
      None without stacked groups.

  A step whose loss or gradient is not finite changes no parameter. With
  `non_finite="stop"` nothing after it does either, and `progress.failed` holds
  its number; with "skip" it is counted, up to the limit in a row.
  """
  graphdef = state_lib.graph(config.model, vocabulary)
  optimizer = optim.make_optimizer(config.optim)

  def loss_of(params, part: Batch, group: state_lib.Group, key, cells):
    model = nnx.merge(graphdef, params)
    noise_key, dropout_key = jax.random.split(key)
    target = _targets(part, group.statistics)
    inputs = teacher_inputs(model.start_frames(len(target)), target)
    if config.augment.noise:
      inputs = augment.gaussian_noise(
        inputs,
        group.residuals,
        config.augment.noise,
        noise_key,
        counter=not config.model.alignment,
      )
    dropout_key = dropout_key if config.model.dropout else None
    produced = model(part["source"], inputs, dropout_key)
    weights = pose_loss.cell_weights(part["valid"], part["length"], config.loss)
    loss = pose_loss.regression(produced, target, weights, config.loss) / cells
    return loss, (produced - target, weights)

  gradient = jax.value_and_grad(loss_of, has_aux=True)

  def total_weight(batch: Batch) -> jax.Array:
    counter = config.loss.counter_weight * jnp.sum(batch["length"])
    return jnp.maximum(3.0 * jnp.sum(batch["valid"]) + counter, 1)

  def whole_batch(group: state_lib.Group, batch: Batch, key):
    cells = total_weight(batch)
    parts = config.optim.accumulate
    if parts == 1:
      (loss, (error, weights)), grads = gradient(
        group.params, batch, group, key, cells
      )
      return loss, grads, error, weights
    # Rows are dealt out in turn, so each part is spread over all devices.
    split = jax.tree.map(
      lambda x: x.reshape(-1, parts, *x.shape[1:]).swapaxes(0, 1), batch
    )

    def add(carry, part):
      loss, grads = carry
      (more, aux), extra = gradient(
        group.params, part[0], group, part[1], cells
      )
      return (loss + more, jax.tree.map(jnp.add, grads, extra)), aux

    zeros = jax.tree.map(jnp.zeros_like, group.params)
    keys = jax.random.split(key, parts)
    (loss, grads), (error, weights) = jax.lax.scan(
      add, (jnp.float32(0), zeros), (split, keys)
    )
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), (error, weights))
    return loss, grads, *flat

  def advance(group: state_lib.Group, batch: Batch, epoch, step, rate):
    """A group one step further, as if nothing could go wrong."""
    key = jax.random.fold_in(group.key, step)
    loss, grads, error, weights = whole_batch(group, batch, key)
    updates, opt_state = optimizer.update(grads, group.opt_state, group.params)
    params = jax.tree.map(lambda p, u: p - rate * u, group.params, updates)
    residuals = augment.track_residuals(
      group.residuals, error, weights, (step + 1) % epoch == 0
    )
    changed = group._replace(
      params=params, opt_state=opt_state, residuals=residuals
    )
    return changed, loss, optax.tree.norm(grads)

  epochs = jnp.asarray(batches_per_epoch)
  if trained is not None:  # one group a language, side by side
    advance = jax.vmap(
      advance, (0, 0, 0, None, None), spmd_axis_name="language"
    )

  def keep(applied: jax.Array, new: jax.Array, old: jax.Array) -> jax.Array:
    if trained is not None:
      learns = jnp.asarray(trained).reshape(-1, *[1] * (new.ndim - 1))
      applied = applied & learns
    return jnp.where(applied, new, old)

  def step(state: state_lib.TrainState, batch: Batch):
    rate = optim.learning_rate(
      config.optim, config.steps, state.step, state.progress.plateau
    )
    old = state.group
    new, loss, gradient_norm = advance(old, batch, epochs, state.step, rate)

    # Guard before the update is kept, never after.
    finite = jnp.all(jnp.isfinite(loss) & jnp.isfinite(gradient_norm))
    progress = _judge(config, state, finite)
    applied = finite & (progress.failed < 0)
    kept = {
      name: jax.tree.map(
        functools.partial(keep, applied), getattr(new, name), getattr(old, name)
      )
      for name in ("params", "opt_state", "residuals")
    }
    new_state = state._replace(
      step=state.step + (progress.failed < 0), progress=progress, **kept
    )
    metrics = {
      "loss": jnp.mean(loss),
      "learning_rate": rate,
      "gradient_norm": optax.tree.norm(gradient_norm),
      "parameter_norm": optax.tree.norm(new_state.params),
      "skipped": progress.skipped,
      "failed": progress.failed,
    }
    return new_state, metrics

  return jax.jit(step, donate_argnames="state", out_shardings=(placed, None))


def _judge(
  config: config_lib.Experiment,
  state: state_lib.TrainState,
  finite: jax.Array,
) -> state_lib.Progress:
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
