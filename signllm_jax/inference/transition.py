"""Frames between two parts of a text, which no model made."""

import dataclasses

import numpy as np

from signllm_jax.core import clips

SECONDS = 0.24  # of the curve between two parts


def between(before: clips.Clip, after: clips.Clip, pause: float) -> clips.Clip:
  """The frames between two clips: a pause, and a cubic Hermite curve a joint.

  After a pause a joint starts from rest.
  """
  held = round(pause * before.fps)
  curve = _curve(before, after, at_rest=held > 0)
  still = [before.frames[-1:]] * held, [before.valid[-1:]] * held
  return dataclasses.replace(
    curve,
    frames=np.concatenate([*still[0], curve.frames]),
    valid=np.concatenate([*still[1], curve.valid]),
  )


def _curve(
  before: clips.Clip, after: clips.Clip, *, at_rest: bool
) -> clips.Clip:
  count = max(round(SECONDS * before.fps), 1)
  first, last = before.frames[-1], after.frames[0]
  moving = len(before) > 1 and not at_rest
  leaving = first - before.frames[-2] if moving else 0 * first
  arriving = after.frames[1] - last if len(after) > 1 else 0 * last
  steps = count + 1  # from the last frame to the first
  u = (np.arange(1, steps) / steps)[:, None, None]
  frames = (
    (2 * u**3 - 3 * u**2 + 1) * first
    + (3 * u**2 - 2 * u**3) * last
    + steps * (u**3 - 2 * u**2 + u) * leaving
    + steps * (u**3 - u**2) * arriving
  )
  ends = (before.valid[-2:].all(0), after.valid[:2].all(0))
  valid = np.broadcast_to(ends[0] & ends[1], frames.shape[:2]).copy()
  frames[~valid] = 0
  return clips.Clip(
    frames.astype(np.float32), valid, before.fps, skeleton=before.skeleton
  )
