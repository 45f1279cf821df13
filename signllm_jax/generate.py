"""Free-running generation: cached, compiled, from the model's own start frame.

Nothing of the truth is used: the counter is the model's own, and a sequence
ends where that counter says it does (section 7). `Producer.produce_leaky` is
the exception, for comparisons alone: the published inference of PT.
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
from signllm_jax.statistics import Statistics

_LEAKY_MULTIPLE = 32  # frames; the limit of leaky batches is one of few


class Produced(NamedTuple):
  """A batch of generated sequences, in canonical units."""

  frames: jax.Array  # [B, limit, J, 3]
  length: jax.Array  # [B]
  finished: jax.Array  # [B] bool, False where the limit ended it


class Signed(NamedTuple):
  """One generated sequence."""

  clip: clips.Clip
  finished: bool  # False where the limit ended it


class Leak(NamedTuple):
  """What PT's published inference takes from the truth of a batch."""

  first: jax.Array  # [B, 150] the true first frame, in canonical units
  valid: jax.Array  # [B, 150] bool, False where it is missing
  length: jax.Array  # [B] true frames


@functools.partial(jax.jit, static_argnames=("graphdef", "limit"))
def generate(
  graphdef: nnx.GraphDef,
  params: nnx.State,
  statistics: Statistics,
  inputs: tuple[jax.Array, ...],
  limit: int,
  leak: Leak | None = None,
) -> Produced:
  """Signs a batch of encoded texts.

  Frame t with counter c says that the sequence has t / c frames. It ends with
  the frame nearest to that: when t + 1/2 >= t / c.

  Args:
    graphdef: of the model.
    params: its parameters.
    statistics: of the training poses.
    inputs: of the model's `encode`: ids [B, S] of the source and, for
      Text2LangGloss, ids [B, G] of its gloss.
    limit: frames after which every sequence ends.
    leak: None, or everything is driven by the truth as PT published it: the
      frame after the first follows the true first one, every counter that
      comes in is the true one, and a sequence is as long as the truth. All
      poses that come out are the model's own.
  """
  model = nnx.merge(graphdef, params)
  batch = len(inputs[0])
  attendable = model.attendable(*model.encode(*inputs), whole=True)
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
    if leak is None:
      ended = (n + 0.5) * counter >= n
    else:
      ended = n >= leak.length
      counter = jnp.minimum(n / leak.length, 1)
      true = jnp.where(leak.valid, statistics.normalize(leak.first), 0)
      pose = jnp.where(t == 0, true, pose)
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
    statistics: Statistics,
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
    self.model = (graphdef, params, statistics)
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
    yield from self._stream(texts, None)

  def produce_leaky(
    self, texts: Sequence[str], true: Sequence[clips.Clip]
  ) -> list[clips.Clip]:
    """PT's published inference (section 7), which sees the truth: `Leak`.

    Every number made of these clips must carry the word "leaky".

    Args:
      texts: what to sign.
      true: the true clip of each.
    """
    batches = self._stream(texts, true)
    return [signed.clip for batch in batches for signed in batch]

  def _stream(
    self, texts: Sequence[str], true: Sequence[clips.Clip] | None
  ) -> Iterator[list[Signed]]:
    for number, line in enumerate(texts, 1):
      if not line.strip():
        raise errors.UsageError(f"text {number} is empty")
    for start in range(0, len(texts), self._batch_size):
      group = slice(start, start + self._batch_size)
      yield self._batch(texts[group], true and true[group])

  def _batch(
    self,
    texts: Sequence[str],
    true: Sequence[clips.Clip] | None,
  ) -> list[Signed]:
    rows = partition.batch_rows(self._mesh, len(texts), self._batch_size)
    inputs, glosses = self._read(texts, rows)
    limit, leak = self._limit, None
    if true is not None:
      leaked = _leak(true, rows)
      limit = data.round_up(int(leaked["length"].max()), _LEAKY_MULTIPLE)
      leak = Leak(**partition.put_batch(leaked, self._mesh))
    # In this order: `put_batch` keeps it.
    placed = tuple(partition.put_batch(inputs, self._mesh).values())
    out = partition.to_host(generate(*self.model, placed, limit, leak))
    statistics = self.model[2]
    made = []
    for row, (line, gloss) in enumerate(zip(texts, glosses, strict=True)):
      frames = out.frames[row, : out.length[row]]
      if not np.isfinite(frames).all():
        raise errors.NonFiniteError(f"produced frames of {line!r}")
      valid = np.broadcast_to(np.asarray(statistics.seen), frames.shape[:2])
      clip = clips.Clip(frames, valid.copy(), self.facts.fps, line, line, gloss)
      made.append(Signed(clip, bool(out.finished[row])))
    return made

  def _read(
    self, texts: Sequence[str], rows: int
  ) -> tuple[dict[str, np.ndarray], list[str]]:
    """Inputs of the model's `encode`, in order, and the gloss of each text.

    Empty rows repeat the first text: they end when it does.
    """
    sources = [self.facts.vocabulary.encode(line) for line in texts]
    longest = max(self.facts.longest_source, *map(len, sources))
    sources += sources[:1] * (rows - len(sources))
    ids = text.pad(sources, data.round_up(longest, data.SOURCE_MULTIPLE))
    return {"source": ids}, [""] * len(texts)


def _leak(true: Sequence[clips.Clip], rows: int) -> dict[str, np.ndarray]:
  """`Leak` of a batch; empty rows repeat the first, as its texts do."""
  listed = [*true, *[true[0]] * (rows - len(true))]
  return {
    "first": np.stack([clip.frames[0].reshape(-1) for clip in listed]),
    "valid": np.stack([clip.valid[0].repeat(3) for clip in listed]),
    "length": np.array([len(clip) for clip in listed], np.int32),
  }
