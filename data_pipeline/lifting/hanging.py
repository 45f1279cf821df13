"""Lifts keypoints of a skeleton with a face: body and hands, the rest hung on.

The joints of prompt2sign50 are lifted. A face is near a plane before the head:
its points, eyes and ears keep their place about the nose in the picture and
have the depth of the nose. Legs hang on the neck likewise.
"""

import numpy as np

from data_pipeline.lifting import lifter
from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton

_LEGS = ("_hip", "_knee", "_ankle")


def hang(
  keypoints: clips.Keypoints, lifted: lifter.Lifted, target: Skeleton
) -> tuple[np.ndarray, np.ndarray]:
  """Positions [T, J, 3] in the coordinates of the keypoints, and a mask [T, J].

  A hung joint is seen where its keypoint is. Where the nose or the neck itself
  is not, the joint keeps its own place in the picture.

  Args:
    keypoints: [T frames] of `target.detected`.
    lifted: its joints of prompt2sign50, lifted.
    target: a skeleton in 3-D with the same joints as the keypoints.
  """
  frames = np.zeros((len(keypoints), *target.shape), np.float32)
  valid = np.zeros(frames.shape[:2], bool)
  flat, seen = keypoints.frames[..., :2], keypoints.valid
  for joint, name in enumerate(target.joints):
    own = PROMPT2SIGN50.find(name)
    if own is not None:
      frames[:, joint] = lifted.frames[:, own]
      valid[:, joint] = lifted.valid[:, own]
      continue
    anchor = "neck" if name.endswith(_LEGS) else "nose"
    place = lifted.frames[:, PROMPT2SIGN50.joint(anchor)]
    hook = target.joint(anchor)
    moved = np.where(seen[:, hook, None], place[:, :2] - flat[:, hook], 0)
    frames[:, joint, :2] = flat[:, joint] + moved
    frames[:, joint, 2] = place[:, 2]
    valid[:, joint] = seen[:, joint]
  return frames, valid
