r"""Gives a model of several sign languages one more (MLSF, section 5).

A group is appended to the checkpoint; every other group stays bit-equal. The
result is a new work directory, trained on with `python -m signllm_jax.train
--workdir=OUT`. The new group starts fresh, or warm from another language's.

  python -m signllm_jax.add_language --workdir=runs/mlsf --out=runs/mlsf5 \
      --language=CSE --folder=data/fingerspelling/cse/1.0.0 --warm_start=GSL
"""

import argparse
import dataclasses
import os
import sys
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.data import corpus_info
from signllm_jax.runs import (
  checkpointer,
  config_check,
  restore,
  train_state,
  workdir,
)
from signllm_jax.training import setup

EPILOG = """\
exit codes: 0 done; 1 wrong request; 65 fault in the data; 74 fault in storage
"""


def extended(
  config: config_lib.Experiment, language: str, folder: str, freeze: bool
) -> config_lib.Experiment:
  """The configuration of a run with one more language.

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
  """The fresh state of n + 1 languages with the n groups of an old one.

  Args:
    old: n groups.
    fresh: n + 1 groups; the last is the new language's.
    source: the old group whose parameters the new one starts from, or None.
    tokens: [V] for each token of the new language its id in the source's
      vocabulary, -1 if it has none.
  """

  def append(was: jax.Array, new: jax.Array) -> jax.Array:
    # A larger vocabulary adds rows to the others' tables that they never read.
    grown = [(0, 0)] + [
      (0, b - a) for a, b in zip(was.shape[1:], new.shape[1:], strict=True)
    ]
    if jnp.issubdtype(new.dtype, jax.dtypes.prng_key):
      return jnp.concatenate([was, new[-1:]])
    return jnp.concatenate([jnp.pad(was, grown), new[-1:]])

  group = jax.tree.map(append, old.group, fresh.group)
  if source is not None:
    known = tokens >= 0

    def warm(path: Any, was: jax.Array, new: jax.Array) -> jax.Array:
      start = was[source]
      if "embedding" in jax.tree_util.keystr(path):
        at = jnp.asarray(np.maximum(tokens, 0))
        rows = jnp.asarray(known)[:, None]
        filled = jnp.where(rows, start[at], new[-1][: len(tokens)])
        start = new[-1].at[: len(tokens)].set(filled)
      return new.at[-1].set(start)

    group = group._replace(
      params=jax.tree_util.tree_map_with_path(warm, old.params, group.params)
    )
  return fresh._replace(**group._asdict())


def add_language(
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
  wanted = extended(config, language, folder, freeze)
  wanted.mesh = config_lib.Mesh()
  config_check.check(wanted)
  _, infos, mesh, old = restore.restore(path)
  with workdir.open_workdir(out, wanted) as work:
    if any(work.checkpoints.glob("[0-9]*")):
      raise errors.UsageError(
        "holds checkpoints already", path=out, hint="Name a new folder"
      )
    planned = setup.Run(wanted, mesh)
    work.check_corpus_infos(planned.infos)
    source = codes.index(warm_start) if warm_start else None
    tokens = _tokens(planned.infos[language], infos.get(warm_start))
    with jax.set_mesh(mesh):
      state = append_group(old, planned.create_state(), source, tokens)
      with checkpointer.Checkpoints(work.checkpoints, keep=1) as saved:
        saved.save(0, state)
        saved.wait()


def _tokens(
  new: corpus_info.CorpusInfo, source: corpus_info.CorpusInfo | None
) -> np.ndarray:
  """Of each new token, its id in the source's vocabulary or -1: [V]."""
  ids = {}
  if source is not None:
    ids = {token: i for i, token in enumerate(source.vocabulary.entries)}
  return np.array([ids.get(token, -1) for token in new.vocabulary.entries])


def main(arguments: Sequence[str] | None = None) -> int:
  """The command; returns the exit code."""
  parser = argparse.ArgumentParser(
    prog="python -m signllm_jax.add_language",
    description=__doc__,
    epilog=EPILOG,
    formatter_class=argparse.RawDescriptionHelpFormatter,
    allow_abbrev=False,
  )
  add = parser.add_argument
  add("--workdir", required=True, help="a trained run of MLSF")
  add("--out", required=True, help="work directory to make")
  add("--language", required=True, help="code of the new sign language")
  add("--folder", required=True, help="its built data set")
  add("--warm_start", default="", help="language to start the new group from")
  add("--freeze", action="store_true", help="only the new group learns")
  args = parser.parse_args(arguments)

  def work() -> None:
    add_language(
      args.workdir,
      args.out,
      args.language,
      args.folder,
      warm_start=args.warm_start,
      freeze=args.freeze,
    )
    print(
      f"{args.language} is added. Train it:\n"
      f"  python -m signllm_jax.train --workdir={args.out}"
    )

  return errors.exit_code_of(work)


if __name__ == "__main__":
  sys.exit(main())
