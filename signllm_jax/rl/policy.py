"""A Gaussian policy of poses, sampled free-running (section 6).

The state is the source and the frames so far; the action is the next frame's
pose: a_t ~ N(mu_t, std^2), where mu_t is the model's prediction. The gradient
is REINFORCE (Williams 1992) with the mean of an example's other samples as
baseline (Kool et al. 2019). Durations belong to the state, not to the action:
no gradient of the policy reaches them.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.models.pose_decoder import PoseDecoder, Source


class Clock(NamedTuple):
  """The time of sampled sequences."""

  counters: jax.Array  # [B, T] of the frames that come out
  length: jax.Array  # [B] frames


class Samples(NamedTuple):
  """Sampled sequences; no gradient flows through them."""

  actions: jax.Array  # [B, T, C] normalised poses
  clock: Clock


def hold_durations(source: Source, whole: bool) -> Source:
  """Returns the source with durations that have no gradient.

  Args:
    source: of `PoseDecoder.project_memory`.
    whole: round the length to whole frames, for free running.
  """
  line = source.timeline
  if line is None:
    return source
  held = jax.lax.stop_gradient(line)
  pace = held.pace
  if whole:
    pace = 1 / jnp.maximum(jnp.round(held.total), 1)
  return source._replace(timeline=held._replace(states=line.states, pace=pace))


def own_clock(source: Source, frames: int) -> Clock | None:
  """The clock of the model's own durations; None if it has none.

  Args:
    source: of `hold_durations`, in whole frames.
    frames: T, the longest sequence; longer ones are cut there.
  """
  line = source.timeline
  if line is None:
    return None
  counters = jnp.arange(1, frames + 1) * line.pace[:, None]
  length = jnp.clip(jnp.round(line.total), 1, frames).astype(jnp.int32)
  return Clock(jnp.minimum(counters, 1), length)


def sample(
  model: PoseDecoder,
  source: Source,
  clock: Clock | int,
  seen: jax.Array | np.ndarray,
  std: float,
  key: jax.Array,
) -> Samples:
  """Samples sequences of poses autoregressively.

  Args:
    model: the decoder.
    source: what it attends to.
    clock: of the sequences; or T, the most frames of sequences that follow the
      counters that the model predicts.
    seen: [J] or [B, J] bool; joints that are valid in no clip stay 0.
    std: of the policy, in normalised units.
    key: of the noise.
  """
  given = clock.counters if isinstance(clock, Clock) else None
  t = clock if isinstance(clock, int) else clock.counters.shape[1]
  b = len(source.mask)
  cells = jnp.repeat(seen, model.skeleton.dims, axis=-1)

  def step(carry, inputs):
    frame, caches = carry
    i, noise_key, counter = inputs
    predicted, caches = model.step(frame, i, caches, source)
    frame = predicted.frames
    noise = std * jax.random.normal(noise_key, (b, model.skeleton.num_values))
    action = jnp.where(cells, frame[:, :-1] + noise, 0)
    if counter is None:
      counter = jnp.clip(frame[:, -1], 0, 1)
    frame = jnp.concatenate([action, counter[:, None]], -1)
    return (frame, caches), (action, counter)

  start = model.start_frames(b), model.empty_cache(b, t)
  counters = None if given is None else given.T
  inputs = jnp.arange(t), jax.random.split(key, t), counters
  _, made = jax.lax.scan(step, start, inputs)
  actions, counters = (x.swapaxes(0, 1) for x in jax.lax.stop_gradient(made))
  if isinstance(clock, int):
    # As `inference.decoding`: frame n with counter c ends n / c frames.
    n = jnp.arange(1, t + 1)
    ended = (n + 0.5) * counters >= n
    first = jnp.argmax(ended, 1) + 1
    clock = Clock(counters, jnp.where(jnp.any(ended, 1), first, t))
  return Samples(actions, clock)


class Means(NamedTuple):
  """What the model predicts for sampled sequences."""

  poses: jax.Array  # [B, T, C], the means of the distributions of `sample`
  visible: jax.Array | None  # [B, T, J] logits, without gradient


def means(model: PoseDecoder, source: Source, samples: Samples) -> Means:
  """Predicts sampled sequences in one pass, without dropout.

  Args:
    model: as of `sample`.
    source: as there.
    samples: of it. With `just_counter` only its clock matters.
  """
  actions, counters = samples.actions, samples.clock.counters
  taken = jnp.concatenate([actions, counters[..., None]], -1)
  start = model.start_frames(len(taken))
  inputs = jnp.concatenate([start[:, None], taken[:, :-1]], 1)
  predicted = model.decode(inputs, source)
  poses = predicted.frames[..., : model.skeleton.num_values]
  return Means(poses, jax.lax.stop_gradient(predicted.visible))


def log_probabilities(
  actions: jax.Array,
  mean: jax.Array,
  seen: jax.Array | np.ndarray,
  std: float,
) -> jax.Array:
  """Log-probabilities of the joints' actions up to a constant: [..., T, J].

  Their sum over the joints is log pi(a_t | s_t).

  Args:
    actions: [..., T, C].
    mean: [..., T, C] of `means`.
    seen: [J] or [B, J] bool, as of `sample`.
    std: as there.
  """
  joints = np.shape(seen)[-1]
  deviation = (actions - mean).reshape(*actions.shape[:-1], joints, -1)
  squares = jnp.sum(deviation**2, -1) / (2 * std**2)
  return -jnp.where(jnp.asarray(seen)[..., None, :], squares, 0)


def advantages(returns: jax.Array) -> jax.Array:
  """Returns [S, ...] minus the mean of the other samples' (S at least 2)."""
  count = len(returns)
  others = (jnp.sum(returns, 0) - returns) / (count - 1)
  return returns - others
