"""Random clips for tests of data."""

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50


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


def signing(seed: int, length: int) -> clips.Clip:
  """A person of 50 joints whose arms and fingers move smoothly."""
  skeleton = PROMPT2SIGN50
  random = np.random.default_rng(seed)
  t = np.linspace(0, 1, length)[:, None, None]

  def wave(joints: int, size: float) -> np.ndarray:
    phase, rate = random.uniform(0, 6, (2, 1, joints, 3))
    return size * np.sin(phase + (2 + rate) * 2 * t)

  frames = np.zeros((length, skeleton.num_joints, 3))
  places = {"nose": (0, -0.25), "right_shoulder": (-1 / 6, 0)}
  places |= {"left_shoulder": (1 / 6, 0)}
  for side, x in (("right", -1), ("left", 1)):
    places[f"{side}_elbow"] = (0.25 * x, 0.25)
  for name, place in places.items():
    frames[:, skeleton.joint(name), :2] = place
  for side, x in (("right", -1), ("left", 1)):
    wrist = np.array([0.12 * x, 0.2, 0]) + wave(1, 0.12)
    hand = list(skeleton.parts[f"{side}_hand"])
    rest = np.random.default_rng(0).normal(0, 0.05, (1, len(hand), 3))
    rest[:, 0] = 0
    fingers = rest + wave(len(hand), 0.02)
    fingers[:, 0] = 0
    frames[:, hand] = wrist + fingers
    frames[:, skeleton.arm(side)[2]] = wrist[:, 0]
  valid = np.ones(frames.shape[:2], bool)
  return clips.Clip(
    frames.astype(np.float32), valid, name=f"clip{seed}", text=f"text {seed}"
  )
