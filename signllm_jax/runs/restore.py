"""Restores a trained run: configuration, corpus info, mesh and state.

A run lies in its work directory, where its best checkpoint is taken, or in a
model file that `export_model` made of one; every function takes either.
"""

import dataclasses
import os
from typing import Any, NamedTuple

import jax

from signllm_jax import config as config_lib
from signllm_jax.core import errors, paths
from signllm_jax.data import corpus_info
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.parallel import sharding
from signllm_jax.runs import (
  checkpoint_manifest,
  checkpointer,
  description,
  model_file,
  train_state,
  workdir,
)
from signllm_jax.runs.description import Description


class Restored(NamedTuple):
  """A trained run; on one device, if no mesh was given."""

  config: config_lib.Experiment
  infos: dict[str, corpus_info.CorpusInfo]  # by the code of the language
  mesh: jax.sharding.Mesh
  state: train_state.TrainState


def describe(path: str | os.PathLike) -> Description:
  """Configuration and corpus info of a trained run.

  Raises:
    UsageError: neither a work directory nor a model file.
    DataError: it is damaged.
  """
  if model_file.is_model_file(path):
    return model_file.read_description(path)
  described = Description(
    workdir.read_config(path), workdir.read_corpus_infos(path)
  )
  try:
    description.check(described)
  except errors.DataError as error:
    file = paths.resolve(path, "config.json")
    raise errors.DataError(str(error), path=file) from error
  return described


def restore(
  path: str | os.PathLike, mesh: jax.sharding.Mesh | None = None
) -> Restored:
  """A trained run with its state.

  Args:
    path: work directory or model file.
    mesh: where the state will be; the first device alone, if not given.

  Raises:
    UsageError: neither a work directory nor a model file, or nothing was saved
      yet.
    DataError: the model file is damaged.
    StorageError: every checkpoint is damaged.
  """
  config, infos = describe(path)
  config = dataclasses.replace(config, mesh=config_lib.Mesh())
  codes = list(infos) if config.task == "mlsf" else []
  if mesh is None:
    mesh = sharding.make_mesh(config.mesh, jax.devices()[:1])
  abstract = train_state.abstract_state(
    config, sizes_lib.sizes_of(config, infos), mesh, codes
  )
  if model_file.is_model_file(path):
    state = model_file.read(path, abstract)
    return Restored(config, infos, mesh, state)
  with checkpointer.Checkpoints(_checkpoints(path), keep=None) as saved:
    restored = saved.restore(abstract, best=True)
  if restored is None:
    raise _nothing_saved(path)
  return Restored(config, infos, mesh, restored[1])


def identify(path: str | os.PathLike) -> dict[str, Any]:
  """Step and digest of the state that `restore` takes.

  Where the best checkpoint is damaged, `restore` would take another; a report
  on that one must not be mistaken for a report on the best.

  Raises:
    UsageError: nothing was saved yet.
    StorageError: the best checkpoint is damaged.
  """
  if model_file.is_model_file(path):
    return model_file.identify(path)
  folder = _checkpoints(path)
  with checkpointer.Checkpoints(folder, keep=None) as saved:
    step = saved.best()
    if step is None:
      step = max(saved.steps(), default=None)
    if step is None:
      raise _nothing_saved(path)
    try:
      manifest = saved.verify(step)
    except checkpoint_manifest.Damaged as error:
      raise errors.StorageError(
        f"damaged: {error}",
        path=folder / str(step),
        hint="Start the training again: it sets the checkpoint aside",
      ) from error
  return {"step": step, "digest": manifest["digest"]}


def _checkpoints(path: str | os.PathLike) -> paths.AnyPath:
  return paths.resolve(path, "checkpoints")


def _nothing_saved(path: str | os.PathLike) -> errors.UsageError:
  return errors.UsageError(
    "no checkpoint", path=path, hint="Train first, or wait for the first save"
  )
