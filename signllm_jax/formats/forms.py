"""Which forms there are, by suffix or by name, and poses as keypoints.

Some forms hold poses in 3-D; some hold keypoints, x, y and confidence in the
picture. Poses become keypoints by leaving out the depth; keypoints become poses
by lifting, which is a stage of its own (`data_pipeline lift`).
"""

import numpy as np

from signllm_jax.core import clips
from signllm_jax.formats import bvh, dwpose, openpose, pose

EACH = {".pose": pose, ".bvh": bvh}  # one clip a file
FRAMES = {"openpose": openpose, "dwpose": dwpose}  # a folder a clip of JSON
POSES = (".npz", ".skels", *EACH)
KEYPOINTS = (".h5", *FRAMES)


def to_keypoints(clip: clips.Clip) -> clips.Keypoints:
  """A canonical clip as it looks from the front, in the pixels of .pose."""
  frames = pose.to_pixels(clip.frames)
  frames[..., 2] = 1
  return clips.Keypoints(
    frames=np.where(clip.valid[..., None], frames, 0).astype(np.float32),
    fps=clip.fps,
    size=(pose.SIZE, pose.SIZE),
    name=clip.name,
    text=clip.text,
    gloss=clip.gloss,
  )
