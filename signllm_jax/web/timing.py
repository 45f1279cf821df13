"""When each token of a text is signed, told by a model of learnt durations."""

import functools
import itertools
from typing import NamedTuple

import jax
import numpy as np
from flax import nnx

from signllm_jax import data, generate, text
from signllm_jax.plan import round_up


class Span(NamedTuple):
  """A token and its place in the produced clip."""

  token: str
  start: float  # first frame
  end: float  # frame after the last


@functools.partial(jax.jit, static_argnames="graphdef")
def _ends(graphdef: nnx.GraphDef, params: nnx.State, source: jax.Array):
  """Ends of the tokens of [1, S] ids in frames [S]."""
  model = nnx.merge(graphdef, params)
  timeline = model.attendable(*model.encode(source), whole=True).timeline
  if timeline is None:
    return None
  # Frame t starts from the counter t * pace, which is this place in time.
  step = timeline.pace * timeline.total
  return (timeline.centres + timeline.durations / 2)[0] / step[0]


def spans(
  producer: generate.Producer, line: str, frames: int
) -> tuple[Span, ...] | None:
  """The tokens of a text in time, the end of the sequence included as "".

  Args:
    producer: whose model signed the text.
    line: the text as it was given to the producer.
    frames: length of the clip; later tokens are left out.

  Returns:
    None if the model has learnt no durations: then nothing is known.
  """
  vocabulary = producer.facts.vocabulary
  ids = vocabulary.encode(line)
  longest = max(producer.facts.longest_source, len(ids))
  source = text.pad([ids], round_up(longest, data.SOURCE_MULTIPLE))
  graphdef, params, _ = producer.model
  ends = _ends(graphdef, params, source)
  if ends is None:
    return None
  borders = np.concatenate([[0], np.asarray(ends)[: len(ids)]])
  borders = np.minimum(borders, frames).round(3).tolist()
  tokens = [*text.tokenize(line, vocabulary.tokens), ""]
  return tuple(
    Span(" " if token == text.SPACE else token, start, end)
    for token, (start, end) in zip(
      tokens, itertools.pairwise(borders), strict=True
    )
    if start < frames
  )
