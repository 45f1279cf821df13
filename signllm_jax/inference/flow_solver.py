"""Solvers of the flow from noise to clips (`models.flow_decoder`).

The times are equally far apart in log(t / (1 - t)), so that both ends are
followed closely: the first steps decide what a clip has of a recording's own,
the last its fast movement.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax import config
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.models import flow_noise, hand_space, visibility
from signllm_jax.models.flow_decoder import FlowDecoder, FlowSource

_LOGITS = (-4.0, 2.5)  # of the first and last time; the estimate there is the
# clip
_OF_CLIP = 0  # in place of a frame's number, which counts from 1


class Solver(NamedTuple):
  """How the path from noise to clip is followed; fields of `config.Flow`."""

  steps: int
  solver: str
  guidance: float
  temperature: float = 1.0

  @classmethod
  def of(cls, settings: config.Flow) -> "Solver":
    """The solver of a configuration."""
    return cls(
      settings.steps,
      settings.solver,
      settings.guidance,
      settings.temperature,
    )


def white_noise(
  keys: jax.Array, frames: int, size: int, temperature: float = 1.0
) -> jax.Array:
  """Noise [B, T, size] for `colour`; a frame's does not depend on T."""

  def of_frame(key: jax.Array, frame: jax.Array) -> jax.Array:
    return jax.random.normal(jax.random.fold_in(key, frame), (size,))

  of_clip = jax.vmap(of_frame, (None, 0))
  numbers = jnp.arange(_OF_CLIP, frames + 1)
  white = jax.vmap(of_clip, (0, None))(keys, numbers)
  return flow_noise.mix(temperature * white[:, :1], white[:, 1:])


def integrate(
  model: FlowDecoder,
  source: FlowSource,
  keys: jax.Array,
  length: jax.Array,
  frames: int,
  settings: Solver,
  statistics: PoseStatistics,
) -> tuple[jax.Array, jax.Array]:
  """Follows the flow from noise to clips.

  Args:
    model: the decoder.
    source: of its `project_memory`.
    keys: [B] of the noise.
    length: [B] frames.
    frames: T, at least the longest.
    settings: of the solver.
    statistics: of the training poses.

  Returns:
    Normalised poses [B, T, C] and which joints they show, [B, T, J] bool.
  """
  estimate = _estimator(model, source, length, settings.guidance)
  logits = jnp.linspace(*_LOGITS, settings.steps)
  # Nothing is known of the clip at the first time; it stands for time 0.
  times = jax.nn.sigmoid(logits).at[0].set(0.0)
  assert statistics.noise is not None
  skeleton = model.skeleton
  white = white_noise(keys, frames, skeleton.num_values, settings.temperature)
  noise = flow_noise.colour(white, statistics.noise)
  step = functools.partial(_step, lambda x, t: estimate(x, t)[0], settings)
  # Steps are equally long in logits; the first has none before it.
  known = jnp.arange(settings.steps - 1) > 0
  start = (noise, jnp.zeros_like(noise))
  (x, _), _ = jax.lax.scan(step, start, (times[:-1], times[1:], known))
  clip, visible = estimate(x, times[-1])
  shape = (*clip.shape[:2], skeleton.num_joints)
  shown = (
    jnp.broadcast_to(statistics.seen, shape)
    if visible is None
    else visibility.shown(visible, statistics.seen, skeleton)
  )
  joints = hand_space.from_hand_space(clip.reshape(*shape, -1), skeleton)
  return joints.reshape(clip.shape), shown


def _step(
  estimate: Callable[[jax.Array, jax.Array], jax.Array],
  settings: Solver,
  state: tuple[jax.Array, jax.Array],
  inputs: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[tuple[jax.Array, jax.Array], None]:
  """A step of the solver, from one time to the next.

  Args:
    estimate: x_1 from x_t and t.
    settings: of the solver.
    state: x_t and the estimate of the step before.
    inputs: the time, the next time and whether there was a step before.

  Returns:
    The next state, for `jax.lax.scan`.
  """
  (x, before), (time, following, known) = state, inputs

  def move(clip: jax.Array) -> jax.Array:  # along the line from x_t to it
    return x + (following - time) / (1 - time) * (clip - x)

  clip = estimate(x, time)
  if settings.solver == "euler":
    return (move(clip), clip), None
  if settings.solver == "heun":
    end = move(clip)
    first = (clip - x) / (1 - time)
    second = (estimate(end, following) - end) / (1 - following)
    return (x + (following - time) * (first + second) / 2, clip), None
  # DPM-Solver++(2M), Lu et al. 2022, arXiv 2211.01095: the estimate in the
  # middle of the step, extrapolated from the last two.
  middle = clip + jnp.where(known, clip - before, 0) / 2
  return (move(middle), clip), None


def _estimator(
  model: FlowDecoder, source: FlowSource, length: jax.Array, guidance: float
) -> Callable[[jax.Array, jax.Array], tuple[jax.Array, jax.Array | None]]:
  """Builds `estimate(x_t, t)`: clips and visibility, guided by the source."""
  rows = len(length)
  if guidance == 1:
    present = jnp.ones(rows, bool)
  else:  # conditional rows, then the same rows without their source
    source, length = jax.tree.map(
      lambda x: jnp.concatenate([x, x]), (source, length)
    )
    present = jnp.arange(2 * rows) < rows

  def mixed(x: jax.Array) -> jax.Array:
    return x if guidance == 1 else x[rows:] + guidance * (x[:rows] - x[rows:])

  def estimate(
    x: jax.Array, time: jax.Array
  ) -> tuple[jax.Array, jax.Array | None]:
    if guidance != 1:
      x = jnp.concatenate([x, x])
    times = jnp.broadcast_to(time, len(x))
    made = model.estimate(x, times, length, source, present)
    visible = None if made.visible is None else mixed(made.visible)
    return mixed(made.frames), visible

  return estimate
