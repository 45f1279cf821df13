"""Random clips for tests of data."""

import numpy as np

from signllm_jax.core import clips


def random_clip(
  name: str, length: int, words: str = "a b", fps: float = 25.0
) -> clips.Clip:
  """A clip whose left hand is missing; its length seeds its frames."""
  random = np.random.default_rng(length)
  frames = random.random((length, 50, 3)).astype(np.float32)
  valid = np.ones((length, 50), bool)
  valid[:, 8:29] = False
  frames[~valid] = 0
  return clips.Clip(frames, valid, fps, name, words)
