"""Solvers of the flow from noise to clips (`models.flow_decoder`).

The times are equally far apart in log(t / (1 - t)), as in training, so that
both ends are followed closely: the first steps decide what a clip has of a
recording's own, the last its fast movement.
"""

import functools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from signllm_jax import config
from signllm_jax.core import hand_space
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data.pose_statistics import ClipNoise, PoseStatistics
from signllm_jax.models import flow_noise, visibility
from signllm_jax.models.flow_decoder import (
  LOGITS,
  Estimate,
  FlowDecoder,
  FlowSource,
)
from signllm_jax.models.flow_noise import FlowClip

_WIDEST = 4.0  # deviations of a log length
_OF_CLIP = 0  # in place of a frame's number, which counts from 1
_OF_LENGTHS = 2**31  # likewise, after all frames


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


def start(
  keys: jax.Array,
  length: jax.Array,
  frames: int,
  skeleton: Skeleton,
  statistics: ClipNoise,
  temperature: float = 1.0,
) -> FlowClip:
  """The noise [B, T, C] of clips of `length` [B] frames, whatever T is.

  The temperature multiplies what is common to the frames of a clip.
  """

  def draw(key: jax.Array, number: jax.Array | int, size: int) -> jax.Array:
    return jax.random.normal(jax.random.fold_in(key, number), (size,))

  of_frame = functools.partial(draw, size=skeleton.num_values + 1)
  of_clip = jax.vmap(of_frame, (None, 0))
  numbers = jnp.arange(_OF_CLIP, frames + 1)
  white = jax.vmap(of_clip, (0, None))(keys, numbers)
  lengths = jax.vmap(lambda key: draw(key, _OF_LENGTHS, skeleton.num_bones))(
    keys
  )
  common, single = temperature * white[:, :1, :-1], white[:, 1:, :-1]
  bursts = white[:, 1:, -1:]
  poses = flow_noise.colour(common, single, bursts, length, statistics)
  return FlowClip(poses, lengths)


def integrate(
  model: FlowDecoder,
  source: FlowSource,
  keys: jax.Array,
  length: jax.Array,
  frames: int,
  settings: Solver,
  statistics: PoseStatistics,
) -> tuple[jax.Array, jax.Array, jax.Array]:
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
    Normalised poses [B, T, C], which joints they show, [B, T, J] bool, and the
    lengths of their bones, [B, K] in canonical units.
  """
  assert statistics.noise is not None
  estimate = _estimator(model, source, length, settings.guidance)
  logits = jnp.linspace(*LOGITS, settings.steps)
  times = jax.nn.sigmoid(logits)
  skeleton = model.skeleton
  noise = statistics.noise
  drawn = start(keys, length, frames, skeleton, noise, settings.temperature)
  # Nothing is known of the clip at the first time; it is at the mean.
  first = jax.tree.map(lambda x: (1 - times[0]) * x, drawn)
  step = functools.partial(_step, lambda x, t: estimate(x, t).clip, settings)
  # Steps are equally long in logits; the first has none before it.
  known = jnp.arange(settings.steps - 1) > 0
  state = (first, jax.tree.map(jnp.zeros_like, first))
  (x, _), _ = jax.lax.scan(step, state, (times[:-1], times[1:], known))
  clip, visible = estimate(x, times[-1])
  shape = (*clip.poses.shape[:2], skeleton.num_joints)
  shown = (
    jnp.broadcast_to(statistics.seen, shape)
    if visible is None
    else visibility.shown(visible, statistics.seen, skeleton)
  )
  coordinates = clip.poses * noise.deviation + noise.centre
  joints = hand_space.from_hand_space(coordinates.reshape(*shape, -1), skeleton)
  poses = statistics.normalise(joints.reshape(clip.poses.shape))
  lengths = jnp.clip(clip.lengths, -_WIDEST, _WIDEST)
  centre, deviation = noise.lengths
  logs = centre + deviation * lengths
  return poses, shown, jnp.exp(logs)


def _step(
  estimate: Callable[[FlowClip, jax.Array], FlowClip],
  settings: Solver,
  state: tuple[FlowClip, FlowClip],
  inputs: tuple[jax.Array, jax.Array, jax.Array],
) -> tuple[tuple[FlowClip, FlowClip], None]:
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
  size = (following - time) / (1 - time)

  def move(clip: FlowClip) -> FlowClip:  # along the line from x_t to it
    return jax.tree.map(lambda x, clip: x + size * (clip - x), x, clip)

  clip = estimate(x, time)
  if settings.solver == "euler":
    return (move(clip), clip), None
  if settings.solver == "heun":
    end = move(clip)
    again = estimate(end, following)

    def mean(x, clip, end, again):
      first = (clip - x) / (1 - time)
      second = (again - end) / (1 - following)
      return x + (following - time) * (first + second) / 2

    return (jax.tree.map(mean, x, clip, end, again), clip), None
  # DPM-Solver++(2M), Lu et al. 2022, arXiv 2211.01095: the estimate in the
  # middle of the step, extrapolated from the last two.
  middle = jax.tree.map(
    lambda clip, before: clip + jnp.where(known, clip - before, 0) / 2,
    clip,
    before,
  )
  return (move(middle), clip), None


def _estimator(
  model: FlowDecoder, source: FlowSource, length: jax.Array, guidance: float
) -> Callable[[FlowClip, jax.Array], Estimate]:
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

  def estimate(x: FlowClip, time: jax.Array) -> Estimate:
    if guidance != 1:
      x = jax.tree.map(lambda part: jnp.concatenate([part, part]), x)
    times = jnp.broadcast_to(time, len(length))
    made = model.estimate(x, times, length, source, present)
    return jax.tree.map(mixed, made)

  return estimate
