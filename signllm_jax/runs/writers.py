"""Writers of a run's numbers, texts and clips: `--config.writers`.

A tag is a name such as `train/loss`. Its value may belong to a line: the value
of the run itself, or of what it is compared with, such as a baseline.
"""

import contextlib
import dataclasses
import math
import pathlib
import tempfile
from collections.abc import Mapping
from typing import Protocol

from signllm_jax import config as config_lib
from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors
from signllm_jax.runs import mlflow_store, tensorboard, workdir
from signllm_jax.runs.histogram import Histogram
from signllm_jax.visualization import render

NAMES = ("tensorboard", "mlflow")
_CLIP_WIDTH = 180  # pixels
_MOST_FPS = 15  # of a film: half the bytes of 25


class Writer(Protocol):
  """What a writer can do.

  Whatever was written after the step at which a run is resumed does not count:
  the resumed run writes every step once. After `flush`, what was written
  outlives the process. Where nothing can be written, a warning says so once,
  and the run goes on.
  """

  def scalars(
    self, step: int, values: Mapping[str, float], line: str = ""
  ) -> None:
    """Writes tag -> value of a line; the empty one is the run's own."""
    ...

  def text(self, name: str, value: str, step: int = 0) -> None:
    """Writes a text, to be shown in a fixed-width font."""
    ...

  def describe_run(
    self, settings: config_lib.Experiment, description: str
  ) -> None:
    """Writes the configuration and the description of a new run."""
    ...

  def film(self, step: int, name: str, gif: bytes) -> None:
    """Writes a moving picture."""
    ...

  def histograms(self, step: int, values: Mapping[str, Histogram]) -> None:
    """Writes tag -> histogram."""
    ...

  def flush(self) -> None:
    """Makes what was written durable."""
    ...

  def close(self) -> None:
    """Flushes and lets go."""
    ...


class Writers:
  """All writers of a run; a context that closes them."""

  def __init__(self, writers: list[Writer]):
    """Takes the open writers; there may be none."""
    self._writers = writers

  def __enter__(self) -> "Writers":
    return self

  def __exit__(self, *_) -> None:
    with contextlib.ExitStack() as stack:
      for writer in self._writers:
        stack.callback(writer.close)

  def scalars(
    self, step: int, values: Mapping[str, float], line: str = ""
  ) -> None:
    """As `Writer.scalars`."""
    for writer in self._writers:
      writer.scalars(step, values, line)

  def text(self, name: str, value: str, step: int = 0) -> None:
    """As `Writer.text`."""
    for writer in self._writers:
      writer.text(name, value, step)

  def describe_run(
    self, settings: config_lib.Experiment, description: str
  ) -> None:
    """As `Writer.describe_run`."""
    for writer in self._writers:
      writer.describe_run(settings, description)

  def clips(
    self, step: int, name: str, shown: Mapping[str, clips_lib.Clip]
  ) -> None:
    """Writes clips side by side as a film, e.g. produced and true."""
    if not self._writers:
      return
    caption = next(iter(shown.values())).text
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / "clip.gif"
      thinned = {label: _thin(clip) for label, clip in shown.items()}
      render.save(path, thinned, caption, size=_CLIP_WIDTH)
      gif = path.read_bytes()
    for writer in self._writers:
      writer.film(step, name, gif)

  def histograms(self, step: int, values: Mapping[str, Histogram]) -> None:
    """As `Writer.histograms`."""
    for writer in self._writers:
      writer.histograms(step, values)

  def flush(self) -> None:
    """As `Writer.flush`."""
    for writer in self._writers:
      writer.flush()


def _thin(clip: clips_lib.Clip) -> clips_lib.Clip:
  """Every n-th frame of a clip, at most _MOST_FPS a second."""
  n = math.ceil(clip.fps / _MOST_FPS)
  frames, valid = clip.frames[::n], clip.valid[::n]
  return dataclasses.replace(clip, frames=frames, valid=valid, fps=clip.fps / n)


def check(config: config_lib.Experiment) -> None:
  """Checks `writers`.

  Raises:
    UsageError: a writer that there is not, or whose package is missing.
  """
  names = config_lib.listed(config.writers)
  if len(set(names)) < len(names) or set(names) - set(NAMES):
    raise errors.UsageError(
      f"--config.writers={config.writers!r}",
      expected="of " + ", ".join(NAMES) + ", each once, or none",
    )
  if "mlflow" in names:
    mlflow_store.check_installed()


def open_writers(
  config: config_lib.Experiment, work: workdir.WorkDir, start: int
) -> Writers:
  """Opens the writers of a configuration.

  Args:
    config: the run; `writers` names them.
    work: of the run; only process 0 writes.
    start: step from which the run goes on.

  Raises:
    UsageError: the package of a writer is not installed.
  """
  opened: list[Writer] = []
  if not work.first:
    return Writers(opened)
  for name in config_lib.listed(config.writers):
    if name == "tensorboard":
      opened.append(tensorboard.Writer(work.path, start))
    else:
      opened.append(mlflow_store.Writer(work.path, start, config.name))
  return Writers(opened)
