"""Measures the quality of clips, applies a policy and condenses in time.

Detected coordinates are not changed and missing joints are not filled in.
Resampling keeps a joint only where both neighbouring frames have it.

Dim letters: T frames, J joints, N limbs.
"""

import dataclasses
import re
from typing import Literal, TypeVar

import numpy as np

from data_pipeline.keypoints import cleaning
from data_pipeline.lifting import bones, lifter
from signllm_jax.core import clips, errors, limits
from signllm_jax.core.skeleton import PROMPT2SIGN50, SIDES, Skeleton

Policy = Literal["drop", "trim", "keep"]
AnyClip = TypeVar("AnyClip", clips.Clip, clips.Keypoints)

_APART = 0.25  # shoulder widths between wrists for assigning a hand to an arm


@dataclasses.dataclass(frozen=True)
class Missing:
  """Shares of a part of the body that were not detected."""

  share: float  # of its joints, over all frames
  frames: int  # in which none of its joints was detected
  longest: int  # longest run of such frames


@dataclasses.dataclass(frozen=True, kw_only=True)
class Quality:
  """Quality measures of a clip; None where not measured. JSON-compatible.

  Attributes:
    name: name of the clip.
    frames: its length in frames.
    seconds: its length in seconds.
    missing: part of the skeleton -> how much was not detected; of the body
      without the legs, which pictures of signers rarely show.
    pruned: frames whose mean confidence over the body is below 0.3 (lifting
      excludes them). For a 3-D clip the mask is the confidence.
    objective: J before and after the gradient descent.
    bone_ratios: ratio of `bones.RATIOS` -> its value for the median bones.
    strange: names of ratios outside the bounds of `bones.RATIOS`.
    bone_change: relative change of a limb's length (`bones.change`).
    jitter: mean jerk of the wrists in the picture, in shoulder widths / s^3.
    flipped: "shoulders" and "hands" -> number of frames in which left and
      right are exchanged with respect to most frames.
  """

  name: str
  frames: int
  seconds: float
  missing: dict[str, Missing]
  pruned: int
  objective: tuple[float, float] | None = None
  bone_ratios: dict[str, float] | None = None
  strange: tuple[str, ...] = ()
  bone_change: float | None = None
  jitter: float | None
  flipped: dict[str, int]


@dataclasses.dataclass(frozen=True)
class Limits:
  """Limits of a good clip; measures that are None are not compared."""

  min_frames: int = 5
  body_missing: float = 0.3  # share
  hands_missing: float = 0.7  # share, of the hand that is detected more
  pruned: float = 0.3  # share of frames
  flipped: float = 0.2  # share of frames
  jitter: float = 5_000.0  # shoulder widths / s^3
  objective: float = 0.1  # after gradient descent
  strange_bones: int = 2  # ratios
  bone_change: float = 1.0


LIMITS = Limits()


def measure(clip: clips.Keypoints | clips.Clip) -> Quality:
  """Measures keypoints, or a clip in 3-D."""
  t, valid, skeleton = len(clip), clip.valid, clip.skeleton
  parts = {**skeleton.parts, "body": skeleton.upper_body}
  flat = Quality(
    name=clip.name,
    frames=t,
    seconds=t / clip.fps,
    missing={k: _missing(valid[:, joints]) for k, joints in parts.items()},
    pruned=int(np.sum(unusable(clip))),
    jitter=_jitter(clip),
    flipped={k: int(np.sum(frames)) for k, frames in flipped(clip).items()},
  )
  if isinstance(clip, clips.Clip) and skeleton.dims == 3:
    return _with_bones(flat, clip, skeleton)
  return flat


def with_lifted(measured: Quality, lifted: lifter.Lifted) -> Quality:
  """Adds the measures in 3-D of all or some frames of measured keypoints."""
  deep = _with_bones(measured, lifted, PROMPT2SIGN50)
  return dataclasses.replace(deep, objective=lifted.objective)


def _with_bones(
  measured: Quality, clip: clips.Clip | lifter.Lifted, skeleton: Skeleton
) -> Quality:
  limbs = bones.limb_lengths(clip.frames, clip.valid, skeleton)
  ratios = None
  if skeleton == PROMPT2SIGN50:
    ratios = bones.ratios(bones.bone_lengths(limbs))
  return dataclasses.replace(
    measured,
    bone_ratios=ratios,
    strange=bones.strange(ratios or {}),
    bone_change=bones.change(limbs, skeleton),
  )


def limited_measures(measured: Quality) -> dict[str, float | None]:
  """Value of each limit's measure; higher is worse, None if not measured."""
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
  """Limits that a clip fails, each with the comparison; empty if none."""
  failed = {}
  if measured.frames < limits.min_frames:
    failed["min_frames"] = f"{measured.frames} < {limits.min_frames}"
  limit_of = dataclasses.asdict(limits)
  for name, value in limited_measures(measured).items():
    if value is not None and value > limit_of[name]:
      failed[name] = f"{value:.4g} > {limit_of[name]:g}"
  return failed


def apply(
  policy: Policy, clip: AnyClip, measured: Quality, limits: Limits = LIMITS
) -> AnyClip | None:
  """Applies a policy to a clip; None if nothing of it is kept.

  Args:
    policy: `keep` keeps all frames; `trim` removes frames at both ends that
      lifting would prune, but none in the middle; `drop` removes a clip that
      fails the limits.
    clip: keypoints or a clip in 3-D.
    measured: quality of the clip.
    limits: limits of `drop`.

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
  """Reduces the frames of a clip, in one of two forms.

  Args:
    clip: keypoints or a clip in 3-D.
    by: "1/5" takes every fifth frame, starting at the first, as Prompt2Sign's
      condensed sets do; "12.5fps" resamples to that rate.

  Raises:
    UsageError: `by` has neither form.
    DataError: it would have too many frames, or no rate.
  """
  if match := re.fullmatch(r"1/([1-9]\d{0,3})", by, re.ASCII):
    step = int(match[1])
    clips.check_rate(fps := clip.fps / step, clip.name)
    return dataclasses.replace(_take(clip, slice(None, None, step)), fps=fps)
  match = re.fullmatch(r"(\d{1,4}(?:\.\d{1,4})?)fps", by, re.ASCII)
  if match and limits.is_rate(float(match[1])):
    return resample(clip, float(match[1]))
  raise errors.UsageError(
    f"cannot condense by {by!r}",
    expected="1/N for every N-th frame, or a rate such as 12.5fps",
  )


def resample(clip: AnyClip, fps: float) -> AnyClip:
  """Resamples a clip or keypoints; confidences are interpolated too."""
  if isinstance(clip, clips.Clip):
    return clips.resample(clip, fps)
  fields = clip.frames, clip.valid, clip.fps, clip.name
  rows = clips.Clip(*fields, skeleton=clip.skeleton.in_3d)
  resampled = clips.resample(rows, fps)
  return dataclasses.replace(clip, frames=resampled.frames, fps=resampled.fps)


def unusable(clip: clips.Keypoints | clips.Clip) -> np.ndarray:
  """[T] bool, frames that lifting prunes: the body is hardly detected."""
  confidence = (
    clip.valid if isinstance(clip, clips.Clip) else clip.frames[..., 2]
  )
  joints = list(clip.skeleton.upper_body)
  body = confidence[:, joints].mean(1, dtype=np.float32)
  return body < cleaning.MIN_BODY_CONFIDENCE


def shoulder_width(clip: clips.Keypoints | clips.Clip) -> float | None:
  """Median distance of the shoulders in x and y; None if 0 or not detected."""
  ends = list(clip.skeleton.shoulders)
  seen = clip.frames[clip.valid[:, ends].all(1)][:, ends, :2]
  if not len(seen):
    return None
  width = np.median(np.linalg.norm(seen[:, 0] - seen[:, 1], axis=-1))
  return float(width) or None


def flipped(clip: clips.Keypoints | clips.Clip) -> dict[str, np.ndarray]:
  """Frames [T] bool in which left and right differ from most frames.

  Shoulders are compared by the order of their x, a hand by the wrist of the
  arms it is nearer to: arms cross in signing, but a hand stays at its arm.
  """
  xy, valid = clip.frames[..., :2], clip.valid
  skeleton = clip.skeleton
  right, left = skeleton.shoulders
  order = np.sign(xy[:, left, 0] - xy[:, right, 0])
  shoulders = _minority(order * (valid[:, left] & valid[:, right]))
  apart = _APART * (shoulder_width(clip) or 0)
  wrists = skeleton.joint("left_wrist"), skeleton.joint("right_wrist")
  hands = np.zeros(len(clip), bool)
  for side, (own, other) in zip(SIDES, (wrists, wrists[::-1]), strict=True):
    root = skeleton.hand(side)
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


def _jitter(clip: clips.Keypoints | clips.Clip) -> float | None:
  """Mean jerk of the wrists, over runs of four frames that have them."""
  wrists = [clip.skeleton.joint(f"{side}_wrist") for side in SIDES[::-1]]
  seen, n = clip.valid[:, wrists], len(clip) - 3
  width = shoulder_width(clip)
  if width is None or n < 1:
    return None
  whole = np.all([seen[i : i + n] for i in range(4)], 0)
  if not whole.any():
    return None
  jerk = np.diff(clip.frames[:, wrists, :2].astype(np.float64), 3, axis=0)
  size = np.linalg.norm(jerk, axis=-1)[whole].mean()
  return float(size * clip.fps**3 / width)


def _minority(sides: np.ndarray) -> np.ndarray:
  """[T] bool, where sides (1, -1, or 0 for unknown) differ from most."""
  return sides == (1 if sides.sum() < 0 else -1)


def _take(clip: AnyClip, frames: slice) -> AnyClip:
  if isinstance(clip, clips.Clip):
    return dataclasses.replace(
      clip, frames=clip.frames[frames], valid=clip.valid[frames]
    )
  return dataclasses.replace(clip, frames=clip.frames[frames])
