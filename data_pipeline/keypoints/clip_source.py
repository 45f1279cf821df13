"""A clip of 2-D keypoints that has been found and can be read."""

import dataclasses
import pathlib

from signllm_jax.core import clips, errors
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import (
  clip_json,
  dwpose,
  dwpose_npz,
  frame_files,
  h5,
  landmark_parquet,
  mediapipe_arrays,
  openpose,
  pose,
  slrtp,
  units,
)


@dataclasses.dataclass(frozen=True)
class Source:
  """One clip that can be read.

  Attributes:
    name: its name, unique among the clips found together.
    kind: openpose, dwpose, dwpose_npz, clip_json, pose, h5, slrtp, parquet, or
      of landmark recordings npy or npz.
    place: its frame files, or the file that holds it.
    text: what is signed, as it stands in clips.text; empty if unknown.
    gloss: its gloss, as it stands in clips.gloss; empty if there is none.
    fps: frames a second, where the form does not say.
    size: the picture's width and height, where the form does not say.
    member: the clip's name in its file, of kinds h5, slrtp and npz; of parquet
      the number of its sequence, or empty if it fills the file.
    sign: the sign that a landmark recording repeats; empty for other kinds.
    signer: who signs; empty if unknown.
    fault: why it cannot be read, if finding it has shown that.
    skeleton: name of the skeleton of the clips that are made of it.
  """

  name: str
  kind: str
  place: frame_files.FrameFiles | mediapipe_arrays.Recording | pathlib.Path
  text: str = ""
  gloss: str = ""
  fps: float = 25.0
  size: tuple[int, int] | None = None
  member: str = ""
  sign: str = ""
  signer: str = ""
  fault: errors.DataError | None = None
  skeleton: str = PROMPT2SIGN50.name

  def read(self) -> clips.Keypoints:
    """Reads the clip.

    Raises:
      DataError: it is damaged, not of its kind, lacks the skeleton, or is not
        inside the picture of its size.
      StorageError: it cannot be read.
    """
    if self.fault:
      raise self.fault
    skeleton = skeleton_lib.get(self.skeleton).detected
    if self.sign:
      keypoints = self._read_recording()
    elif isinstance(self.place, frame_files.FrameFiles):
      picture = {"fps": self.fps, "size": self.size}
      if self.kind == "dwpose":
        keypoints = dwpose.read(self.place, **picture, skeleton=skeleton)
      elif self.kind == "dwpose_npz":
        keypoints = dwpose_npz.read(self.place, **picture, skeleton=skeleton)
      else:
        keypoints = openpose.read(self.place, **picture, skeleton=skeleton)
    elif isinstance(self.place, mediapipe_arrays.Recording):
      raise AssertionError(f"recording {self.name!r} without a sign")
    elif self.kind == "clip_json":
      picture = {"fps": self.fps, "size": self.size}
      keypoints = clip_json.read(self.place, **picture, skeleton=skeleton)
    elif self.kind == "pose":
      keypoints = pose.read_keypoints(self.place, skeleton)
    elif self.kind == "slrtp":
      entry = slrtp.entries(self.place)[self.member]
      keypoints = dataclasses.replace(
        slrtp.to_keypoints(entry, self.place), fps=self.fps
      )
    elif self.kind == "parquet":
      keypoints = self._read_parquet(self.place)
    else:
      keypoints = h5.read_clip(self.place, self.member, fps=self.fps)
    skeleton_lib.check_same(
      keypoints.skeleton, skeleton, f"clip {self.name!r} ({self.kind})"
    )
    keypoints = dataclasses.replace(
      keypoints,
      size=keypoints.size or self.size,
      name=self.name,
      text=self.text,
      gloss=self.gloss,
    )
    if self.kind != "slrtp":  # its unit is not a picture's
      inside = self.kind in ("openpose", "clip_json")
      units.check_inside(keypoints, guessed=not inside)
    return keypoints

  @property
  def recording(
    self,
  ) -> mediapipe_arrays.Recording | tuple[pathlib.Path, str, int]:
    """Place of a landmark recording, as `mediapipe_arrays` takes it."""
    assert not isinstance(self.place, frame_files.FrameFiles)
    if isinstance(self.place, mediapipe_arrays.Recording):
      return self.place
    sign, _, index = self.member.rpartition("/")
    return self.place, sign, int(index)

  def _read_parquet(self, path: pathlib.Path) -> clips.Keypoints:
    picture = {"fps": self.fps, "size": self._picture_size()}
    if self.member:
      number = int(self.member)
      return landmark_parquet.read_sequence(path, number, **picture)
    return landmark_parquet.read_isolated(path, **picture)

  def _picture_size(self) -> tuple[int, int]:
    if self.size is None:
      raise errors.DataError(
        "landmarks are shares of a picture of unknown size",
        hint="Give --size, such as 640x480",
      )
    return self.size

  def _read_recording(self) -> clips.Keypoints:
    size = self._picture_size()
    place = self.recording
    if isinstance(place, mediapipe_arrays.Recording):
      return mediapipe_arrays.read(place, fps=self.fps, size=size)
    return mediapipe_arrays.read_from_archive(*place, fps=self.fps, size=size)


def in_slrtp(file: pathlib.Path) -> list[Source]:
  """The clips of a `.pt`, with their texts; one with its fault if damaged.

  Raises:
    UsageError: torch is not installed.
  """
  try:
    found = slrtp.entries(file)
  except errors.DataError as error:
    return [Source(file.stem, "slrtp", file, fault=error)]
  return [
    Source(each.name, "slrtp", file, each.text, each.gloss, member=each.name)
    for each in found.values()
  ]
