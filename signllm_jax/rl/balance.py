"""The share that the policy's gradient has of a step."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from signllm_jax.config import Reinforce


class GradientParts(NamedTuple):
  """Gradients of one batch; trees as the parameters."""

  supervised: Any  # of the regression, and of the glosses if there are any
  policy: Any  # None without a policy


def combine(
  parts: GradientParts, config: Reinforce
) -> tuple[Any, dict[str, jax.Array]]:
  """Adds the gradients, the policy's no longer than its share.

  REINFORCE is noisy: its norm stands above that of the regression, and above
  `optim.clip_norm`, at every step. Clipped together, the regression would keep
  a small part of its step. With a ratio r of the norms it keeps at least
  1 / (1 + r).

  Args:
    parts: of the whole batch.
    config: `balance` is the largest ratio of the norms; 0: no limit.

  Returns:
    The gradient, and metrics.
  """
  if parts.policy is None:
    return parts.supervised, {}
  norm = optax.tree.norm(parts.policy)
  scale = jnp.float32(1)
  if config.balance:
    most = config.balance * optax.tree.norm(parts.supervised)
    scale = jnp.where(norm > most, most / jnp.maximum(norm, 1e-30), 1.0)
  total = jax.tree.map(
    lambda a, b: a + scale.astype(b.dtype) * b, parts.supervised, parts.policy
  )
  return total, {"policy_norm": norm, "policy_scale": scale}
