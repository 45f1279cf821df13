"""Poses with a face that shows nobody: ellipses and arcs."""

from collections.abc import Iterator

import numpy as np

from signllm_jax.core.skeleton import SIDES, Skeleton


def stand(
  skeleton: Skeleton, brows: float = 0.0, mouth: float = 0.3
) -> np.ndarray:
  """A frame [J, D] of a person with open hands; canonical.

  Args:
    skeleton: any.
    brows: how far they are raised, 0 to 1.
    mouth: how far it is open, 0 to 1.
  """
  frame = np.zeros(skeleton.shape, np.float32)
  for name in ("nose", "neck"):
    if (joint := skeleton.find(name)) is not None:
      frame[joint, 1] = -0.2 if name == "nose" else 0
  for side, sign in zip(SIDES, (1, -1), strict=True):
    shoulder, elbow, wrist = skeleton.arm(side)
    frame[shoulder, 0] = sign / 6
    frame[elbow, :2] = sign * 0.24, 0.26
    frame[wrist, :2] = sign * 0.13, 0.12
    root = skeleton.hand(side)
    frame[root] = frame[wrist]
    for finger in range(5):
      angle = np.pi / 2 + sign * (0.35 * (finger - 2) - 0.2)
      for joint in range(4):
        reach = (0.06 if finger == 0 else 0.095) + 0.03 * joint
        way = reach * np.array([np.cos(angle), -np.sin(angle)])
        frame[root + 1 + 4 * finger + joint, :2] = frame[root, :2] + way
  if skeleton.face:
    place(skeleton, frame, np.array([0, -0.2]), 0.075, brows, mouth)
  return frame


def place(
  skeleton: Skeleton,
  frame: np.ndarray,
  nose: np.ndarray,
  width: float,
  brows: float = 0.0,
  mouth: float = 0.3,
  tilt: float = 0.0,
) -> None:
  """Puts a face into a frame.

  Args:
    skeleton: one with a face.
    frame: [J, D], changed.
    nose: [2] its place.
    width: half of the face's.
    brows: how far they are raised, 0 to 1.
    mouth: how far it is open, 0 to 1.
    tilt: of the head, in radians.
  """
  turn = np.array([[np.cos(tilt), np.sin(tilt)], [-np.sin(tilt), np.cos(tilt)]])
  for line, points in _lines(skeleton, brows, mouth):
    frame[list(line), :2] = nose + width * points @ turn


def _lines(
  skeleton: Skeleton, brows: float, mouth: float
) -> Iterator[tuple[tuple[int, ...], np.ndarray]]:
  features = skeleton.features
  (outline,) = features["outline"]
  mesh = outline[0] == outline[-1]  # MediaPipe's; else iBUG's
  count = len(outline)
  angles = (
    np.linspace(-np.pi / 2, 1.5 * np.pi, count)
    if mesh
    else np.linspace(np.pi, 0, count)
  )
  # Ears are at the height of the eyes; a jaw begins there.
  y = np.where(np.sin(angles) < 0, 1.1, 1.75) * np.sin(angles) - 0.4
  yield outline, np.stack([np.cos(angles), y], -1)
  for number, line in enumerate(features["brows"]):
    left = number >= len(features["brows"]) // 2
    low = 0.14 * (mesh and number % 2)
    x = np.linspace(-0.3, 0.3, len(line))
    y = -0.78 - 0.3 * brows + 1.2 * x**2 + low
    x = x[::-1] if mesh and left else x
    yield line, np.stack([x + (0.42 if left else -0.42), y], -1)
  for line in features.get("nose", ()):
    t = np.linspace(0, 1, len(line))
    bridge = line[0] == features["nose"][0][0]
    x = 0 * t if bridge else 0.5 * t - 0.25
    yield line, np.stack([x, 0.6 * t - 0.45 if bridge else 0 * t + 0.25], -1)
  for number, line in enumerate(features["eyes"]):
    flip = -1 if mesh and number else 1
    middle = (0.42 if number else -0.42, -0.42)
    yield line, _ring(len(line), 0.22 * flip, 0.09) + np.array(middle)
  for number, line in enumerate(features["mouth"]):
    high = 0.13 - 0.09 * number + 0.22 * mouth
    ring = _ring(len(line), 0.42 - 0.08 * number, high)
    yield line, ring + np.array([0, 0.62])


def _ring(count: int, wide: float, high: float) -> np.ndarray:
  """A closed ellipse [count, 2] from its left over its top."""
  angles = np.linspace(np.pi, 3 * np.pi, count)
  return np.stack([wide * np.cos(angles), high * np.sin(angles)], -1)
