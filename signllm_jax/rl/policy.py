"""A Gaussian policy of poses, sampled free-running (section 6).

The state is the source and the frames so far; the action is the next frame's
pose: a_t ~ N(mu_t, std^2), where mu_t is the model's prediction. Of the truth
only the counter is given: in training, frame t of N has the counter t / N, so
that reward and pose belong to the same moment. The length of a sequence is
learnt by the regression alone. The gradient is REINFORCE (Williams 1992) with
the mean of an example's other samples as baseline (Kool et al. 2019).
"""

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.models.pose_decoder import PoseDecoder, Source


def sample(
  model: PoseDecoder,
  source: Source,
  counters: jax.Array,
  seen: jax.Array | np.ndarray,
  std: float,
  key: jax.Array,
) -> jax.Array:
  """Samples sequences of poses autoregressively.

  Args:
    model: the decoder.
    source: what it attends to.
    counters: [B, T] of the frames.
    seen: [50] or [B, 50] bool; joints that are valid in no clip stay 0.
    std: of the policy, in normalised units.
    key: of the noise.

  Returns:
    [B, T, 150] normalised; no gradient flows through it.
  """
  b, t = counters.shape
  cells = jnp.repeat(seen, 3, axis=-1)

  def step(carry, inputs):
    frame, caches = carry
    i, noise_key, counter = inputs
    predicted, caches = model.step(frame, i, caches, source)
    mean = predicted.frames[:, :-1]
    noise = std * jax.random.normal(noise_key, mean.shape)
    action = jnp.where(cells, mean + noise, 0)
    return (jnp.concatenate([action, counter[:, None]], -1), caches), action

  start = model.start_frames(b), model.empty_cache(b, t)
  inputs = jnp.arange(t), jax.random.split(key, t), counters.T
  _, actions = jax.lax.scan(step, start, inputs)
  return jax.lax.stop_gradient(actions.swapaxes(0, 1))


def log_probabilities(
  model: PoseDecoder,
  source: Source,
  actions: jax.Array,
  counters: jax.Array,
  seen: jax.Array | np.ndarray,
  std: float,
) -> jax.Array:
  """Log-probabilities log pi(a_t | s_t) up to a constant: [B, T].

  Computed in one teacher-forced pass, without dropout, from the distributions
  that `sample` drew from.

  Args:
    model: as of `sample`.
    source: as there.
    actions: [B, T, 150] of `sample`.
    counters: as there.
    seen: as there.
    std: as there.
  """
  taken = jnp.concatenate([actions, counters[..., None]], -1)
  start = model.start_frames(len(taken))
  inputs = jnp.concatenate([start[:, None], taken[:, :-1]], 1)
  mean = model.decode(inputs, source).frames[..., : actions.shape[-1]]
  cells = jnp.repeat(seen, 3, axis=-1)[..., None, :]
  deviation = jnp.where(cells, actions - mean, 0)
  return -jnp.sum(deviation**2, -1) / (2 * std**2)


def advantages(returns: jax.Array) -> jax.Array:
  """Returns [S, ...] minus the mean of the other samples' (S at least 2)."""
  count = len(returns)
  others = (jnp.sum(returns, 0) - returns) / (count - 1)
  return returns - others
