"""Ragged pairs of clips -> padded batches on the device."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import numpy as np

_PAD = 64  # frames; keeps the number of compiled shapes small
_BATCH = 64  # pairs a call


class Sequence3D(NamedTuple):
  """Joints over time, of any number of joints."""

  frames: np.ndarray  # [T, K, 3]
  valid: np.ndarray  # [T, K]


class Pair(NamedTuple):
  """A padded pair, or a batch of them."""

  reference: jax.Array  # [R, K, 3]
  valid: jax.Array  # [R, K] bool
  rows: jax.Array  # [] frames of the reference
  hypothesis: jax.Array  # [Q, K, 3]
  shown: jax.Array  # [Q, K] bool
  columns: jax.Array  # [] frames of the hypothesis


@functools.partial(jax.jit, static_argnums=0)
def _one_by_one(function: Callable[[Pair], jax.Array], batch: Pair):
  # One pair after another: a pair's table fits the cache, a batch's does not.
  return jax.lax.map(function, batch)


def over_pairs(
  function: Callable[[Pair], jax.Array], produced: Sequence, true: Sequence
) -> np.ndarray:
  """A function of a padded pair, for each pair.

  Pairs of like length share a batch; it is padded to the longest of them.

  Args:
    function: traceable; the same object in every call, or it compiles anew.
    produced: clips or `Sequence3D`s, the hypotheses.
    true: as many references.

  Returns:
    [n, ...] float64, in order.
  """
  longest = [
    max(len(made.frames), len(truth.frames))
    for made, truth in zip(produced, true, strict=True)
  ]
  order = np.argsort(longest, kind="stable")
  rows = min(_BATCH, len(order))
  parts = []
  for start in range(0, len(order), _BATCH):
    group = order[start : start + _BATCH]
    t = -(-longest[group[-1]] // _PAD) * _PAD
    batch = Pair(
      *_padded([true[i] for i in group], rows, t),
      *_padded([produced[i] for i in group], rows, t),
    )
    parts.append(jax.device_get(_one_by_one(function, batch))[: len(group)])
  found = np.concatenate(parts).astype(np.float64)
  placed = np.empty_like(found)
  placed[order] = found
  return placed


def _padded(group: Sequence, rows: int, t: int):
  joints = group[0].frames.shape[1]
  frames = np.zeros((rows, t, joints, 3), np.float32)
  valid = np.zeros((rows, t, joints), bool)
  length = np.ones(rows, np.int32)
  for row, one in enumerate(group):
    length[row] = len(one.frames)
    frames[row, : len(one.frames)] = one.frames
    valid[row, : len(one.frames)] = one.valid
  return frames, valid, length
