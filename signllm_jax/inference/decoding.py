"""Free-running decoding in compiled chunks of frames, with cached attention.

Between chunks the state stays on the device and is donated. The cache starts
small and grows by 64 frames, later by a quarter, when it is full: every frame
attends over the whole cache, so little of it should be empty, and few programs
should be compiled.
"""

import functools
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.inference import compiled_model, pt_protocol
from signllm_jax.models import layers, visibility
from signllm_jax.models.pose_decoder import PoseDecoder, Source
from signllm_jax.parallel import sharding

CACHE_FRAMES = 64  # of the first cache; later ones hold a multiple
CHUNK_FRAMES = CACHE_FRAMES // 2  # frames that come at once


class Noise(NamedTuple):
  """Gaussian noise on the poses: the policy of `rl.policy`."""

  std: jax.Array | np.ndarray  # [] in normalised units
  key: jax.Array


class Chunk(NamedTuple):
  """The next frames of a batch, on the host, in canonical units."""

  frames: Any  # [B, n, J, D]; undefined after the end of a sequence
  valid: Any  # [B, n, J] bool, joints that are shown
  length: Any  # [B] frames of each sequence; 0 while it goes on
  ends: Any  # [B, S] frame after each token's last, if known


class DecoderState(NamedTuple):
  """A batch between two frames."""

  at: jax.Array  # [] frames done
  frame: jax.Array  # [B, C + 1] that comes in next
  caches: tuple[layers.Cache, ...]
  length: jax.Array  # [B] 0 while a sequence goes on


class EncodedBatch(NamedTuple):
  """An encoded batch, before its first frame."""

  source: Source
  state: DecoderState
  ends: jax.Array | None  # of `Chunk`


@functools.partial(jax.jit, static_argnames="structure")
def encode(
  structure: compiled_model.Structure,
  leaves: list[jax.Array],
  inputs: tuple[jax.Array, ...],
) -> EncodedBatch:
  """Encodes a batch.

  Args:
    structure: of a `compiled_model.Model`.
    leaves: its parameters.
    inputs: of the model's `encode`: ids [B, S] of the source and, for
      Text2LangGloss, ids [B, G] of its gloss.
  """
  model = structure.merge(leaves)
  batch = len(inputs[0])
  source = model.project_memory(*model.encode(*inputs), whole=True)
  ends = None
  if source.timeline is not None:
    line = source.timeline
    # Frame t starts from the counter t * pace, which is this place in time.
    step = (line.pace * line.total)[:, None]
    ends = (line.centres + line.durations / 2) / step
  state = DecoderState(
    jnp.int32(0),
    model.start_frames(batch),
    model.empty_cache(batch, CACHE_FRAMES),
    jnp.zeros(batch, jnp.int32),
  )
  return EncodedBatch(source, state, ends)


@functools.partial(
  jax.jit, static_argnames="structure", donate_argnames="state"
)
def decode_chunk(
  structure: compiled_model.Structure,
  leaves: list[jax.Array],
  statistics: PoseStatistics,
  source: Source,
  state: DecoderState,
  limit: jax.Array,
  mode: pt_protocol.PTProtocol | Noise | None,
) -> tuple[DecoderState, jax.Array, jax.Array]:
  """The next `CHUNK_FRAMES` frames.

  Args:
    structure: of a `compiled_model.Model`.
    leaves: its parameters.
    statistics: of the training poses.
    source: of `encode`.
    state: of `encode` or of the chunk before; its cache has room for one more.
    limit: [] frames after which every sequence ends.
    mode: None for free running; the truth, for PT's published protocol; or
      noise, for sampled poses.

  Returns:
    The state after them, their poses [B, CHUNK_FRAMES, J, D] and which joints
    they show, [B, CHUNK_FRAMES, J] bool; what follows the end of a sequence is
    undefined.
  """
  model = structure.merge(leaves)
  began = state.at
  until = jnp.minimum(limit, began + CHUNK_FRAMES)
  rows = len(state.length)
  skeleton = model.skeleton
  poses = jnp.zeros((CHUNK_FRAMES, rows, skeleton.num_values))
  shown = jnp.zeros((CHUNK_FRAMES, rows, skeleton.num_joints), bool)

  def running(carry):
    state, _, _ = carry
    return (state.at < until) & jnp.any(state.length == 0)

  def forward(carry):
    state, poses, shown = carry
    at = state.at - began
    state, pose, visible = decode_frame(model, statistics, source, state, mode)
    return state, poses.at[at].set(pose), shown.at[at].set(visible)

  carry = (state, poses, shown)
  state, poses, shown = jax.lax.while_loop(running, forward, carry)
  shown = shown.swapaxes(0, 1)
  poses = restore(poses.swapaxes(0, 1), shown, statistics, skeleton)
  return state, poses, shown


def decode_frame(
  model: PoseDecoder,
  statistics: PoseStatistics,
  source: Source,
  state: DecoderState,
  mode: pt_protocol.PTProtocol | Noise | None = None,
) -> tuple[DecoderState, jax.Array, jax.Array]:
  """Decodes one frame.

  Frame t with counter c says that the sequence has t / c frames. It ends with
  the frame nearest to that: when t + 1/2 >= t / c.

  Args:
    model: the model.
    statistics: of the training poses.
    source: of `encode`.
    state: of `encode` or the frame before.
    mode: as of `decode_chunk`.

  Returns:
    The state after it, its normalised pose [B, C] and which joints it shows,
    [B, J] bool.
  """
  at, frame, caches, length = state
  predicted, caches = model.step(frame, at, caches, source)
  frame = predicted.frames
  pose = frame[:, :-1]
  if isinstance(mode, Noise):
    key = jax.random.fold_in(mode.key, at)
    pose += mode.std * jax.random.normal(key, pose.shape)
  skeleton = model.skeleton
  pose = statistics.hold_bones(pose, skeleton)
  shape = (*pose.shape[:-1], skeleton.num_joints)
  shown = jnp.broadcast_to(statistics.seen, shape)
  if predicted.visible is not None:
    shown = visibility.shown(predicted.visible, statistics.seen, skeleton)
  # A joint that a clip does not show came in as 0 in training.
  pose = jnp.where(jnp.repeat(shown, skeleton.dims, -1), pose, 0)
  made, counter, n = pose, jnp.clip(frame[:, -1], 0, 1), at + 1
  if not isinstance(mode, pt_protocol.PTProtocol):
    ended = (n + 0.5) * counter >= n
  else:
    ended = n >= mode.length
    counter = jnp.minimum(n / mode.length, 1)
    true = jnp.where(mode.valid, statistics.normalise(mode.first), 0)
    pose = jnp.where(at == 0, true, pose)
  length = jnp.where((length == 0) & ended, n, length)
  frame = jnp.concatenate([pose, counter[:, None]], -1)
  return DecoderState(n, frame, caches, length), made, shown


def restore(
  poses: jax.Array,
  shown: jax.Array,
  statistics: PoseStatistics,
  skeleton: Skeleton,
) -> jax.Array:
  """Normalised poses [..., C] in canonical units, [..., J, D].

  Joints that are not `shown` [..., J] are 0.
  """
  restored = statistics.denormalise(poses)
  restored = restored.reshape(*poses.shape[:-1], *skeleton.shape)
  return jnp.where(shown[..., None], restored, 0)


def _next_capacity(capacity: int) -> int:
  """Frames that the next, larger cache holds."""
  return capacity + CACHE_FRAMES * max(1, capacity // (4 * CACHE_FRAMES))


@functools.partial(jax.jit, static_argnames="capacity")
def _grow_caches(
  caches: tuple[layers.Cache, ...], capacity: int
) -> tuple[layers.Cache, ...]:
  """Caches with room for more frames."""

  def grown(x: jax.Array) -> jax.Array:
    return jnp.pad(x, ((0, 0), (0, capacity - x.shape[1]), (0, 0)))

  return jax.tree.map(grown, caches)


def warm_up(
  model: compiled_model.Model, inputs: tuple[jax.Array, ...], limit: int
) -> None:
  """Compiles the programs that `decode` needs for these inputs and limit."""
  source, state, _ = encode(model.structure, model.leaves, inputs)
  capacity = CACHE_FRAMES
  while True:
    state, _, _ = _decode_chunk(model, source, state, limit, None)
    if capacity >= limit:
      return
    capacity = _next_capacity(capacity)
    state = state._replace(caches=_grow_caches(state.caches, capacity))


def _decode_chunk(
  model: compiled_model.Model,
  source: Source,
  state: DecoderState,
  limit: int,
  mode: pt_protocol.PTProtocol | Noise | None,
) -> tuple[DecoderState, jax.Array, jax.Array]:
  return decode_chunk(
    model.structure,
    model.leaves,
    model.statistics,
    source,
    state,
    np.int32(limit),
    mode,
  )


def decode(
  model: compiled_model.Model,
  inputs: tuple[jax.Array, ...],
  limit: int,
  mode: pt_protocol.PTProtocol | Noise | None = None,
) -> Iterator[Chunk]:
  """Signs a batch of encoded texts, chunk by chunk.

  Args:
    model: the model.
    inputs: as of `encode`.
    limit: frames after which every sequence ends.
    mode: as of `decode_chunk`.

  Yields:
    Chunks until every sequence has ended or the limit is reached.
  """
  source, state, ends = encode(model.structure, model.leaves, inputs)
  done, capacity, length = 0, CACHE_FRAMES, np.zeros(1)
  while done < limit and not length.all():
    if done == capacity:
      capacity = _next_capacity(capacity)
      state = state._replace(caches=_grow_caches(state.caches, capacity))
    state, frames, valid = _decode_chunk(model, source, state, limit, mode)
    chunk = sharding.to_host(Chunk(frames, valid, state.length, ends))
    yield chunk._replace(
      frames=chunk.frames[:, : limit - done],
      valid=chunk.valid[:, : limit - done],
    )
    done, length = done + frames.shape[1], chunk.length
