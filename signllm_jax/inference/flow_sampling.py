"""Samples clips from a generative decoder (`models.flow_decoder`).

A batch is sampled whole: the lengths come first, from the model's durations,
and then all frames at once. The noise of a clip depends on its draw alone, not
on the batch around it nor on the padding.
"""

import functools
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core import bones
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.inference import compiled_model, decoding, flow_solver
from signllm_jax.models import alignment
from signllm_jax.models.flow_decoder import FlowSource
from signllm_jax.parallel import sharding

_FIRST_FRAMES = 24  # of the shortest compiled program
_GROWTH = 1.5  # of the next ones
_MULTIPLE = 8


class Draw(NamedTuple):
  """What the randomness of a clip depends on."""

  seed: int
  index: int = 0  # of the text in its call
  sample: int = 0  # of the text


class Encoded(NamedTuple):
  """An encoded batch with the lengths of its clips."""

  source: FlowSource
  keys: jax.Array  # [B] of the noise
  length: jax.Array  # [B] int32 frames, at least 1
  ends: jax.Array  # [B, S] frame after each token's last


def draw_arrays(draws: Sequence[Draw], rows: int) -> dict[str, np.ndarray]:
  """Draws of a batch as arrays; rows of padding repeat the first."""
  listed = [*draws, *[draws[0]] * (rows - len(draws))]
  return {
    "seed": np.array([draw.seed % 2**32 for draw in listed], np.uint32),
    "index": np.array([draw.index for draw in listed], np.uint32),
    "sample": np.array([draw.sample for draw in listed], np.uint32),
  }


def _key(seed: jax.Array, index: jax.Array, sample: jax.Array) -> jax.Array:
  key = jax.random.fold_in(jax.random.key(0), seed)
  return jax.random.fold_in(jax.random.fold_in(key, index), sample)


@functools.partial(jax.jit, static_argnames="structure")
def encode(
  structure: compiled_model.Structure,
  leaves: list[jax.Array],
  inputs: tuple[jax.Array, ...],
  draws: dict[str, jax.Array],
) -> Encoded:
  """Encodes a batch and draws its lengths.

  Args:
    structure: of a `compiled_model.Model`.
    leaves: its parameters.
    inputs: as of `decoding.encode`.
    draws: of `draw_arrays`, on the devices.
  """
  model = structure.merge(leaves)
  source = model.project_memory(*model.encode(*inputs))
  keys = jax.vmap(_key)(draws["seed"], draws["index"], draws["sample"])
  deviation = jax.vmap(lambda key: jax.random.normal(key))(
    jax.vmap(jax.random.fold_in, (0, None))(keys, 0)
  )
  total = source.timeline.total * jnp.exp(source.spread * deviation)
  length = jnp.maximum(jnp.round(total), 1).astype(jnp.int32)
  line = alignment.stretch(source.timeline, length)
  return Encoded(source, keys, length, line.centres + line.durations / 2)


@functools.partial(jax.jit, static_argnames=("structure", "frames", "settings"))
def sample(
  structure: compiled_model.Structure,
  leaves: list[jax.Array],
  statistics: PoseStatistics,
  encoded: Encoded,
  frames: int,
  settings: flow_solver.Solver,
) -> tuple[jax.Array, jax.Array]:
  """Samples the clips of a batch.

  Args:
    structure: of a `compiled_model.Model`.
    leaves: its parameters.
    statistics: of the training poses.
    encoded: of `encode`.
    frames: at least the longest clip's.
    settings: of the solver.

  Returns:
    Poses [B, frames, J, D] in canonical units and which joints they show,
    [B, frames, J] bool; what follows the end of a clip is undefined.
  """
  model = structure.merge(leaves)
  poses, shown, lengths = flow_solver.integrate(
    model,
    encoded.source,
    encoded.keys,
    encoded.length,
    frames,
    settings,
    statistics,
  )
  skeleton = model.skeleton
  poses = decoding.restore(poses, shown, statistics, skeleton)
  if statistics.bones is not None:  # people differ: not the training's mean
    known = jnp.where(statistics.bones > 0, lengths, 0)
    of_limbs = known[:, None, skeleton.limb_bones]
    poses = bones.nearest(poses, of_limbs, shown, skeleton)
  return poses, shown


def frame_counts(limit: int) -> list[int]:
  """Numbers of frames of the compiled programs, the last at least `limit`."""
  counts = [_FIRST_FRAMES]
  while counts[-1] < limit:
    longer = int(counts[-1] * _GROWTH)
    counts.append(-(-longer // _MULTIPLE) * _MULTIPLE)
  return counts


def decode(
  model: compiled_model.Model,
  inputs: tuple[jax.Array, ...],
  draws: dict[str, jax.Array],
  limit: int,
  settings: flow_solver.Solver,
) -> Iterator[decoding.Chunk]:
  """Signs a batch of encoded texts, as `decoding.decode` does, in one chunk.

  Args:
    model: the model.
    inputs: as of `encode`.
    draws: as of `encode`.
    limit: frames after which every clip ends.
    settings: of the solver.
  """
  encoded = encode(model.structure, model.leaves, inputs, draws)
  wanted = sharding.to_host(encoded.length)
  longest = min(int(wanted.max()), limit)
  frames = next(n for n in frame_counts(limit) if n >= longest)
  poses, shown = _sample(model, encoded, frames, settings)
  # 0 says that the limit ends a clip.
  length = np.where(wanted <= limit, wanted, 0)
  poses, shown, ends = sharding.to_host((poses, shown, encoded.ends))
  yield decoding.Chunk(poses[:, :longest], shown[:, :longest], length, ends)


def warm_up(
  model: compiled_model.Model,
  inputs: tuple[jax.Array, ...],
  draws: dict[str, jax.Array],
  limit: int,
  settings: flow_solver.Solver,
) -> None:
  """Compiles the programs that `decode` needs for these inputs and limit."""
  encoded = encode(model.structure, model.leaves, inputs, draws)
  for frames in frame_counts(limit):
    _sample(model, encoded, frames, settings)


def _sample(
  model: compiled_model.Model,
  encoded: Encoded,
  frames: int,
  settings: flow_solver.Solver,
) -> tuple[jax.Array, jax.Array]:
  return sample(
    model.structure, model.leaves, model.statistics, encoded, frames, settings
  )
