"""Cross-entropy of tokens."""

import jax
import jax.numpy as jnp


def cross_entropy(
  logits: jax.Array, target: jax.Array, smoothing: float
) -> jax.Array:
  """Of each token, with label smoothing (Szegedy et al. 2016).

  Args:
    logits: [B, U, V].
    target: [B, U] ids.
    smoothing: share of the probability that is spread over all tokens.

  Returns:
    [B, U].
  """
  log_p = jax.nn.log_softmax(logits)
  true = jnp.take_along_axis(log_p, target[..., None], -1)[..., 0]
  return -(1 - smoothing) * true - smoothing * jnp.mean(log_p, -1)
