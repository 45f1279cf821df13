"""The part that clips of different skeletons share: the 50 joints, from front.

prompt2sign50 is a part of every skeleton. Depth is left out: lifted, detected
and absent depths do not compare.
"""

import dataclasses
from collections.abc import Sequence

import numpy as np

from signllm_jax.core import reduction
from signllm_jax.core.clips import Clip, Keypoints
from signllm_jax.core.skeleton import PROMPT2SIGN50

FRONT50 = dataclasses.replace(
  PROMPT2SIGN50, name="prompt2sign50 from the front", dims=2
)


def to_front(clip: Clip) -> Clip:
  """The 50 joints of a clip of any skeleton, in x and y.

  Raises:
    DataError: its skeleton lacks some of them.
  """
  return reduction.reduce(clip, FRONT50)


def of_keypoints(keypoints: Keypoints) -> Clip:
  """The clip of keypoints: of 50 joints from the front, else as they stand."""
  if keypoints.skeleton != PROMPT2SIGN50:
    return keypoints.as_clip()
  frames = np.where(keypoints.valid[..., None], keypoints.frames[..., :2], 0)
  return Clip(
    frames.astype(np.float32),
    keypoints.valid,
    keypoints.fps,
    keypoints.name,
    keypoints.text,
    keypoints.gloss,
    skeleton=FRONT50,
  )


def share(*groups: Sequence[Clip]) -> tuple[list[list[Clip]], str]:
  """Brings groups of clips to one skeleton.

  Returns:
    The groups, in order, and a sentence that says what was left out; empty
    where all clips had the same skeleton already.
  """
  found = {clip.skeleton.name: clip.skeleton for g in groups for clip in g}
  if len(found) < 2 and len({each.dims for each in found.values()}) < 2:
    return [list(group) for group in groups], ""
  note = (
    f"The clips have the skeletons {', '.join(sorted(found))}. They are scored "
    "on what these share: 50 joints of body and hands, x and y; faces, legs "
    "and depth are left out."
  )
  return [[to_front(clip) for clip in group] for group in groups], note
