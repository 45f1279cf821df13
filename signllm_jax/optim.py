"""The optimiser and its schedules."""

import jax
import jax.numpy as jnp
import optax

from signllm_jax.config import Optim


def make_optimizer(config: Optim) -> optax.GradientTransformation:
  """Adam behind gradient clipping; the rate is applied by the step."""
  parts = [
    optax.clip_by_global_norm(config.clip_norm),
    optax.scale_by_adam(config.beta1, config.beta2),
  ]
  if config.weight_decay:
    parts.append(
      optax.add_decayed_weights(
        config.weight_decay,
        mask=lambda params: jax.tree.map(lambda p: p.ndim > 1, params),
      )
    )
  return optax.chain(*parts)


def learning_rate(
  config: Optim, steps: int, step: jax.Array, plateau: jax.Array
) -> jax.Array:
  """The rate of a step.

  Args:
    config: the schedule.
    steps: length of the run.
    step: [] int32, from 0.
    plateau: [] float32, share of the peak left by the plateau schedule.
  """
  warm = jnp.minimum((step + 1) / max(config.warmup_steps, 1), 1)
  rate = config.learning_rate * warm
  if config.schedule == "plateau":
    return rate * plateau
  if config.schedule == "cosine":
    span = max(steps - config.warmup_steps, 1)
    done = jnp.clip((step - config.warmup_steps) / span, 0, 1)
    falling = 0.5 * (1 + jnp.cos(jnp.pi * done))
    rate *= config.final_share + (1 - config.final_share) * falling
  return rate
