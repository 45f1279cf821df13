"""Generates sign pose sequences from texts with a trained model.

Generation is free running: the model starts from its own first frame, follows
its own counter, and a sequence ends where that counter says so (section 7). The
ground truth is never used, except by `Producer.produce_pt_protocol`, which
reproduces PT's published inference for comparisons.
"""

from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from flax import nnx
from jax.sharding import Mesh

from signllm_jax.core import clips, errors
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data import batch_plan, corpus_info, loader
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.inference import (
  compiled_model,
  decoding,
  flow_sampling,
  flow_solver,
  pt_protocol,
  sequences,
)
from signllm_jax.parallel import sharding

_LEAKY_MULTIPLE = 32  # frames; keeps the compiled limits few


class Producer:
  """Signs texts with a trained model.

  Batches are padded to one of few shapes, each compiled once.
  """

  def __init__(
    self,
    graphdef: nnx.GraphDef,
    params: nnx.State,
    statistics: PoseStatistics,
    info: corpus_info.CorpusInfo,
    *,
    skeleton: Skeleton,
    limit: int,
    batch_size: int,
    mesh: Mesh,
    solver: flow_solver.Solver | None = None,
  ):
    """Wraps a model.

    Args:
      graphdef: of the model.
      params: its parameters.
      statistics: of the training poses.
      info: vocabulary and frame rate it was trained with.
      skeleton: of its clips.
      limit: frames after which any sequence ends.
      batch_size: texts a compiled call.
      mesh: where to compute.
      solver: of the generative decoder; None for the regression decoder.
    """
    self.info, self.solver, self.batch_size = info, solver, batch_size
    self.model = compiled_model.Model(graphdef, params, statistics)
    self.limit, self._mesh, self.skeleton = limit, mesh, skeleton

  @property
  def stochastic(self) -> bool:
    """Whether its clips depend on a seed (the generative decoder)."""
    return self.solver is not None

  def produce(
    self,
    texts: Sequence[str],
    should_stop: Callable[[], bool] = lambda: False,
    *,
    seed: int = 0,
  ) -> list[clips.Clip] | None:
    """Signs texts.

    Args:
      texts: what to sign (or glosses, for a model of glosses).
      should_stop: called between batches; True ends the work.
      seed: of the samples of a generative decoder. A text's sample depends on
        the seed and on its place among the texts, so the same text twice gives
        two samples.

    Returns:
      A clip a text, in order; None if stopped.

    Raises:
      UsageError: an empty text.
      NonFiniteError: the model gives NaN or infinity.
    """
    produced = []
    batches = self.batches(texts, seed=seed)
    while not should_stop():
      batch = next(batches, None)
      if batch is None:
        return produced
      produced += [sequence.clip for sequence in batch]
    return None

  def batches(
    self, texts: Sequence[str], *, seed: int = 0
  ) -> Iterator[list[sequences.ProducedSequence]]:
    """Signs texts as `produce` does, yielding each batch when it is done."""
    draws = [flow_sampling.Draw(seed, index) for index in range(len(texts))]
    for start in range(0, len(texts), self.batch_size):
      group = slice(start, start + self.batch_size)
      stream = self.stream(texts[group], draws[group])
      yield sequences.collect(stream, len(texts[group]))

  def stream(
    self,
    texts: Sequence[str],
    draws: Sequence[flow_sampling.Draw] | None = None,
  ) -> Iterator[list[sequences.StreamChunk]]:
    """Signs texts as `produce` does, yielding frames as they come.

    The frames of a text are those of `produce`, bit for bit, if the batch is
    the same; another number of texts may change their last digits.

    Args:
      texts: at most `batch_size`.
      draws: of each text, for a generative decoder; by default seed 0 and the
        place of the text.

    Yields:
      A chunk for each text, in order, until all have ended.
    """
    if draws is None:
      draws = [flow_sampling.Draw(0, index) for index in range(len(texts))]
    prepared = self._prepare(texts)
    yield from self._decode(texts, *prepared, self.limit, draws=draws)

  def samples(
    self, texts: Sequence[str], count: int, std: float, seed: int = 0
  ) -> Iterator[list[tuple[sequences.ProducedSequence, ...]]]:
    """Signs each text of a batch several times.

    A generative decoder draws samples; the first are those of `batches`. Of a
    regression decoder the first is its own sequence, and in the others every
    pose is sampled around the model's.

    Args:
      texts: what to sign; a repeated text gets samples of its own.
      count: samples of each text.
      std: of the Gaussian policy around a regression decoder, in normalised
        units (`config.rl.std`).
      seed: equal seeds and batches give equal samples.
    """
    keys = jax.random.split(jax.random.key(seed), max(count - 1, 1))
    for at, start in enumerate(range(0, len(texts), self.batch_size)):
      group = texts[start : start + self.batch_size]
      prepared = self._prepare(group)
      signed = []
      for sample in range(count):
        mode = None
        if sample and self.solver is None:
          key = jax.random.fold_in(keys[sample - 1], at)
          mode = decoding.Noise(np.array(std, np.float32), key)
        places = range(start, start + len(group))
        draws = [flow_sampling.Draw(seed, place, sample) for place in places]
        stream = self._decode(group, *prepared, self.limit, mode, draws)
        signed.append(sequences.collect(stream, len(group)))
      yield list(zip(*signed, strict=True))

  def warm_up(self, texts: Sequence[str]) -> None:
    """Compiles the programs that `stream` needs for texts of these lengths."""
    placed = self._prepare(texts)[1]
    if self.solver is None:
      decoding.warm_up(self.model, placed, self.limit)
      return
    draws = self._place_draws([flow_sampling.Draw(0)], len(placed[0]))
    flow_sampling.warm_up(self.model, placed, draws, self.limit, self.solver)

  def produce_pt_protocol(
    self, texts: Sequence[str], true: Sequence[clips.Clip]
  ) -> list[clips.Clip]:
    """Signs by PT's published inference, which sees the truth: `PTProtocol`.

    Every figure computed from these clips must be marked "leaky" (section 7).

    Args:
      texts: what to sign.
      true: the true clip of each.

    Raises:
      UsageError: a generative decoder, which makes no frame from another.
    """
    if self.stochastic:
      raise errors.UsageError(
        "PT's protocol with model.decoder=flow", expected="free running"
      )
    produced = []
    for start in range(0, len(texts), self.batch_size):
      group = slice(start, start + self.batch_size)
      inputs, placed = self._prepare(texts[group])
      truth = pt_protocol.arrays(true[group], len(placed[0]))
      limit = batch_plan.round_up(int(truth["length"].max()), _LEAKY_MULTIPLE)
      mode = pt_protocol.PTProtocol(**sharding.put_batch(truth, self._mesh))
      stream = self._decode(texts[group], inputs, placed, limit, mode)
      batch = sequences.collect(stream, len(texts[group]))
      produced += [sequence.clip for sequence in batch]
    return produced

  def _prepare(
    self, texts: Sequence[str]
  ) -> tuple[sequences.ModelInputs, tuple[jax.Array, ...]]:
    """Encodes texts; also returns the model's inputs on the devices."""
    if not all(line.strip() for line in texts):
      raise errors.UsageError("an empty text", expected="words to sign")
    rows = sharding.batch_rows(self._mesh, len(texts), self.batch_size)
    inputs = self._encode_texts(texts, rows)
    # In this order: `put_batch` keeps it.
    placed = sharding.put_batch(inputs.inputs, self._mesh)
    return inputs, tuple(placed.values())

  def _decode(
    self,
    texts: Sequence[str],
    inputs: sequences.ModelInputs,
    placed: tuple[jax.Array, ...],
    limit: int,
    mode: pt_protocol.PTProtocol | decoding.Noise | None = None,
    draws: Sequence[flow_sampling.Draw] = (),
  ) -> Iterator[list[sequences.StreamChunk]]:
    """Chunks of texts that were prepared; a list holds one for each text."""
    buffers = [sequences.SequenceBuffer() for _ in texts]
    if self.solver is None:
      chunks = decoding.decode(self.model, placed, limit, mode)
    else:
      placed_draws = self._place_draws(draws, len(placed[0]))
      chunks = flow_sampling.decode(
        self.model, placed, placed_draws, limit, self.solver
      )
    for chunk in chunks:
      yield [
        self._take_row(buffer, row, chunk, limit, texts[row], inputs)
        for row, buffer in enumerate(buffers)
      ]

  def _place_draws(
    self, draws: Sequence[flow_sampling.Draw], rows: int
  ) -> dict[str, jax.Array]:
    arrays = flow_sampling.draw_arrays(draws, rows)
    return sharding.put_batch(arrays, self._mesh)

  def _take_row(
    self,
    buffer: sequences.SequenceBuffer,
    row: int,
    chunk: decoding.Chunk,
    limit: int,
    text: str,
    inputs: sequences.ModelInputs,
  ) -> sequences.StreamChunk:
    """One text's frames of a chunk; with its last ones, the whole sequence."""
    if buffer.ended:
      empty = chunk.frames[row, :0], chunk.valid[row, :0]
      return sequences.StreamChunk(*empty, None)
    length = int(chunk.length[row])
    buffer.ended = length > 0 or buffer.count + chunk.frames.shape[1] >= limit
    stop = length - buffer.count if length else None
    frames, valid = chunk.frames[row, :stop], chunk.valid[row, :stop]
    if not np.isfinite(frames).all():
      raise errors.NonFiniteError(f"produced frames of {text!r}")
    buffer.add(frames, valid)
    if not buffer.ended:
      return sequences.StreamChunk(frames, valid, None)
    spans = None
    if chunk.ends is not None:
      spans = sequences.spans(inputs.tokens[row], chunk.ends[row], buffer.count)
    labels = text, text, inputs.glosses[row]
    clip = clips.Clip(
      *buffer.whole(), self.info.fps, *labels, skeleton=self.skeleton
    )
    sequence = sequences.ProducedSequence(clip, length > 0, spans)
    return sequences.StreamChunk(frames, valid, sequence)

  def _encode_texts(
    self, texts: Sequence[str], rows: int
  ) -> sequences.ModelInputs:
    """Token ids of texts; rows of padding repeat the first text."""
    vocabulary = self.info.vocabulary
    sources = [vocabulary.encode(line) for line in texts]
    longest = max(self.info.longest_source, *map(len, sources))
    sources += sources[:1] * (rows - len(sources))
    ids = vocabulary_lib.pad(
      sources, batch_plan.round_up(longest, loader.SOURCE_MULTIPLE)
    )
    tokens = [[*vocabulary.tokenize(line), ""] for line in texts]
    return sequences.ModelInputs({"source": ids}, tokens, [""] * len(texts))
