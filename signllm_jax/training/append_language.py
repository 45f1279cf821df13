"""Appends a language's group to a trained MLSF model (section 5)."""

import dataclasses
import os
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.runs import (
  checkpointer,
  restore,
  train_state,
  workdir,
)
from signllm_jax.training import parameters, setup, start


def append_language(
  path: str | os.PathLike,
  out: str | os.PathLike,
  language: str,
  folder: str,
  *,
  warm_start: str = "",
  freeze: bool = False,
) -> None:
  """Writes the work directory `out`: the model of `path` and one language more.

  Args:
    path: work directory of a run of MLSF.
    out: a new work directory; its schedule starts at step 0.
    language: code of the new language.
    folder: its built data set.
    warm_start: language whose group the new one starts from; empty for none.
    freeze: only the new group learns from here on.

  Raises:
    UsageError: the request cannot be met.
    DataError: a fault in the data.
    StorageError: a checkpoint cannot be read or written.
  """
  config = workdir.read_config(path)
  codes = config_lib.listed(config.data.language)
  if warm_start and warm_start not in codes:
    raise errors.UsageError(
      f"--warm_start={warm_start}", expected=" or ".join(codes)
    )
  extended = extend_config(config, language, folder, freeze)
  extended.mesh = config_lib.Mesh()
  start.check(extended, os.fspath(out))
  if workdir.has_checkpoints(out):
    raise errors.UsageError(
      "holds checkpoints already", path=out, hint="Name a new folder"
    )
  old = restore.restore(path)
  run = setup.Run(extended, old.mesh)
  with workdir.open_workdir(out, extended) as work:
    work.check_corpus_infos(run.infos)
    source = codes.index(warm_start) if warm_start else None
    tokens = parameters.match_tokens(
      run.infos[language].vocabulary,
      old.infos[warm_start].vocabulary if warm_start else None,
    )
    with jax.set_mesh(old.mesh):
      state = append_group(old.state, run.create_state(), source, tokens)
      with checkpointer.Checkpoints(
        work.checkpoints, keep=1, may_commit=work.check_lock
      ) as checkpoints:
        checkpoints.save(0, state)
        checkpoints.wait()


def extend_config(
  config: config_lib.Experiment, language: str, folder: str, freeze: bool
) -> config_lib.Experiment:
  """Returns the configuration of a run with one more language.

  Raises:
    UsageError: not a run of MLSF, or it has the language already.
  """
  codes = config_lib.listed(config.data.language)
  if config.task != "mlsf":
    raise errors.UsageError(
      f"a model of task {config.task!r}",
      expected="mlsf, which has a group for each language",
    )
  if language in codes:
    raise errors.UsageError(f"the model signs {language} already")
  rows = config.data.batch_size // len(codes)
  return dataclasses.replace(
    config,
    frozen=",".join(codes) if freeze else config.frozen,
    data=dataclasses.replace(
      config.data,
      language=f"{config.data.language},{language}",
      folder=f"{config.data.folder},{folder}",
      batch_size=rows * (len(codes) + 1),
    ),
  )


def append_group(
  old: train_state.TrainState,
  fresh: train_state.TrainState,
  source: int | None,
  tokens: np.ndarray,
) -> train_state.TrainState:
  """Returns the fresh state of n + 1 languages with the n groups of an old one.

  Args:
    old: n groups.
    fresh: n + 1 groups; the last is the new language's.
    source: the old group whose parameters the new one starts from, or None.
    tokens: [V] for each token of the new language its id in the source's
      vocabulary, -1 if it has none.
  """

  def append(old: jax.Array, fresh: jax.Array) -> jax.Array:
    # A larger vocabulary adds rows to the others' tables that they never read.
    padding = [(0, 0)] + [
      (0, b - a) for a, b in zip(old.shape[1:], fresh.shape[1:], strict=True)
    ]
    if jnp.issubdtype(fresh.dtype, jax.dtypes.prng_key):
      return jnp.concatenate([old, fresh[-1:]])
    return jnp.concatenate([jnp.pad(old, padding), fresh[-1:]])

  group = jax.tree.map(append, old.group, fresh.group)
  if source is not None:
    weights = old.group.weights
    group = group._replace(
      params=_warm_start(weights, group.params, source, tokens)
    )
    if group.ema is not None:  # its average begins where the group does
      ema = _warm_start(weights, group.ema, source, tokens)
      group = group._replace(ema=ema)
  return fresh._replace(**group._asdict())


def _warm_start(
  old: Any, appended: Any, source: int, tokens: np.ndarray
) -> Any:
  """Copies the source's parameters into the last group.

  Embeddings are copied token by token; a token that the source does not know
  keeps its fresh embedding.
  """

  def copy(path: Any, old: jax.Array, appended: jax.Array) -> jax.Array:
    values = old[source]
    if "embedding" in jax.tree_util.keystr(path):
      values = parameters.take_rows(values, appended[-1], tokens, 0)
    return appended.at[-1].set(values)

  return jax.tree_util.tree_map_with_path(copy, old, appended)
