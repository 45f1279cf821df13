"""Free-running generation: cached, compiled, from the model's own start frame.

Nothing of the truth is used: the counter is the model's own, and a sequence
ends where that counter says it does (section 7).
"""

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from signllm_jax import clips, data, errors, partition, skeleton, text
from signllm_jax import state as state_lib


class Produced(NamedTuple):
  """A batch of generated sequences, in canonical units."""

  frames: jax.Array  # [B, limit, J, 3]
  length: jax.Array  # [B]
  finished: jax.Array  # [B] bool, False where the limit ended it


class Signed(NamedTuple):
  """One generated sequence."""

  clip: clips.Clip
  finished: bool  # False where the limit ended it


@functools.partial(jax.jit, static_argnames=("graphdef", "limit"))
def generate(
  graphdef: nnx.GraphDef,
  params: nnx.State,
  statistics: state_lib.Statistics,
  source: jax.Array,
  limit: int,
) -> Produced:
  """Signs a batch of encoded texts.

  Frame t with counter c says that the sequence has t / c frames. It ends with
  the frame nearest to that: when t + 1/2 >= t / c.

  Args:
    graphdef: of the model.
    params: its parameters.
    statistics: of the training poses.
    source: [B, S] ids.
    limit: frames after which every sequence ends.
  """
  model = nnx.merge(graphdef, params)
  batch = len(source)
  attendable = model.attendable(*model.encode(source), whole=True)
  cells = jnp.repeat(statistics.seen, 3)
  out = jnp.zeros((limit, batch, skeleton.C))

  def running(carry):
    t, _, _, _, length = carry
    return (t < limit) & jnp.any(length == 0)

  def forward(carry):
    t, frame, caches, out, length = carry
    frame, caches = model.step(frame, t, caches, attendable)
    # A joint no clip shows was an unseen 0 in training and stays one.
    pose = jnp.where(cells, frame[:, :-1], 0)
    counter = jnp.clip(frame[:, -1], 0, 1)
    out = out.at[t].set(pose)
    n = t + 1
    ended = (n + 0.5) * counter >= n
    length = jnp.where((length == 0) & ended, n, length)
    frame = jnp.concatenate([pose, counter[:, None]], -1)
    return n, frame, caches, out, length

  start = (
    jnp.int32(0),
    model.start_frames(batch),
    model.empty_cache(batch, limit),
    out,
    jnp.zeros(batch, jnp.int32),
  )
  _, _, _, out, length = jax.lax.while_loop(running, forward, start)
  poses = statistics.restore(out.swapaxes(0, 1))
  length_or_limit = jnp.where(length == 0, limit, length)
  real = jnp.arange(limit) < length_or_limit[:, None]
  poses = jnp.where(real[..., None] & cells, poses, 0)
  return Produced(
    poses.reshape(batch, limit, skeleton.J, 3), length_or_limit, length > 0
  )


class Producer:
  """Signs texts with a trained model; the one door to generation.

  Batches are padded to one of few shapes, each compiled once.
  """

  def __init__(
    self,
    graphdef: nnx.GraphDef,
    params: nnx.State,
    statistics: state_lib.Statistics,
    facts: data.Facts,
    *,
    limit: int,
    batch_size: int,
    mesh: Mesh,
  ):
    """Wraps a model.

    Args:
      graphdef: of the model.
      params: its parameters.
      statistics: of the training poses.
      facts: vocabulary and frame rate it was trained with.
      limit: frames after which any sequence ends.
      batch_size: texts a compiled call.
      mesh: where to compute.
    """
    self.facts = facts
    self._model = (graphdef, params, statistics)
    self._limit, self._batch_size, self._mesh = limit, batch_size, mesh

  def produce(
    self,
    texts: Sequence[str],
    should_stop: Callable[[], bool] = lambda: False,
  ) -> list[clips.Clip] | None:
    """Signs texts.

    Args:
      texts: what to sign (or glosses, for a model of glosses).
      should_stop: asked between batches.

    Returns:
      A clip a text, in order; None if stopped.

    Raises:
      UsageError: an empty text.
      NonFiniteError: the model gives NaN or infinity.
    """
    produced = []
    batches = self.stream(texts)
    while not should_stop():
      batch = next(batches, None)
      if batch is None:
        return produced
      produced += [signed.clip for signed in batch]
    return None

  def stream(self, texts: Sequence[str]) -> Iterator[list[Signed]]:
    """Signs texts as `produce` does, yielding each batch when it is done."""
    for number, line in enumerate(texts, 1):
      if not line.strip():
        raise errors.UsageError(f"text {number} is empty")
    sources = [self.facts.vocabulary.encode(line) for line in texts]
    for start in range(0, len(texts), self._batch_size):
      group = slice(start, start + self._batch_size)
      yield self._batch(texts[group], sources[group])

  def _batch(
    self, texts: Sequence[str], sources: Sequence[np.ndarray]
  ) -> list[Signed]:
    rows = self._batch_size
    if len(texts) < rows:  # a short batch takes the next power of two
      parts = self._mesh.shape["data"] * self._mesh.shape["fsdp"]
      rows = data.round_up(1 << (len(texts) - 1).bit_length(), parts)
    longest = max(self.facts.longest_source, *map(len, sources))
    s = data.round_up(longest, data.SOURCE_MULTIPLE)
    source = text.pad(sources, s)
    # Empty rows repeat the first text: they end when it does.
    source = np.concatenate([source, source[:1].repeat(rows - len(texts), 0)])
    batch = partition.put_batch({"source": source}, self._mesh)
    graphdef, params, statistics = self._model
    out = partition.to_host(
      generate(graphdef, params, statistics, batch["source"], self._limit)
    )
    made = []
    for row, line in enumerate(texts):
      frames = out.frames[row, : out.length[row]]
      if not np.isfinite(frames).all():
        raise errors.NonFiniteError(f"produced frames of {line!r}")
      valid = np.broadcast_to(np.asarray(statistics.seen), frames.shape[:2])
      clip = clips.Clip(frames, valid.copy(), self.facts.fps, line, line)
      made.append(Signed(clip, bool(out.finished[row])))
    return made
