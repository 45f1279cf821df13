"""Noise that varies as recordings do."""

import jax
import numpy as np
import pytest
from helpers.flow_models import remembering, unit_noise

from signllm_jax.core.skeleton import PROMPT2SIGN50 as SKELETON
from signllm_jax.data.noise_moments import POSITIONS
from signllm_jax.models import flow_noise

ROWS, FRAMES, VALUES = 3000, 6, SKELETON.num_values


def _white(rows: int = ROWS, frames: int = FRAMES):
  keys = jax.random.split(jax.random.key(0), 3)
  shapes = (rows, 1, VALUES), (rows, frames, VALUES), (rows, frames, 1)
  return [
    jax.random.normal(key, shape)
    for key, shape in zip(keys, shapes, strict=True)
  ]


def _poses(rank: int, seed: int) -> np.ndarray:
  random = np.random.default_rng(seed)
  return random.normal(size=(4000, rank)) @ random.normal(size=(rank, VALUES))


def test_both_parts_have_the_covariance_of_their_deviations():
  of_clips, of_frames = _poses(20, 0), _poses(8, 1)
  deviation = np.sqrt(of_clips.var(0) + of_frames.var(0))
  covariances = [
    np.cov(x.T) / deviation[:, None] / deviation for x in (of_clips, of_frames)
  ]
  units, factor = flow_noise.measure(
    deviation, np.stack(covariances), np.float32(2.0)
  )
  np.testing.assert_allclose(units, deviation, rtol=1e-6)
  statistics = unit_noise(SKELETON)._replace(factor=factor)
  length = np.full(ROWS, FRAMES)
  made = np.asarray(flow_noise.colour(*_white(), length, statistics)) * units
  # Frames share the first part only; their differences have the second only.
  common = np.mean(made[:, 0, :, None] * made[:, -1, None], 0)
  assert np.abs(common - np.cov(of_clips.T)).mean() < 0.1 * of_clips.var()
  single = np.cov((made[:, 0] - made[:, -1]).T) / 2
  assert np.abs(single - np.cov(of_frames.T)).mean() < 0.1 * of_frames.var()


def test_a_coordinate_that_hardly_varies_is_not_enlarged_without_bound():
  units, factor = flow_noise.measure(
    np.zeros(VALUES), np.stack(2 * [np.eye(VALUES)]), np.float32(2.0)
  )
  np.testing.assert_allclose(units, 0.1)
  assert np.abs(factor).max() < 0.01


def _moving(statistics, length: int, frames: int, rows: int = 400):
  """What moves in the noise of clips, of mean square 0.5."""
  common, single, bursts = _white(rows, frames)
  lengths = np.full(rows, length)
  made = flow_noise.colour(0 * common, single, bursts, lengths, statistics)
  return np.asarray(made)


def _lagged(made: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
  """Deviations [T] of frames, and correlations [T - 1] with the next."""
  deviation = np.sqrt((made**2).mean((0, 2)))
  products = (made[:, 1:] * made[:, :-1]).mean((0, 2))
  return deviation, products / deviation[1:] / deviation[:-1]


def test_frames_remember_and_move_in_bursts():
  made = _moving(remembering(unit_noise(SKELETON), 0.8), 30, 30)
  variance = (made**2).mean((0, 2))
  np.testing.assert_allclose(variance, 0.5, rtol=0.25)  # in every frame
  lagged = (made[:, 1:] * made[:, :-1]).mean() / (made**2).mean()
  assert lagged == pytest.approx(0.8, abs=0.02)
  speeds = np.linalg.norm(made[:, 1:] - made[:, :-1], axis=-1)
  # 1 if all were equally fast.
  assert speeds.mean() / np.sqrt((speeds**2).mean()) < 0.95


def test_frames_move_as_clips_do_at_their_place():
  # The nose begins elsewhere, then holds.
  nose = slice(0, 3)
  amplitude = np.ones((POSITIONS, VALUES), np.float32)
  amplitude[0, nose] = 2
  memory = np.full(POSITIONS - 1, 0.9, np.float32)
  memory[0] = 0.2
  noise = unit_noise(SKELETON)._replace(amplitude=amplitude, memory=memory)
  for length in (POSITIONS, 3 * POSITIONS):
    made = _moving(noise, length, length + 4)[:, :length]
    expected = np.full(length, np.sqrt(0.5))
    _, lagged = _lagged(made)
    deviation, _ = _lagged(made[..., nose.stop :])
    np.testing.assert_allclose(deviation, expected, rtol=0.15)
    deviation, _ = _lagged(made[..., nose])
    expected[0] *= 2
    np.testing.assert_allclose(deviation, expected, rtol=0.25)
    # From frame to frame, however long the clip is.
    np.testing.assert_allclose(lagged[0], 0.2, atol=0.05)
    np.testing.assert_allclose(lagged[1:], 0.9, atol=0.05)


def test_frames_of_a_short_clip_move_as_much_as_all_of_a_long_one():
  memory = np.linspace(0.8, 0.95, POSITIONS - 1, dtype=np.float32)
  noise = unit_noise(SKELETON)._replace(memory=memory)
  frames = 6  # 5 steps, of three positions each
  _, lagged = _lagged(_moving(noise, frames, frames, 2000))
  expected = np.prod(memory.reshape(frames - 1, -1), 1) ** (1 / 3)
  np.testing.assert_allclose(lagged, expected, atol=0.02)


def test_each_row_has_its_own_statistics():
  white, length = _white(2), np.asarray([FRAMES, FRAMES - 2])
  one = remembering(unit_noise(SKELETON), 0.5)
  two = remembering(one, 0.9)
  two = two._replace(factor=2 * one.factor, amplitude=0.5 * one.amplitude)
  each = jax.tree.map(lambda *x: np.stack(x), one, two)
  made = flow_noise.colour(*white, length, each)
  for row, statistics in enumerate((one, two)):
    alone = flow_noise.colour(*white, length, statistics)
    np.testing.assert_allclose(made[row], alone[row], rtol=1e-4, atol=1e-5)
