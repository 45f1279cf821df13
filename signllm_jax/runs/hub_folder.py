"""A model as a folder in the form of the Hugging Face hub.

`model.safetensors` is the model file with all that loading needs; `config.json`
and `README.md`, the card, are for readers and for the hub.
"""

import os
import pathlib
import shutil
from collections.abc import Mapping, Sequence
from typing import Any

import jax

from signllm_jax.core import atomic_files, errors
from signllm_jax.runs import model_card, model_file, train_state
from signllm_jax.runs.description import Description


def write(
  folder: str | os.PathLike,
  described: Description,
  state: train_state.TrainState,
  reports: Sequence[Mapping[str, Any]],
  dtype: str = "float32",
) -> list[pathlib.Path]:
  """Writes a folder; equal models give equal bytes.

  Args:
    folder: that does not exist.
    described: configuration and corpus info of the run.
    state: of the run.
    reports: of the run's evaluations, as report.json.
    dtype: of the parameters, one of `model_file.DTYPES`.

  Returns:
    The files.

  Raises:
    UsageError: the folder exists.
    DataError: a parameter does not fit the dtype.
    StorageError: a file cannot be written.
  """
  folder = pathlib.Path(folder)
  if os.path.lexists(folder):
    raise errors.UsageError(
      "exists already", path=folder, hint="Remove it, or name another folder"
    )
  parameters = sum(leaf.size for leaf in jax.tree.leaves(state.group.weights))
  name = folder.resolve().name
  card = model_card.write(described, name, parameters, reports)
  about = model_file.describe(described, int(state.step))
  atomic_files.make_folder(folder)
  files = [folder / model_file.HUB_NAME, folder / "config.json"]
  files.append(folder / "README.md")
  try:
    model_file.write(files[0], described, state, dtype)
    atomic_files.write_text(files[1], model_card.config_json(described, about))
    atomic_files.write_text(files[2], card)
  except BaseException:
    shutil.rmtree(folder, ignore_errors=True)
    raise
  return files
