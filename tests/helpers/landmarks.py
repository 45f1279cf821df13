"""Landmark recordings in MediaPipe's layout, for tests."""

import pathlib

import numpy as np


def frames_258(count: int, seed: int = 0) -> np.ndarray:
  """Frames [count, 258] of a person with both hands in the picture."""
  random = np.random.default_rng(seed)
  frames = random.uniform(0.3, 0.7, (1, 258)) + np.zeros((count, 1))
  frames += random.uniform(0, 0.05, (count, 258))
  pose = frames[:, :132].reshape(count, 33, 4)
  pose[:, 11, 0], pose[:, 12, 0] = 0.7, 0.3  # shoulders apart
  pose[..., 3] = random.uniform(0.9, 1, (count, 33))
  return frames


def write_recording(
  folder: pathlib.Path, frames: np.ndarray, first: int = 0
) -> None:
  """Writes a .npy a frame, numbered from `first`; removes earlier ones."""
  folder.mkdir(parents=True, exist_ok=True)
  for path in folder.iterdir():
    path.unlink()
  for number, frame in enumerate(frames, first):
    np.save(folder / f"{number}.npy", frame)
