"""The positions at which clips are compared."""

import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax.data.noise_moments import POSITIONS, positions


@pytest.mark.parametrize("frames", [20, 300])
def test_the_ends_are_a_frame_apart(frames):
  places = positions(np.array([frames - 1]))
  np.testing.assert_allclose(places[:4], range(4))
  np.testing.assert_allclose(places[-4:], range(frames - 4, frames))
  inner = np.diff(places[3:-3])
  np.testing.assert_allclose(inner, inner[0])


def test_a_short_clip_is_divided_evenly():
  np.testing.assert_allclose(
    positions(np.array([5])), np.linspace(0, 5, POSITIONS)
  )
  np.testing.assert_allclose(positions(np.array([0])), 0)


def test_clips_of_a_batch_are_as_alone():
  last = np.asarray([[0], [5], [19], [299]])
  each = [positions(x) for x in last]
  np.testing.assert_allclose(positions(last), each)
  np.testing.assert_allclose(positions(jnp.asarray(last)), each, rtol=1e-6)
