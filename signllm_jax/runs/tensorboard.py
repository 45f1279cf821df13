"""TensorBoard events, without TensorFlow."""

import pathlib
import tempfile
from collections.abc import Mapping

import numpy as np
import tensorboardX
from PIL import Image

from signllm_jax import config
from signllm_jax.core import clips as clips_lib
from signllm_jax.visualization import render


class Writer:
  """Writes scalars, pictures and text of a run.

  Events after step `start` that an earlier process wrote are purged, so that a
  resumed run shows every step once.
  """

  def __init__(self, folder: pathlib.Path, start: int, *, write: bool = True):
    """Opens the folder; with `write=False` nothing is ever written."""
    self._writer = tensorboardX.SummaryWriter(
      str(folder), purge_step=start + 1, flush_secs=10, write_to_disk=write
    )

  def __enter__(self) -> "Writer":
    return self

  def __exit__(self, *_) -> None:
    self._writer.close()

  def scalars(self, step: int, values: Mapping[str, float]) -> None:
    """Writes name -> value."""
    for name, value in values.items():
      self._writer.add_scalar(name, float(value), step)

  def text(self, name: str, value: str, step: int = 0) -> None:
    """Writes a text, shown in a fixed-width font."""
    self._writer.add_text(name, f"```\n{value}\n```", step)

  def hparams(self, settings: config.Experiment) -> None:
    """Writes the configuration as hyper-parameters."""
    flat = config.flatten(settings)
    lines = [f"| {name} | {value!r} |" for name, value in flat.items()]
    table = "\n".join(["| field | value |", "|---|---|", *lines])
    self._writer.add_text("hparams", table, 0)

  def clips(
    self, step: int, name: str, shown: Mapping[str, clips_lib.Clip]
  ) -> None:
    """Writes a contact sheet of clips, e.g. produced and true."""
    caption = next(iter(shown.values())).text
    with tempfile.TemporaryDirectory() as folder:
      path = pathlib.Path(folder) / "sheet.png"
      render.save(path, shown, caption, size=200, columns=8)
      with Image.open(path) as picture:
        image = np.asarray(picture.convert("RGB"))
    self._writer.add_image(name, image, step, dataformats="HWC")

  def flush(self) -> None:
    """Hands everything to the file."""
    self._writer.flush()
