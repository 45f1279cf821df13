"""Generated sequences: whole, in chunks, and with their tokens in time."""

import itertools
from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import numpy as np

from signllm_jax.core import clips, vocabulary


class Span(NamedTuple):
  """A token and its place in the produced clip."""

  token: str  # of the gloss, where the model writes one; "" for the end
  start: float  # first frame
  end: float  # frame after the last


class ProducedSequence(NamedTuple):
  """One generated sequence."""

  clip: clips.Clip
  finished: bool  # False where the frame limit ended it
  spans: tuple[Span, ...] | None  # None: the model learns no durations


class StreamChunk(NamedTuple):
  """The next frames of a sequence."""

  frames: np.ndarray  # [n, J, D], in canonical units; n is 0 after the end
  valid: np.ndarray  # [n, J] bool, joints that are shown
  sequence: ProducedSequence | None  # the whole, with the last chunk


class ModelInputs(NamedTuple):
  """A batch of texts, encoded for the model."""

  inputs: dict[str, np.ndarray]  # of the model's `encode`, in order
  tokens: list[list[str]]  # of each text, those of its spans; "" for </s>
  glosses: list[str]  # of each text; "" where the model writes none


class BatchProducer(Protocol):
  """Signs texts: a `Producer`, or the best of several samples."""

  def batches(self, texts: Sequence[str]) -> Iterator[list[ProducedSequence]]:
    """Signs texts, yielding each batch when it is done."""
    ...


class SequenceBuffer:
  """The frames of a sequence that is being generated."""

  def __init__(self):
    self._frames: list[np.ndarray] = []
    self._valid: list[np.ndarray] = []
    self.count = 0  # frames
    self.ended = False

  def add(self, frames: np.ndarray, valid: np.ndarray) -> None:
    """Appends frames [n, J, D] with their valid joints [n, J]."""
    self._frames.append(frames)
    self._valid.append(valid)
    self.count += len(frames)

  def whole(self) -> tuple[np.ndarray, np.ndarray]:
    """All frames [T, J, D] and their valid joints [T, J]."""
    return np.concatenate(self._frames), np.concatenate(self._valid)


def collect(
  stream: Iterator[list[StreamChunk]], count: int
) -> list[ProducedSequence]:
  """The whole sequences of a stream of `count` texts."""
  found: list[ProducedSequence | None] = [None] * count
  for row in stream:
    for i, chunk in enumerate(row):
      found[i] = chunk.sequence or found[i]
  return [sequence for sequence in found if sequence is not None]


def spans(
  tokens: Sequence[str], ends: np.ndarray, frames: int
) -> tuple[Span, ...]:
  """Tokens in time; those after the last frame are left out.

  Args:
    tokens: of the text or its gloss, "" for </s>.
    ends: [S] frame after each token's last.
    frames: of the sequence.
  """
  borders = np.concatenate([[0], ends[: len(tokens)]])
  borders = np.minimum(borders, frames).round(3).tolist()
  return tuple(
    Span(" " if token == vocabulary.SPACE else token, start, end)
    for token, (start, end) in zip(
      tokens, itertools.pairwise(borders), strict=True
    )
    if start < frames
  )
