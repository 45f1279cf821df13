"""A Gaussian policy of poses, sampled free-running (section 6).

The state is the source and the frames so far, the action the next frame's
poses: a_t ~ N(mu_t, std^2), mu_t the model's. Nothing of the truth comes in but
its clock: while the policy learns, frame t of N has the counter t / N, so that
reward and pose are of the same moment. How long a sequence is, the regression
teaches. REINFORCE (Williams 1992), the mean of an example's other samples being
the baseline (Kool et al. 2019).
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
  """Sequences of poses, each frame following the sampled ones before it.

  Args:
    model: what decodes.
    source: what it attends to.
    counters: [B, T] of the frames.
    seen: [50] or [B, 50] bool; joints that no clip shows stay 0.
    std: of the policy, in normalised units.
    key: of the noise.

  Returns:
    [B, T, 150] normalised; nothing flows back through it.
  """
  b, t = counters.shape
  cells = jnp.repeat(seen, 3, axis=-1)

  def forward(carry, at):
    frame, caches = carry
    i, noise_key, counter = at
    frame, caches = model.step(frame, i, caches, source)
    noise = std * jax.random.normal(noise_key, (b, frame.shape[-1] - 1))
    action = jnp.where(cells, frame[:, :-1] + noise, 0)
    return (jnp.concatenate([action, counter[:, None]], -1), caches), action

  start = model.start_frames(b), model.empty_cache(b, t)
  along = jnp.arange(t), jax.random.split(key, t), counters.T
  _, actions = jax.lax.scan(forward, start, along)
  return jax.lax.stop_gradient(actions.swapaxes(0, 1))


def log_probabilities(
  model: PoseDecoder,
  source: Source,
  actions: jax.Array,
  counters: jax.Array,
  seen: jax.Array | np.ndarray,
  std: float,
) -> jax.Array:
  """The log of pi(a_t | s_t) of every frame, but for a constant: [B, T].

  One pass over whole sequences; equal to what `sample` drew from, without
  dropout.

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
  mean = model.decode(inputs, source)[..., : actions.shape[-1]]
  cells = jnp.repeat(seen, 3, axis=-1)[..., None, :]
  away = jnp.where(cells, actions - mean, 0)
  return -jnp.sum(away**2, -1) / (2 * std**2)


def advantages(returns: jax.Array) -> jax.Array:
  """Returns [S, ...] less the mean of the other samples' (S at least 2)."""
  count = len(returns)
  others = (jnp.sum(returns, 0) - returns) / (count - 1)
  return returns - others
