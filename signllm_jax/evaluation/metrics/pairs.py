"""Padded batches of pairs of clips of different lengths."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

# Few values, so that few shapes are compiled.
_PAD = 64  # frames
_MIN_BATCH, _MAX_BATCH = 8, 64  # pairs


class Joints(Protocol):
  """A sequence of any K joints: a clip, or a `Sequence3D`."""

  @property
  def frames(self) -> np.ndarray:
    """[T, K, D] float32."""
    ...

  @property
  def valid(self) -> np.ndarray:
    """[T, K] bool, False where the joint is missing."""
    ...


class Sequence3D(NamedTuple):
  """Some joints of a clip, or joints in another unit."""

  frames: np.ndarray
  valid: np.ndarray


class Batch(NamedTuple):
  """Padded pairs."""

  reference: jax.Array  # [B, R, K, D]
  valid: jax.Array  # [B, R, K] bool
  rows: jax.Array  # [B] frames of the reference
  hypothesis: jax.Array  # [B, Q, K, D]
  shown: jax.Array  # [B, Q, K] bool
  columns: jax.Array  # [B] frames of the hypothesis


def over_pairs(
  function: Callable[[Batch], jax.Array | np.ndarray],
  produced: Sequence[Joints],
  true: Sequence[Joints],
) -> np.ndarray:
  """Applies a function to each pair.

  Pairs of similar length share a batch; it is padded to the longest of them.

  Args:
    function: of a batch: [B, ...].
    produced: the hypotheses.
    true: as many references, with as many joints.

  Returns:
    [n, ...] float64, in order.
  """
  longest = [
    max(len(hypothesis.frames), len(reference.frames))
    for hypothesis, reference in zip(produced, true, strict=True)
  ]
  order = np.argsort(longest, kind="stable")
  rows = min(_MAX_BATCH, max(_MIN_BATCH, 1 << (len(order) - 1).bit_length()))
  parts = []
  for start in range(0, len(order), rows):
    group = order[start : start + rows]
    t = -(-longest[group[-1]] // _PAD) * _PAD
    batch = Batch(
      *_padded([true[i] for i in group], rows, t),
      *_padded([produced[i] for i in group], rows, t),
    )
    parts.append(jax.device_get(function(batch))[: len(group)])
  values = np.concatenate(parts).astype(np.float64)
  ordered = np.empty_like(values)
  ordered[order] = values
  return ordered


def _padded(group: Sequence[Joints], rows: int, t: int):
  shape = group[0].frames.shape[1:]
  frames = np.zeros((rows, t, *shape), np.float32)
  valid = np.zeros((rows, t, shape[0]), bool)
  length = np.ones(rows, np.int32)
  for row, sequence in enumerate(group):
    length[row] = len(sequence.frames)
    frames[row, : length[row]] = sequence.frames
    valid[row, : length[row]] = sequence.valid
  return jnp.asarray(frames), jnp.asarray(valid), jnp.asarray(length)
