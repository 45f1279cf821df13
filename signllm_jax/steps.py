"""The training step: a pure function of state and batch, compiled by shape."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from signllm_jax import config as config_lib
from signllm_jax import methods, optim
from signllm_jax import state as state_lib
from signllm_jax.methods.method import Batch, Known, Outcome

Metrics = dict[str, jax.Array]


def make_train_step(
  config: config_lib.Experiment,
  vocabulary: int,
  batches_per_epoch: int | np.ndarray,
  placed: Any,
  trained: np.ndarray | None = None,
  glosses: int = 0,
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
    glosses: number of gloss tokens, with `data.glosses`.

  A step whose loss or gradient is not finite changes no parameter. With
  `non_finite="stop"` nothing after it does either, and `progress.failed` holds
  its number; with "skip" it is counted, up to the limit in a row.
  """
  method = methods.of(config.method)
  graphdef = state_lib.graph(config, vocabulary, glosses)
  optimizer = optim.make_optimizer(config.optim)

  def loss_of(params, part: Batch, group: state_lib.Group, key, total):
    model = nnx.merge(graphdef, params)
    known = Known(group.statistics, group.residuals)
    return method.loss(config, model, part, known, key, total)

  gradient = jax.value_and_grad(loss_of, has_aux=True)

  def whole_batch(group: state_lib.Group, batch: Batch, key):
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
    flat = jax.tree.map(lambda x: x.reshape(-1, *x.shape[2:]), outcome.errors)
    return loss, grads, Outcome(sums, flat)

  def advance(group: state_lib.Group, batch: Batch, epoch, step, rate):
    """A group one step further, as if nothing could go wrong."""
    key = jax.random.fold_in(group.key, step)
    loss, grads, outcome = whole_batch(group, batch, key)
    updates, opt_state = optimizer.update(grads, group.opt_state, group.params)
    params = jax.tree.map(lambda p, u: p - rate * u, group.params, updates)
    residuals = method.track(
      group.residuals, outcome.errors, (step + 1) % epoch == 0
    )
    changed = group._replace(
      params=params, opt_state=opt_state, residuals=residuals
    )
    return changed, loss, optax.tree.norm(grads), outcome.parts

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
    new, loss, gradient_norm, parts = advance(
      old, batch, epochs, state.step, rate
    )

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
      **{f"loss_{name}": jnp.mean(part) for name, part in parts.items()},
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
