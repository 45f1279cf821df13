"""How good a clip is, what is done with bad ones, and condensing in time.

Nothing here changes a number that a detector saw, and no missing joint is made
up: policies and condensing choose frames, resampling keeps a joint only where
both frames around it have it.

Dim letters: T frames, J = 50 joints, N = 49 limbs.
"""

import dataclasses
import re
from typing import Literal, TypeVar

import numpy as np

from data_pipeline.keypoints import cleaning
from data_pipeline.lifting import bones, lifter
from signllm_jax.core import clips, errors, skeleton

Policy = Literal["drop", "trim", "keep"]
AnyClip = TypeVar("AnyClip", clips.Clip, clips.Keypoints)

_APART = 0.25  # shoulder widths between wrists, to tell whose a hand is


@dataclasses.dataclass(frozen=True)
class Missing:
  """How much of a part of the body was not seen."""

  share: float  # of its joints, over all frames
  frames: int  # in which none of its joints was seen
  longest: int  # most of these in a row


@dataclasses.dataclass(frozen=True)
class Quality:
  """What was measured of a clip; None where it cannot be. Fits in JSON.

  Attributes:
    name: of the clip.
    frames: its length.
    seconds: its length.
    missing: part of `skeleton.PARTS` -> how much was not seen.
    pruned: frames whose mean confidence over the body is below 0.3 (the
      lifting leaves them out). A clip in 3-D has its mask for confidence.
    objective: J of the lifting, before and after.
    bone_ratios: ratio of `bones.RATIOS` -> of the clip's median bones in 3-D.
    strange: ratios that no human body has.
    bone_change: how far a limb's length changes in 3-D (`bones.change`).
    jitter: mean jerk of the wrists in the picture, in shoulder widths / s^3.
    flipped: "shoulders" and "hands" -> frames in which they have the sides
      that they do not have in most.
  """

  name: str
  frames: int
  seconds: float
  missing: dict[str, Missing]
  pruned: int
  objective: tuple[float, float] | None
  bone_ratios: dict[str, float] | None
  strange: tuple[str, ...]
  bone_change: float | None
  jitter: float | None
  flipped: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Limits:
  """What a clip may have at most; what was not measured is not judged."""

  min_frames: int = 5
  body_missing: float = 0.3  # share
  hands_missing: float = 0.7  # share, of the hand that is seen more
  pruned: float = 0.3  # share of frames
  flipped: float = 0.2  # share of frames
  jitter: float = 5_000.0  # shoulder widths / s^3
  objective: float = 0.1  # after the lifting
  strange_bones: int = 2  # ratios
  bone_change: float = 1.0


LIMITS = Limits()


def measure(
  clip: clips.Keypoints | clips.Clip, lifted: lifter.Lifted | None = None
) -> Quality:
  """Measures a clip.

  Args:
    clip: keypoints as they were seen, or a clip in 3-D.
    lifted: the keypoints' lifting (of all frames or of some), for what can
      only be measured in 3-D. A clip in 3-D needs none.
  """
  t, valid = len(clip), clip.valid
  width = shoulder_width(clip)
  limbs = None
  if lifted is not None:
    limbs = bones.limb_lengths(lifted.frames, lifted.valid)
  elif isinstance(clip, clips.Clip):
    limbs = bones.limb_lengths(clip.frames, valid)
  ratios = None if limbs is None else bones.ratios(bones.bone_lengths(limbs))
  return Quality(
    name=clip.name,
    frames=t,
    seconds=t / clip.fps,
    missing={
      part: _missing(valid[:, joints])
      for part, joints in skeleton.PARTS.items()
    },
    pruned=int(np.sum(unusable(clip))),
    objective=None if lifted is None else lifted.objective,
    bone_ratios=ratios,
    strange=bones.strange(ratios or {}),
    bone_change=None if limbs is None else bones.change(limbs),
    jitter=_jitter(clip, width),
    flipped={
      name: int(np.sum(frames)) for name, frames in flipped(clip).items()
    },
  )


def badness(measured: Quality) -> dict[str, float | None]:
  """Name of a limit -> what it is on; more is worse, None is not measured."""
  t = max(measured.frames, 1)
  left, right = (measured.missing[f"{side}_hand"] for side in ("left", "right"))
  return {
    "body_missing": measured.missing["body"].share,
    "hands_missing": min(left.share, right.share),
    "pruned": measured.pruned / t,
    "flipped": max(measured.flipped.values()) / t,
    "jitter": measured.jitter,
    "objective": None if not measured.objective else measured.objective[1],
    "strange_bones": len(measured.strange),
    "bone_change": measured.bone_change,
  }


def faults(measured: Quality, limits: Limits = LIMITS) -> dict[str, str]:
  """Name of each limit that a clip fails -> how; empty if it is good."""
  wrong = {}
  if measured.frames < limits.min_frames:
    wrong["min_frames"] = f"{measured.frames} < {limits.min_frames}"
  allowed = dataclasses.asdict(limits)
  for name, value in badness(measured).items():
    if value is not None and value > allowed[name]:
      wrong[name] = f"{value:.4g} > {allowed[name]:g}"
  return wrong


def apply(
  policy: Policy, clip: AnyClip, measured: Quality, limits: Limits = LIMITS
) -> AnyClip | None:
  """What a policy leaves of a clip; None if nothing.

  Args:
    policy: `keep` leaves all to the mask; `trim` cuts frames off both ends
      that the lifting would prune, and leaves the middle as it is; `drop`
      leaves out a clip that fails the limits.
    clip: keypoints or a clip in 3-D.
    measured: its quality.
    limits: for `drop`.

  Raises:
    UsageError: no such policy.
  """
  if policy == "keep":
    return clip
  if policy == "drop":
    return None if faults(measured, limits) else clip
  if policy == "trim":
    usable = np.flatnonzero(~unusable(clip))
    if not len(usable):
      return None
    return _take(clip, slice(usable[0], usable[-1] + 1))
  raise errors.UsageError(
    f"unknown policy {policy!r}", expected="drop, trim or keep"
  )


def condense(clip: AnyClip, by: str) -> AnyClip:
  """Fewer frames for the same movement, in one of two forms.

  Args:
    clip: keypoints or a clip in 3-D.
    by: "1/5" takes every fifth frame from the first on, as Prompt2Sign's
      condensed sets do; "12.5fps" resamples to that rate.

  Raises:
    UsageError: neither of the forms.
  """
  if match := re.fullmatch(r"1/([1-9]\d{0,3})", by):
    step = int(match[1])
    return dataclasses.replace(
      _take(clip, slice(None, None, step)), fps=clip.fps / step
    )
  match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,4})?)fps", by)
  if match and float(match[1]) > 0:
    return resample(clip, float(match[1]))
  raise errors.UsageError(
    f"cannot condense by {by!r}",
    expected="1/N for every N-th frame, or a rate such as 12.5fps",
  )


def resample(clip: AnyClip, fps: float) -> AnyClip:
  """`clips.resample`, for keypoints too: confidence goes with the place."""
  if isinstance(clip, clips.Clip):
    return clips.resample(clip, fps)
  moved = clips.resample(clips.Clip(clip.frames, clip.valid, clip.fps), fps)
  return dataclasses.replace(clip, frames=moved.frames, fps=moved.fps)


def unusable(clip: clips.Keypoints | clips.Clip) -> np.ndarray:
  """[T] bool, frames that the lifting prunes: the body is barely seen."""
  seen = clip.valid if isinstance(clip, clips.Clip) else clip.frames[..., 2]
  body = seen[:, skeleton.PARTS["body"]].mean(1, dtype=np.float32)
  return body < cleaning.MIN_BODY_CONFIDENCE


def shoulder_width(clip: clips.Keypoints | clips.Clip) -> float | None:
  """Median distance in x and y; None if never seen or 0."""
  ends = [skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER]
  seen = clip.frames[clip.valid[:, ends].all(1)][:, ends, :2]
  if not len(seen):
    return None
  return (
    float(np.median(np.linalg.norm(seen[:, 0] - seen[:, 1], axis=-1))) or None
  )


def flipped(clip: clips.Keypoints | clips.Clip) -> dict[str, np.ndarray]:
  """Frames [T] bool whose sides differ from those in most frames.

  Shoulders by the order of their x; a hand by the arm's end it is nearer to,
  where the arms' ends are apart: arms cross in signing, hands do not leave.
  """
  xy, valid = clip.frames[..., :2], clip.valid
  right, left = skeleton.RIGHT_SHOULDER, skeleton.LEFT_SHOULDER
  order = np.sign(xy[:, left, 0] - xy[:, right, 0])
  shoulders = _minority(order * (valid[:, left] & valid[:, right]))
  apart = _APART * (shoulder_width(clip) or 0)
  wrists = skeleton.LEFT_WRIST, skeleton.RIGHT_WRIST
  hands = np.zeros(len(clip), bool)
  for root, own, other in (
    (skeleton.LEFT_HAND, *wrists),
    (skeleton.RIGHT_HAND, *wrists[::-1]),
  ):
    to_own, to_other = (
      np.linalg.norm(xy[:, root] - xy[:, end], axis=-1) for end in (own, other)
    )
    clear = np.abs(to_own - to_other) > apart
    seen = valid[:, [root, own, other]].all(1) & clear
    hands |= _minority(np.sign(to_other - to_own) * seen)
  return {"shoulders": shoulders, "hands": hands}


def _missing(valid: np.ndarray) -> Missing:
  absent = ~valid.any(1)
  # Lengths of the runs between changes of the padded mask, every second one.
  edges = np.flatnonzero(np.diff(np.pad(absent, 1).astype(np.int8)))
  return Missing(
    share=float(1 - valid.mean()) if len(valid) else 1.0,
    frames=int(absent.sum()),
    longest=int(np.max(np.diff(edges)[::2], initial=0)),
  )


def _jitter(
  clip: clips.Keypoints | clips.Clip, width: float | None
) -> float | None:
  """Mean size of the wrists' third difference in time, where four are seen."""
  wrists = [skeleton.RIGHT_WRIST, skeleton.LEFT_WRIST]
  seen, n = clip.valid[:, wrists], len(clip) - 3
  if width is None or n < 1:
    return None
  whole = np.all([seen[i : i + n] for i in range(4)], 0)
  if not whole.any():
    return None
  jerk = np.diff(clip.frames[:, wrists, :2].astype(np.float64), 3, axis=0)
  size = np.linalg.norm(jerk, axis=-1)[whole].mean()
  return float(size * clip.fps**3 / width)


def _minority(sides: np.ndarray) -> np.ndarray:
  """[T] bool, where sides (1, -1, or 0 for none) are not the usual one."""
  return sides == (1 if sides.sum() < 0 else -1)


def _take(clip: AnyClip, frames: slice) -> AnyClip:
  if isinstance(clip, clips.Clip):
    return dataclasses.replace(
      clip, frames=clip.frames[frames], valid=clip.valid[frames]
    )
  return dataclasses.replace(clip, frames=clip.frames[frames])
