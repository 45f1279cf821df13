"""Solvers of the flow against a case with a known solution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.flow_models import remembering, unit_noise

from signllm_jax.core import hand_space
from signllm_jax.core.skeleton import PROMPT2SIGN50 as SKELETON
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.inference import flow_solver
from signllm_jax.models.flow_decoder import LOGITS, Estimate

STEPS, FRAMES, SCALE = 12, 6, 0.5


class Gaussian:
  """The exact estimate where clips are normal noise of deviation SCALE."""

  skeleton = SKELETON

  def estimate(self, noisy, time, length, source, present):
    """E[x_1 | x_t], without visibility."""
    t = time[:, None]
    share = t * SCALE**2 / (t**2 * SCALE**2 + (1 - t) ** 2)
    poses, lengths = noisy
    return Estimate(
      noisy._replace(poses=share[..., None] * poses, lengths=share * lengths),
      None,
    )


def _error(solver: str, steps: int = STEPS) -> float:
  """Root mean square error of the clip, as a share of SCALE."""
  noise = unit_noise(SKELETON)
  statistics = PoseStatistics(
    np.zeros(SKELETON.num_values, np.float32),
    np.float32(1),
    np.ones(SKELETON.num_joints, bool),
    noise=noise,
  )
  keys = jax.random.split(jax.random.key(3), 2)
  length = jnp.full(2, FRAMES)
  settings = flow_solver.Solver(steps, solver, 1.0)
  poses, _, lengths = flow_solver.integrate(
    Gaussian(), None, keys, length, FRAMES, settings, statistics
  )
  start = flow_solver.start(keys, length, FRAMES, SKELETON, noise)
  # The path at time t is sqrt((1 - t)^2 + (t SCALE)^2) times the noise.
  last = jax.nn.sigmoid(LOGITS[1])
  path = jnp.sqrt((1 - last) ** 2 + (last * SCALE) ** 2)
  left = last * SCALE**2 / path
  logs = jnp.log(lengths) / (left * start.lengths)
  np.testing.assert_allclose(jnp.median(logs), 1, atol=0.5)
  exact = left * start.poses
  exact = hand_space.from_hand_space(exact.reshape(2, FRAMES, -1, 3), SKELETON)
  difference = np.asarray(poses) - np.asarray(exact).reshape(poses.shape)
  return float(np.sqrt(np.mean(difference**2)) / np.std(exact))


def test_the_multistep_solver_is_more_exact_at_the_same_cost():
  euler, multistep = _error("euler"), _error("multistep")
  assert multistep < 0.4 * euler
  assert _error("heun") < 0.4 * euler


@pytest.mark.parametrize("solver", ["euler", "multistep", "heun"])
def test_more_steps_are_more_exact(solver):
  assert _error(solver, 4 * STEPS) < 0.6 * _error(solver)
  assert _error(solver, 100) < 0.05


def test_the_noise_of_a_clip_does_not_depend_on_padding():
  noise = remembering(unit_noise(SKELETON), 0.8)
  keys, length = jax.random.split(jax.random.key(0), 3), jnp.asarray([4, 3, 1])
  short, longer = (
    flow_solver.start(keys, length, frames, SKELETON, noise)
    for frames in (4, 9)
  )
  for row, frames in enumerate(length):
    np.testing.assert_allclose(
      longer.poses[row, :frames], short.poses[row, :frames], atol=1e-5
    )
  np.testing.assert_array_equal(longer.lengths, short.lengths)
  assert np.var(longer.lengths) == pytest.approx(1, abs=0.4)


def test_the_temperature_acts_on_what_a_clip_has_in_common():
  keys = jax.random.split(jax.random.key(0), 200)
  one, two = (
    flow_solver.start(
      keys, jnp.full(200, 5), 5, SKELETON, unit_noise(SKELETON), temperature
    )
    for temperature in (1.0, 2.0)
  )
  np.testing.assert_array_equal(two.lengths, one.lengths)
  added = np.asarray(two.poses - one.poses)
  np.testing.assert_allclose(added, added[:, :1].repeat(5, 1), atol=1e-5)
  assert np.var(added) == pytest.approx(0.5, abs=0.1)
