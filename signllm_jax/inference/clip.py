"""A clip that can be saved in every form and shown in a notebook."""

import dataclasses
import os
from typing import Any, Self

import numpy as np

from signllm_jax.core import clips
from signllm_jax.inference import clip_files
from signllm_jax.visualization import animation


class Clip(clips.Clip):
  """A sign pose sequence: `core.clips.Clip` with saving and showing.

  Attributes:
    frames: [T, J, D] float32, x right, y down and, if D is 3, z away from the
      viewer; neck or middle of the shoulders at 0, shoulders 1/3 apart; 0 where
      not valid.
    valid: [T, J] bool, False where the joint is missing.
    fps: frames per second.
    name: name of its source file or video.
    text: the text, in the spoken language.
    gloss: its gloss; empty if there is none.
    prompt: its text as a question; empty if there is none.
    skeleton: its joints.
  """

  @classmethod
  def of(cls, clip: clips.Clip) -> Self:
    """The same clip, without a copy of its arrays."""
    fields = dataclasses.fields(clips.Clip)
    return cls(**{field.name: getattr(clip, field.name) for field in fields})

  @property
  def seconds(self) -> float:
    """Its duration."""
    return len(self) / self.fps

  def save(
    self,
    path: str | os.PathLike,
    *,
    form: str = "",
    convention: str = "prompt2sign",
    size: int = 320,
  ) -> None:
    """Writes the clip; the suffix of the path decides the form.

    Args:
      path: .gif or .mp4 (a film), .png or .svg (a sheet of frames), .npz,
        .skels (with .text and .files), .pose, .bvh, or .h5 (2-D keypoints). Its
        folder is made.
      form: openpose, dwpose or dwpose_npz: the path is a folder, a file a
        frame.
      convention: of .skels: prompt2sign, or pt (Progressive Transformers).
      size: width of a picture in pixels.

    Raises:
      UsageError: an unknown suffix, or nothing to draw.
      StorageError: the file cannot be written.
    """
    clip_files.save_named(
      path, [self], form=form, convention=convention, size=size
    )

  def __repr__(self) -> str:
    gloss = f", gloss {_shortened(self.gloss)}" if self.gloss else ""
    return (
      f"Clip({_shortened(self.text or self.name)}{gloss}: {len(self)} frames, "
      f"{self.seconds:.2f} s at {self.fps:g} fps)"
    )

  def __eq__(self, other: object) -> bool:
    if not isinstance(other, clips.Clip):
      return NotImplemented
    pairs: list[tuple[Any, Any]] = [
      (getattr(self, field.name), getattr(other, field.name))
      for field in dataclasses.fields(clips.Clip)
    ]
    return all(
      np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
      for a, b in pairs
    )

  def __hash__(self) -> int:
    raise TypeError("a Clip holds arrays and cannot be hashed")

  def _repr_html_(self) -> str:
    """An animated drawing for notebooks; it needs no script and no network."""
    return animation.html(self)


def _shortened(text: str, limit: int = 40) -> str:
  return repr(text if len(text) <= limit else text[:limit] + "…")
