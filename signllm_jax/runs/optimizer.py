"""The optimiser and its schedules."""

from typing import Any

import jax
import jax.numpy as jnp
import optax

from signllm_jax.config import Optim
from signllm_jax.runs import muon

_BETA1, _EPSILON = 0.9, 1e-8  # of Adam
_FINAL_RATE = 0.01  # where the cosine schedule ends, as a share of the peak


def make_optimizer(config: Optim) -> optax.GradientTransformation:
  """Builds Adam or Muon after clipping; `apply` takes its state."""
  adam = optax.scale_by_adam(_BETA1, config.beta2, _EPSILON)
  parts = [
    optax.clip_by_global_norm(config.clip_norm),
    muon.scale_by_muon(adam) if config.kind == "muon" else adam,
  ]
  if config.weight_decay:
    parts.append(
      optax.add_decayed_weights(
        config.weight_decay,
        mask=lambda params: jax.tree.map(_decays, params),
      )
    )
  return optax.chain(*parts)


def apply(
  config: Optim,
  params: Any,
  opt_state: Any,
  grads: Any,
  rate: jax.Array,
  applied: jax.Array,
) -> tuple[Any, Any]:
  """Applies a step of `make_optimizer`, or none.

  With Adam each number is read once.
  With a small batch most of a step's time is memory traffic, and most of that
  is in the optimiser. With optax, XLA reads gradients and moments again for the
  parameters, copies the moments that it overwrites, and reads all of them once
  more to select old or new values: twice the traffic. Here scalars select, and
  the moments are divided, an operation that XLA does not repeat for the
  parameters: it reads the moments that were written.

  Args:
    config: the constants.
    params: tree of arrays.
    opt_state: of `make_optimizer`.
    grads: tree like params.
    rate: [] learning rate.
    applied: [] bool; if False, the results are bit-equal to the arguments,
      whatever the gradients are.

  Returns:
    Parameters and optimiser state.
  """
  if config.kind == "muon":
    return _apply_optax(config, params, opt_state, grads, rate, applied)
  norm = optax.tree.norm(grads)
  clip, adam, *rest = opt_state
  scale = jnp.where(norm < config.clip_norm, 1.0, config.clip_norm / norm)
  count = optax.safe_increment(adam.count)

  def moments(order: int, beta: float, old: Any) -> Any:
    def update(moment, gradient):
      new = beta * moment + (1 - beta) * (scale * gradient) ** order
      return jnp.where(applied, new, moment)

    return jax.tree.map(update, old, grads)

  mu = moments(1, _BETA1, adam.mu)
  nu = moments(2, config.beta2, adam.nu)
  unbias = [1 - b**count for b in (_BETA1, config.beta2)]
  rate = jnp.where(applied, rate, 0.0)

  def update(param, first, second):
    first, second = first / unbias[0], second / unbias[1]
    change = first / (jnp.sqrt(second) + _EPSILON)
    if config.weight_decay and _decays(param):
      change = change + config.weight_decay * param
    return param - rate * change

  params = jax.tree.map(update, params, mu, nu)
  count = jnp.where(applied, count, adam.count)
  return params, (clip, adam._replace(count=count, mu=mu, nu=nu), *rest)


def _apply_optax(
  config: Optim,
  params: Any,
  opt_state: Any,
  grads: Any,
  rate: jax.Array,
  applied: jax.Array,
) -> tuple[Any, Any]:
  """As `apply`, with optax."""
  changes, new_state = make_optimizer(config).update(grads, opt_state, params)

  def select(new: jax.Array, old: jax.Array) -> jax.Array:
    return jnp.where(applied, new, old)

  params = jax.tree.map(
    lambda param, change: select(param - rate * change, param), params, changes
  )
  return params, jax.tree.map(select, new_state, opt_state)


def update_average(
  config: Optim,
  average: Any,
  params: Any,
  step: jax.Array,
  applied: jax.Array,
) -> Any:
  """Updates an exponential moving average of the parameters.

  The decay is min(config.ema, (1 + step) / (10 + step)): early on, the average
  forgets the initial weights.

  Args:
    config: the decay.
    average: tree of float32 arrays, before the step; the initial parameters
      before step 0.
    params: tree like it, after the step.
    step: [] int32, from 0.
    applied: [] bool; if False, the result is bit-equal to `average`.
  """
  decay = jnp.minimum(config.ema, (1 + step) / (10 + step))
  return jax.tree.map(
    lambda old, new: jnp.where(applied, decay * old + (1 - decay) * new, old),
    average,
    params,
  )


def learning_rate(
  config: Optim, steps: int, step: jax.Array, plateau: jax.Array
) -> jax.Array:
  """Computes the learning rate of a step.

  Args:
    config: the schedule.
    steps: length of the run.
    step: [] int32, from 0.
    plateau: [] float32, share of the peak left by the plateau schedule.
  """
  warmup = jnp.minimum((step + 1) / max(config.warmup_steps, 1), 1)
  rate = config.learning_rate * warmup
  if config.schedule == "plateau":
    return rate * plateau
  if config.schedule == "cosine":
    span = max(steps - config.warmup_steps, 1)
    done = jnp.clip((step - config.warmup_steps) / span, 0, 1)
    falling = 0.5 * (1 + jnp.cos(jnp.pi * done))
    rate *= _FINAL_RATE + (1 - _FINAL_RATE) * falling
  return rate


def _decays(param: Any) -> bool:
  """Whether weight decay applies to a parameter: to matrices only."""
  return param.ndim > 1
