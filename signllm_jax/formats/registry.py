"""The formats by suffix or name, and the projection of poses to keypoints.

Some formats hold 3-D poses, some hold keypoints: x, y in the image and a
confidence. Poses become keypoints by dropping the depth; keypoints become poses
by lifting (`data_pipeline lift`).
"""

import dataclasses

import numpy as np

from signllm_jax.core import clips
from signllm_jax.core.skeleton import DWPOSE128, PROMPT2SIGN50
from signllm_jax.formats import bvh, dwpose, dwpose_npz, openpose, pose

CLIP_FILES = {".pose": pose, ".bvh": bvh}  # one clip per file
# One folder a clip.
FRAME_FOLDERS = {
  "openpose": openpose,
  "dwpose": dwpose,
  "dwpose_npz": dwpose_npz,
}
# Names of forms of a folder with a file or folder a clip.
FOLDER_FORMS = (*(suffix[1:] for suffix in CLIP_FILES), *FRAME_FOLDERS)
POSE_FORMATS = (".npz", ".skels", ".pt", *CLIP_FILES)
KEYPOINT_FORMATS = (".h5", *FRAME_FOLDERS)


def to_keypoints(clip: clips.Clip) -> clips.Keypoints:
  """Projects a canonical clip to the front view, in the pixels of .pose."""
  pixels = pose.to_pixels(clip.frames[..., :2])
  frames = np.concatenate([pixels, np.ones_like(pixels[..., :1])], -1)
  return clips.Keypoints(
    frames=np.where(clip.valid[..., None], frames, 0).astype(np.float32),
    fps=clip.fps,
    size=(pose.SIZE, pose.SIZE),
    name=clip.name,
    text=clip.text,
    gloss=clip.gloss,
    skeleton=clip.skeleton,
    depth=_depth(clip),
  )


def _depth(clip: clips.Clip) -> np.ndarray | None:
  """Depth [T, J] in the same pixels; None in 2-D and of lifted clips.

  The joints of prompt2sign50 are lifted: what reads its keypoints makes z anew.
  """
  if clip.skeleton.dims < 3 or clip.skeleton == PROMPT2SIGN50:
    return None
  z = pose.to_pixels(clip.frames)[..., 2]
  return np.where(clip.valid, z, 0).astype(np.float32)


def to_picture(clip: clips.Clip) -> clips.Clip:
  """Places a canonical clip in shares of a picture, as .skels of 385 has them.

  Clips of other skeletons stay as they are.
  """
  if clip.skeleton != DWPOSE128:
    return clip
  shares = pose.to_pixels(clip.frames) / pose.SIZE
  frames = np.where(clip.valid[..., None], shares, 0).astype(np.float32)
  return dataclasses.replace(clip, frames=frames)
