"""Postprocessing of generated clips: speed, smoothing, constant bones.

The model's own frames stay the default: what is measured is what it made.
"""

import dataclasses
from typing import NamedTuple

import numpy as np

from signllm_jax.core import bones, clips, errors

SPEEDS = (0.25, 4.0)  # slowest and fastest signing, times the model's own

# Of the one-euro filter. On ten real clips it takes away a quarter of the third
# differences and moves joints by 0.007 (2 % of the shoulders).
_CUTOFF = 1.5  # Hz, for a joint that rests
_BETA = 30.0  # Hz more for a speed of one unit a second
_SPEED_CUTOFF = 1.0  # Hz, of the speed itself; Casiez et al.'s value


class Options(NamedTuple):
  """Options of postprocessing; the default changes nothing."""

  speed: float = 1.0  # of signing; 2 is twice as fast
  smooth: bool = False  # `smoothed`
  constant_bones: bool = False  # `with_constant_bones`


UNCHANGED = Options()


def check(options: Options) -> None:
  """Checks that the speed is within `SPEEDS`.

  Raises:
    UsageError: names it.
  """
  slowest, fastest = SPEEDS
  if not slowest <= options.speed <= fastest:
    raise errors.UsageError(
      f"a speed of {options.speed:g}",
      expected=f"{slowest:g} to {fastest:g} times the model's own",
    )


def apply(clip: clips.Clip, options: Options) -> clips.Clip:
  """Applies the options; the default ones change nothing."""
  if options.speed != 1:
    clip = at_speed(clip, options.speed)
  if options.smooth:
    clip = smoothed(clip)
  # Last: the others shorten bones a little.
  return with_constant_bones(clip) if options.constant_bones else clip


def at_speed(clip: clips.Clip, speed: float) -> clips.Clip:
  """The clip signed faster or slower, at its own frame rate.

  Poses are interpolated in time (`clips.resample`); first and last stay.
  """
  slower = clips.resample(clip, clip.fps / speed)
  return dataclasses.replace(slower, fps=clip.fps)


def with_constant_bones(clip: clips.Clip) -> clips.Clip:
  """The clip with every bone as long as its median over the clip.

  Left and right share a length, as bones of a skeleton do. Each limb keeps its
  direction and is set on its parent, from the root outwards; then the frame is
  moved so that its neck stays where it was. A limb without direction or with
  a missing end is left as it is.
  """
  frames = clip.frames.astype(np.float64)
  medians = bones.median_lengths(frames, clip.valid, clip.skeleton)
  lengths = medians[clip.skeleton.limb_bones]
  out = bones.hold(frames, lengths, clip.valid, clip.skeleton)
  out[~clip.valid] = 0
  return dataclasses.replace(clip, frames=out.astype(np.float32))


def smoothed(clip: clips.Clip) -> clips.Clip:
  """The clip through a one-euro filter, joint by joint.

  A low-pass filter whose cut-off rises with the joint's speed: what rests
  comes to rest, what moves fast is not held back (Casiez, Roussel and Vogel,
  CHI 2012). It looks at earlier frames alone. A joint that was missing starts
  anew.
  """
  out = clip.frames.astype(np.float64)
  place = np.zeros(clip.skeleton.shape)
  velocity = np.zeros(clip.skeleton.shape)
  seen = np.zeros(clip.skeleton.num_joints, bool)
  for t, valid in enumerate(clip.valid):
    now = out[t]
    change = np.where(seen[:, None], now - place, 0) * clip.fps
    velocity += _weight(_SPEED_CUTOFF, clip.fps) * (change - velocity)
    velocity[~seen] = 0
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    weight = _weight(_CUTOFF + _BETA * speed, clip.fps)
    place = np.where(seen[:, None], place + weight * (now - place), now)
    out[t] = place
    seen = valid
  out[~clip.valid] = 0
  return dataclasses.replace(clip, frames=out.astype(np.float32))


def _weight(cutoff, fps: float):
  """Weight of a new value in exponential smoothing, for a cut-off in Hz."""
  step = 2 * np.pi * cutoff / fps
  return step / (step + 1)
