"""Clips of one skeleton as clips of a smaller one, whose joints it has."""

import dataclasses
from typing import TypeVar

import numpy as np

from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import Skeleton

_Clip = TypeVar("_Clip", clips.Clip, clips.Keypoints)


def lacking(source: Skeleton, target: Skeleton) -> list[str]:
  """The joints of a skeleton that another has not and does not derive."""
  return [
    name
    for name in target.joints
    if source.find(name) is None and name not in source.derived
  ]


def reduce(clip: _Clip, target: Skeleton) -> _Clip:
  """The joints of a smaller skeleton, by name.

  Joints that the clip's skeleton derives from others (`Skeleton.derived`) are
  seen where all of these are, with the least of their confidences.

  Args:
    clip: a clip, or keypoints.
    target: its own skeleton, or one of which it has all joints. A clip in 2-D
      does not become one in 3-D.

  Raises:
    DataError: the other skeleton has joints that the clip lacks, or a depth;
      names both skeletons.
  """
  source = clip.skeleton
  if source == target:
    return clip
  missing = lacking(source, target)
  flat = isinstance(clip, clips.Clip) and source.dims < target.dims
  if missing or flat:
    what = f"{len(missing)} joints, {missing[0]} among them" if missing else "z"
    raise errors.DataError(
      f"clip {clip.name!r} of {source.name} cannot become {target.name}: it "
      f"lacks {what}",
      expected=f"a skeleton with all joints of {target.name}",
      hint="Conversion goes to smaller skeletons alone",
    )
  if isinstance(clip, clips.Keypoints):
    return _reduce_keypoints(clip, target)
  places = [
    source.place(name, clip.frames, clip.valid) for name in target.joints
  ]
  frames = np.stack([place for place, _ in places], 1)[..., : target.dims]
  valid = np.stack([seen for _, seen in places], 1)
  frames = np.where(valid[..., None], frames, 0).astype(np.float32)
  return dataclasses.replace(clip, frames=frames, valid=valid, skeleton=target)


def _reduce_keypoints(
  keypoints: clips.Keypoints, target: Skeleton
) -> clips.Keypoints:
  source, values = keypoints.skeleton, keypoints.frames
  if keypoints.depth is not None:
    values = np.concatenate([values, keypoints.depth[..., None]], -1)
  found = []
  for name in target.joints:
    place, seen = source.place(name, values, keypoints.valid)
    joint = source.find(name)
    if joint is None:
      parts = [source.joint(each) for each in source.derived[name]]
      place = place.copy()
      place[:, 2] = values[:, parts, 2].min(1)
    found.append(np.where(seen[:, None], place, 0))
  frames = np.stack(found, 1).astype(np.float32)
  depth = frames[..., 3] if keypoints.depth is not None else None
  return dataclasses.replace(
    keypoints, frames=frames[..., :3], skeleton=target, depth=depth
  )
