"""Signing jobs: a text, how to finish its clip, and the frames so far."""

import concurrent.futures
from collections.abc import Callable
from typing import NamedTuple

from signllm_jax.core import clips
from signllm_jax.inference import long_text, postprocess


class SigningTask(NamedTuple):
  """A text and how to finish its clip; equal tasks give equal clips."""

  parts: tuple[str, ...]  # `text_input.PreparedText.parts`
  options: postprocess.Options = postprocess.UNCHANGED
  seed: int = 0  # of a generative decoder; always 0 for others
  pauses: tuple[float, ...] = ()  # seconds after each part but the last


class Chunk(NamedTuple):
  """Some frames of a signing."""

  clip: clips.Clip  # the next frames
  signed: long_text.SignedText | None  # all of it, with the last chunk


class Job:
  """A task that waits or is being signed.

  Attributes:
    task: the task.
    future: the signed text.
    sent: number of frames given to `on_frames`.
  """

  def __init__(
    self, task: SigningTask, on_frames: Callable[[clips.Clip], object] | None
  ):
    """Makes a job that waits.

    Args:
      task: the task.
      on_frames: called with each of its frames once, in order, as they are
        produced; not for clips that are finished as a whole.
    """
    self.task = task
    self.future: concurrent.futures.Future[long_text.SignedText] = (
      concurrent.futures.Future()
    )
    self.sent = 0
    unchanged = task.options == postprocess.UNCHANGED
    self._on_frames = on_frames if unchanged else None
    self._received = 0  # frames, since the last restart

  def restart(self) -> None:
    """Prepares for the first frames, also when the task is signed again."""
    self._received = 0

  def add(self, clip: clips.Clip) -> None:
    """Takes the next frames, and passes on those that are new."""
    if self._on_frames is None:
      return
    first = max(self.sent - self._received, 0)
    frames, valid = clip.frames[first:], clip.valid[first:]
    new = clips.Clip(frames, valid, clip.fps, skeleton=clip.skeleton)
    self._received += len(clip)
    if len(new):
      self.sent += len(new)
      self._on_frames(new)
