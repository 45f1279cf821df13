"""Clips: pose sequences as files, records and models exchange them."""

import dataclasses

import numpy as np

from signllm_jax.core import errors, limits
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton

SHOULDER_WIDTH = 1 / 3  # canonical distance of the shoulders in x and y


@dataclasses.dataclass(frozen=True)
class Clip:
  """A sequence of poses with its texts.

  Attributes:
    frames: [T, J, D] float32, x right, y down and, if D is 3, z away; 0 where
      not valid.
    valid: [T, J] bool, False where the joint is missing.
    fps: frames per second.
    name: of its source file or video.
    text: its sentence or word, in the spoken language.
    gloss: its gloss; empty if there is none.
    prompt: its text as a question; empty if there is none.
    skeleton: its joints.
  """

  frames: np.ndarray
  valid: np.ndarray
  fps: float = 25.0
  name: str = ""
  text: str = ""
  gloss: str = ""
  prompt: str = ""
  skeleton: Skeleton = PROMPT2SIGN50

  def __post_init__(self):
    t, (joints, dims) = len(self.frames), self.skeleton.shape
    if self.frames.shape != (t, joints, dims):
      raise errors.DataError(
        f"clip {self.name!r} has frames of shape {self.frames.shape}",
        expected=f"(T, {joints}, {dims}) of {self.skeleton.name}",
      )
    if self.valid.shape != (t, joints):
      raise errors.DataError(
        f"clip {self.name!r} has a mask of shape {self.valid.shape}",
        expected=f"({t}, {joints}) of {self.skeleton.name}",
      )

  def __len__(self) -> int:
    return len(self.frames)


@dataclasses.dataclass(frozen=True)
class Keypoints:
  """A sequence of 2-D keypoints of one signer, as a detector saw them.

  Attributes:
    frames: [T, J, 3] float32, x right and y down in pixels, then the
      detector's confidence in [0, 1]; all 0 where the joint was not seen.
    fps: frames per second.
    size: width and height of the image in pixels; None if unknown.
    name: of the clip.
    text: its sentence or word, in the spoken language; empty if unknown.
    gloss: its gloss; empty if there is none.
    skeleton: its joints, whatever numbers a joint its clips have.
    depth: [T, J] float32, z away in pixels where the source has it; or None.
  """

  frames: np.ndarray
  fps: float = 25.0
  size: tuple[int, int] | None = None
  name: str = ""
  text: str = ""
  gloss: str = ""
  skeleton: Skeleton = PROMPT2SIGN50
  depth: np.ndarray | None = None

  def __post_init__(self):
    t, joints = len(self.frames), self.skeleton.num_joints
    if self.frames.shape != (t, joints, 3):
      raise errors.DataError(
        f"keypoints {self.name!r} have frames of shape {self.frames.shape}",
        expected=f"(T, {joints}, 3) of {self.skeleton.name}",
      )

  def __len__(self) -> int:
    return len(self.frames)

  @property
  def valid(self) -> np.ndarray:
    """[T, J] bool, False where the joint was not seen."""
    return self.frames[..., 2] > 0

  def as_clip(self) -> Clip:
    """The clip of a skeleton that needs no lifting: x, y and, in 3-D, depth.

    Raises:
      DataError: the skeleton is in 3-D and the keypoints have no depth.
    """
    frames = self.frames[..., :2]
    if self.skeleton.dims == 3:
      if self.depth is None:
        raise errors.DataError(
          f"keypoints {self.name!r} have no depth",
          expected=f"x, y, z of {self.skeleton.name}",
        )
      frames = np.concatenate([frames, self.depth[..., None]], -1)
    frames = np.where(self.valid[..., None], frames, 0).astype(np.float32)
    texts = self.fps, self.name, self.text, self.gloss
    return Clip(frames, self.valid, *texts, skeleton=self.skeleton)


def check_rate(fps: float, name: str) -> None:
  """Refuses frames per second that no clip has, NaN among them.

  Raises:
    DataError: names the clip.
  """
  if not limits.is_rate(fps):
    raise errors.DataError(
      f"clip {name!r} has {fps:g} frames a second", expected=limits.RATES
    )


def swap_sides(clip: Clip) -> Clip:
  """Exchanges the labels left and right; x is not mirrored."""
  order = clip.skeleton.swap_sides
  return dataclasses.replace(
    clip, frames=clip.frames[:, order], valid=clip.valid[:, order]
  )


def canonical(clip: Clip, shoulder_width: float = SHOULDER_WIDTH) -> Clip:
  """Normalises a clip: the neck at the origin, one scale for the clip.

  The scale sets the median shoulder distance in x and y, so that constant bone
  lengths stay constant (Prompt2Sign's lifting, stage 5). A skeleton
  without a neck has the middle of the shoulders at the origin. A frame without
  an origin loses all its joints.

  Args:
    clip: in any unit.
    shoulder_width: median distance of the shoulders in the result.

  Raises:
    DataError: no frame shows the origin and both shoulders.
  """
  skeleton = clip.skeleton
  shoulders = list(skeleton.shoulders)
  seen = clip.valid[:, [*skeleton.origin, *shoulders]].all(1)
  right, left = (clip.frames[seen, joint, :2] for joint in shoulders)
  width = np.median(np.linalg.norm(right - left, axis=-1)) if len(left) else 0.0
  if not width > 0:
    raise errors.DataError(
      f"clip {clip.name!r} never shows the neck and two distinct shoulders",
      hint="Drop the clip or check the keypoints it was made from",
    )
  frames = clip.frames - skeleton.origin_of(clip.frames)
  frames = (frames * (shoulder_width / width)).astype(np.float32)
  valid = clip.valid & skeleton.origin_shown(clip.valid)[:, None]
  frames[~valid] = 0
  return dataclasses.replace(clip, frames=frames, valid=valid)


def resample(clip: Clip, fps: float) -> Clip:
  """Interpolates a clip linearly in time to another frame rate.

  The first and the last frame are kept, so the clip's duration changes by at
  most half a new frame: signing often ends in a fast movement, which a grid
  without the last frame would cut. A joint is valid in a new frame when it is
  valid in both frames that are interpolated.

  Raises:
    DataError: it would have more than `limits.MAX_FRAMES`.
  """
  if fps == clip.fps or len(clip) < 2:
    return dataclasses.replace(clip, fps=fps if len(clip) < 2 else clip.fps)
  seconds = (len(clip) - 1) / clip.fps
  count = max(round(min(seconds * fps, 2 * limits.MAX_FRAMES)), 1) + 1
  if count > limits.MAX_FRAMES:
    raise errors.DataError(
      f"clip {clip.name!r} of {len(clip)} frames at {clip.fps:g} a second "
      f"would be too long at {fps:g}",
      expected=f"at most {limits.MAX_FRAMES} frames",
    )
  return dataclasses.replace(with_frames(clip, count), fps=fps)


def with_frames(clip: Clip, count: int) -> Clip:
  """Interpolates a clip linearly in time to so many frames, as `resample`.

  The frame rate stays as it is: the clip becomes slower or faster. A single
  frame is repeated.
  """
  if len(clip) < 2:
    frames, valid = (x.repeat(count, 0) for x in (clip.frames, clip.valid))
    return dataclasses.replace(clip, frames=frames, valid=valid)
  times = np.linspace(0, len(clip) - 1, count)
  before = np.minimum(times.astype(int), len(clip) - 2)
  weight = (times - before).astype(np.float32)[:, None, None]
  frames = clip.frames[before] * (1 - weight) + clip.frames[before + 1] * weight
  uses_before, uses_after = weight[..., 0] < 1, weight[..., 0] > 0
  valid = (clip.valid[before] | ~uses_before) & (
    clip.valid[before + 1] | ~uses_after
  )
  frames[~valid] = 0
  return dataclasses.replace(clip, frames=frames, valid=valid)
