"""One file of clips into another form: .h5 .npz .skels .pose and JSON folders.

Some forms hold keypoints, x, y and confidence in the picture (.h5, OpenPose and
DWPose JSON), some poses in 3-D (.npz, .skels), and .pose holds either. Poses
become keypoints by leaving out the depth; keypoints become poses by lifting,
which is a stage of its own.
"""

import dataclasses
import os
import pathlib
from collections.abc import Sequence

import numpy as np

from data_pipeline import intake
from signllm_jax import clips, errors
from signllm_jax.formats import dwpose, h5, npz, openpose, pose, skels, splits

POSES = (".npz", ".skels", ".pose")
KEYPOINTS = (".h5", "openpose", "dwpose")
PIXELS, ORIGIN = 384.0, (256.0, 192.0)  # a canonical clip in 512 x 512 pixels


def to_keypoints(clip: clips.Clip) -> clips.Keypoints:
  """A canonical clip as it looks from the front, in 512 x 512 pixels."""
  frames = clip.frames * PIXELS
  frames[..., :2] += ORIGIN
  frames[..., 2] = 1
  return clips.Keypoints(
    frames=np.where(clip.valid[..., None], frames, 0).astype(np.float32),
    fps=clip.fps,
    size=(pose.SIZE, pose.SIZE),
    name=clip.name,
    text=clip.text,
    gloss=clip.gloss,
  )


def convert(
  source: str | os.PathLike,
  target: str | os.PathLike,
  *,
  form: str = "",
  convention: str = "prompt2sign",
  fps: float = 25.0,
) -> int:
  """Converts all clips of a file or folder; returns how many.

  Args:
    source: .npz, .skels (with .text beside it, if there is one), .pose, .h5, or
      a folder of JSON frame files.
    target: a file that does not exist yet, its form told by its suffix; of
      several clips as .pose or JSON a folder, with one file or folder a clip.
    form: of a target that is a folder: pose, openpose or dwpose.
    convention: of .skels: prompt2sign or pt.
    fps: frames a second, where the source does not say.

  Raises:
    UsageError: no such form; the target exists; keypoints asked to be poses.
    DataError: the source is damaged.
    StorageError: the target cannot be written.
  """
  source, target = pathlib.Path(source), pathlib.Path(target)
  kind = target.suffix.lower() or {"pose": ".pose"}.get(form, form)
  if kind not in (*POSES, *KEYPOINTS):
    raise errors.UsageError(
      f"cannot write the form {kind or 'of a folder'!r}",
      path=target,
      expected=f"a suffix of {' '.join((*POSES, '.h5'))}, or --form=pose, "
      "openpose or dwpose for a folder",
    )
  if target.exists():
    raise errors.UsageError(
      "exists already", path=target, hint="Remove it, or name another output"
    )
  found = _read(source, fps)
  if kind in KEYPOINTS:
    seen = [
      to_keypoints(clips.canonical(each))
      if isinstance(each, clips.Clip)
      else each
      for each in found
    ]
    _write_keypoints(target, kind, seen)
  else:
    flat = [each for each in found if isinstance(each, clips.Keypoints)]
    if flat:
      raise errors.UsageError(
        f"{source} holds keypoints in 2-D, {kind} poses in 3-D",
        hint="Lift them first: python -m data_pipeline lift",
      )
    poses = [each for each in found if isinstance(each, clips.Clip)]
    _write_poses(target, kind, poses, convention)
  return len(found)


def _read(
  source: pathlib.Path, fps: float
) -> Sequence[clips.Clip | clips.Keypoints]:
  suffix = source.suffix.lower()
  if suffix == ".npz":
    return npz.read(source)
  if suffix == ".skels":
    if source.with_suffix(".text").exists():
      return list(splits.read_split(source.parent, source.stem, fps))
    return [
      dataclasses.replace(clip, name=f"{source.stem}/{number:06d}")
      for number, clip in enumerate(skels.read(source, fps), 1)
    ]
  if suffix == ".pose":
    return [_read_pose(source)]
  return [each.read() for each in intake.find(source, fps=fps)]


def _read_pose(source: pathlib.Path) -> clips.Clip | clips.Keypoints:
  """A pose in 3-D if the file is in OpenPose's layout and not flat."""
  seen = pose.read_keypoints(source)
  try:
    clip = pose.read(source)
  except errors.DataError:  # MediaPipe's layout, whose depth is no depth
    return seen
  return clip if clip.frames[..., 2].any() else seen


def _write_poses(
  target: pathlib.Path,
  kind: str,
  poses: Sequence[clips.Clip],
  convention: str,
) -> None:
  if kind == ".npz":
    npz.write(target, poses)
  elif kind == ".skels":
    skels.write(target, poses, convention)
  else:
    canonical = [clips.canonical(each) for each in poses]
    for path, clip in _each(target, canonical, ".pose"):
      pose.write(path, clip)


def _write_keypoints(
  target: pathlib.Path, kind: str, seen: Sequence[clips.Keypoints]
) -> None:
  if kind == ".h5":
    h5.write(target, seen)
    return
  form = openpose if kind == "openpose" else dwpose
  for path, keypoints in _each(target, seen, ""):
    form.write(path, keypoints)


def _each(target: pathlib.Path, sequence: Sequence, suffix: str):
  """A path for each clip: the target itself for one, else one within it."""
  if len(sequence) == 1 and target.suffix == suffix:
    return [(target, sequence[0])]
  target.mkdir(parents=True)
  return [
    (target / f"{each.name.replace('/', '-')}{suffix}", each)
    for each in sequence
  ]
