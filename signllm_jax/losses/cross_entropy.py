"""Cross-entropy over tokens."""

import jax
import jax.numpy as jnp


def cross_entropy(
  logits: jax.Array, target: jax.Array, smoothing: float
) -> jax.Array:
  """Cross-entropy of each token, with label smoothing (Szegedy et al. 2016).

  Args:
    logits: [B, U, V].
    target: [B, U] ids.
    smoothing: probability that is spread uniformly over all tokens.

  Returns:
    [B, U].
  """
  log_p = jax.nn.log_softmax(logits)
  target_log_p = jnp.take_along_axis(log_p, target[..., None], -1)[..., 0]
  return -(1 - smoothing) * target_log_p - smoothing * jnp.mean(log_p, -1)
