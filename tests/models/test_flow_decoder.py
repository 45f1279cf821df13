"""The generative decoder: padding, absent sources, times, coordinates."""

import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers.flow_models import SHAPE, moved

from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.models import alignment, flow_decoder, text_to_pose
from signllm_jax.models.flow_noise import FlowClip

LENGTH = np.array([6, 9])
SOURCE = np.array([[4, 5, 3, 0], [6, 3, 0, 0]], np.int32)


@pytest.fixture(scope="module")
def model() -> flow_decoder.FlowDecoder:
  return moved(text_to_pose.build(SHAPE, 9, PROMPT2SIGN50, nnx.Rngs(0)))


@nnx.jit
def _estimate(model, noisy, time, length, ids, present):
  source = model.project_memory(*model.encode(ids))
  made = model.estimate(noisy, time, length, source, present)
  return made.clip.poses, made.clip.lengths, made.visible


def estimate(model, noisy, time=0.4, ids=SOURCE, present=True):
  rows = len(noisy)
  times = np.full(rows, time, np.float32)
  seen = np.broadcast_to(present, rows)
  return _estimate(model, FlowClip(noisy, BONES), times, LENGTH, ids, seen)


BONES = np.random.default_rng(3).normal(size=(2, 25)).astype(np.float32)
NOISY = np.random.default_rng(0).normal(size=(2, 9, 150)).astype(np.float32)


def test_padding_changes_nothing(model):
  whole = estimate(model, NOISY)
  padded = np.pad(NOISY, ((0, 0), (0, 3), (0, 0)), constant_values=7.0)
  padded[0, 6:] = -5.0
  longer = estimate(model, padded)
  for row, length in enumerate(LENGTH):
    for a, b in zip(whole, longer, strict=True):
      n = length if a.ndim == 3 else None  # bone lengths have no frames
      np.testing.assert_allclose(a[row, :n], b[row, :n], atol=2e-5)


def test_an_absent_source_has_no_effect_and_a_present_one_has(model):
  other = np.array([[7, 8, 3, 0], [5, 4, 3, 0]], np.int32)
  absent = [
    estimate(model, NOISY, ids=ids, present=False)[0] for ids in (SOURCE, other)
  ]
  np.testing.assert_allclose(*absent, atol=1e-5)
  present = [estimate(model, NOISY, ids=ids)[0] for ids in (SOURCE, other)]
  assert np.abs(present[0] - present[1]).max() > 1e-2
  mixed = estimate(model, NOISY, present=np.array([True, False]))[0]
  np.testing.assert_allclose(mixed[0], present[0][0], atol=1e-5)
  np.testing.assert_allclose(mixed[1], absent[0][1], atol=1e-5)


def test_durations_are_stretched_to_the_length(model):
  source = model.project_memory(*model.encode(SOURCE))
  line = alignment.stretch(source.timeline, jnp.array([12, 40]))
  durations = np.where(line.mask, line.durations, 0)
  np.testing.assert_allclose(durations.sum(1), [12, 40], rtol=1e-5)
  share = source.timeline.durations[0] / source.timeline.total[0]
  np.testing.assert_allclose(durations[0, :3], 12 * share[:3], rtol=1e-5)
