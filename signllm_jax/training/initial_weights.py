"""Starts a run from the weights of a trained one.

An array is taken where its name and shape agree. Tables of tokens are taken row
by row: a token of the new vocabulary takes the row that it has in the old one.
Everything else stays fresh, such as the layers of frames of another skeleton.
"""

import dataclasses
import os
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from signllm_jax.core import errors, paths
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import corpus_info
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.parallel import sharding
from signllm_jax.runs import restore, train_state
from signllm_jax.training import parameters, setup

_POSES = ("frame_in", "frame_out", "start")  # weights in units of poses


@dataclasses.dataclass(frozen=True)
class InitialWeights:
  """What a new run takes from a trained one; made without its arrays.

  Attributes:
    path: work directory or model file of the trained run.
    version: step and digest of what is taken.
    stacked: whether the trained run has a group a language (MLSF).
    codes: languages that the trained run's statistics or groups have an entry
      for; empty if it has neither.
    groups: for each group of the new run the trained group that it starts from,
      None if it stays fresh; one entry in a run without groups.
    taken: names of the arrays that are taken whole.
    tables: name of each table -> for each group the old row of each of its
      tokens, -1 if there is none: [V].
    fresh: names of arrays that are not taken.
    unused: names of arrays of the trained run that are not taken.
  """

  path: str
  version: Mapping[str, Any]
  stacked: bool
  codes: list[str]
  groups: list[int | None]
  taken: list[str]
  tables: dict[str, list[np.ndarray]]
  fresh: list[str]
  unused: list[str]

  @property
  def keeps_units(self) -> bool:
    """Whether weights are taken that only have a meaning in their units."""
    return any(name.split("/")[0] in _POSES for name in self.taken)

  def describe(self) -> str:
    """What is taken and what is fresh, a line each."""
    step = self.version["step"]
    lines = [
      f"initial     {self.path}, step {step}: "
      f"{len(self.taken)} arrays whole, {len(self.tables)} tables by token, "
      f"{len(self.fresh)} arrays fresh"
    ]
    for name, (rows, of) in self._rows().items():
      lines += [f"by token    {name}: {rows} of {of} tokens"]
    used = [*self.taken, *self.tables]
    if self.fresh:
      short = parameters.shorten(self.fresh, used)
      lines += ["fresh       " + ", ".join(short)]
    if None in self.groups:
      count = self.groups.count(None)
      lines += [f"fresh       {count} languages that the trained run lacks"]
    if self.unused:
      short = parameters.shorten(self.unused, used)
      lines += ["not used    " + ", ".join(short)]
    if self.keeps_units:
      lines += ["poses       in the units of the trained run"]
    return "\n".join(lines)

  def record(self) -> dict[str, Any]:
    """What was taken, for the work directory."""
    return {
      "path": str(paths.absolute(self.path)),
      **self.version,
      "taken": self.taken,
      "by_token": self._rows(),
      "fresh": self.fresh,
      "groups": self.groups,
      "keeps_units": self.keeps_units,
    }

  def _rows(self) -> dict[str, tuple[int, int]]:
    """Rows that are taken, and all rows, of each table over all groups."""
    return {
      name: (sum(int((x >= 0).sum()) for x in ids), sum(map(len, ids)))
      for name, ids in self.tables.items()
    }


class _Vocabularies(NamedTuple):
  """The vocabularies of a run."""

  task: str
  infos: Mapping[str, corpus_info.CorpusInfo]
  codes: list[str]  # of the groups; empty without groups

  def vocabulary(self, table: str, group: int) -> vocabulary_lib.Vocabulary:
    """The vocabulary of a group's table."""
    code = self.codes[group] if self.codes else next(iter(self.infos))
    return parameters.vocabulary_of(self.task, table, self.infos[code])

  def match(
    self, trained: "_Vocabularies", table: str, groups: list[int | None]
  ) -> list[np.ndarray]:
    """For each group the rows of its tokens in the group it starts from."""
    return [
      parameters.match_tokens(
        self.vocabulary(table, i),
        None if source is None else trained.vocabulary(table, source),
      )
      for i, source in enumerate(groups)
    ]


def plan(run: setup.Run, path: str | os.PathLike) -> InitialWeights:
  """Compares the names and shapes of a run with those of a trained one.

  Args:
    run: the new run.
    path: work directory of the trained run, or a model file.

  Raises:
    UsageError: neither of them, nothing saved, or nothing agrees; the trained
      run has groups of other languages.
    DataError: the model file is damaged.
    StorageError: the best checkpoint is damaged.
  """
  config, infos = restore.describe(path)
  version = restore.identify(path)
  codes = list(infos) if config.task in ("mlsf", "text2langgloss") else []
  stacked = config.task == "mlsf"
  sizes = sizes_lib.sizes_of(config, infos)
  sharding.check_model(run.mesh, config)
  abstract = train_state.abstract_state(
    config, sizes, run.mesh, codes if stacked else []
  )
  old = parameters.arrays(abstract.params)
  new = parameters.arrays(run.abstract.params)
  groups = _groups(run, codes if stacked else None, path)
  taken = parameters.agreeing(old, new)
  trained = _Vocabularies(config.task, infos, codes if stacked else [])
  own = _Vocabularies(run.config.task, run.infos, run.codes)
  tables = {
    name: own.match(trained, name, groups)
    for name in taken
    if new[name].tokens is not None
  }
  taken = [name for name in taken if name not in tables]
  if not taken and not tables:
    raise errors.UsageError(
      parameters.difference(old, new),
      path=path,
      hint="Set the --config.model fields of the trained run (its config.json)",
    )
  if all(source is None for source in groups):
    raise errors.UsageError(
      f"a trained model of {', '.join(codes)}",
      path=path,
      expected=f"one of {', '.join(run.codes)} among them",
    )
  return InitialWeights(
    path=os.fspath(path),
    version=version,
    stacked=stacked,
    codes=codes,
    groups=groups,
    taken=taken,
    tables=tables,
    fresh=[name for name in new if name not in {*taken, *tables}],
    unused=[name for name in old if name not in {*taken, *tables}],
  )


def apply(
  chosen: InitialWeights, run: setup.Run, fresh: train_state.TrainState
) -> train_state.TrainState:
  """Sets weights and statistics of a fresh state to those of a trained run.

  Args:
    chosen: of `plan` of this run.
    run: the new run.
    fresh: of its `create_state`.

  Raises:
    UsageError, DataError, StorageError: as `restore.restore`.
  """
  restored = restore.restore(chosen.path, run.mesh)
  stacked = bool(run.codes)
  old = parameters.named(restored.state.group.weights)
  new = parameters.named(fresh.params)
  names = list(new)  # a compiled function sorts the keys of its arguments
  described = parameters.arrays(fresh.params)

  def merge(old: dict, new: dict) -> list[jax.Array]:
    merged = dict(new)
    for name in (*chosen.taken, *chosen.tables):
      values = []
      for i, source in enumerate(chosen.groups):
        own = new[name][i] if stacked else new[name]
        if source is None:
          values += [own]
          continue
        value = old[name][source] if chosen.stacked else old[name]
        if name in chosen.tables:
          ids = chosen.tables[name][i]
          value = parameters.take_rows(
            value, own, ids, described[name].tokens or 0
          )
        values += [value]
      merged[name] = jnp.stack(values) if stacked else values[0]
    return [merged[name] for name in names]

  placed = [leaf.sharding for leaf in new.values()]
  merged = jax.jit(merge, out_shardings=placed)(old, new)
  params = jax.tree.unflatten(jax.tree.structure(fresh.params), merged)
  state = fresh._replace(params=params)
  if fresh.ema is not None:
    state = state._replace(ema=jax.tree.map(jnp.copy, params))
  if chosen.keeps_units:
    kept = _keep_units(chosen, run, restored.state.statistics, fresh.statistics)
    state = state._replace(statistics=kept)
  return state


def _keep_units(
  chosen: InitialWeights,
  run: setup.Run,
  old: PoseStatistics,
  measured: PoseStatistics,
) -> PoseStatistics:
  """The trained run's statistics, with what only the new corpus shows.

  A language that the trained run has no statistics for keeps the measured.
  """
  old, new = sharding.to_host(old), sharding.to_host(measured)
  several = np.ndim(new.scale) > 0
  rows = []
  for i, code in enumerate(
    run.infos if several else [run.config.data.language]
  ):
    own = jax.tree.map(lambda x, i=i: x[i], new) if several else new
    source: int | None = 0
    if chosen.stacked:
      source = chosen.groups[i if run.codes else 0]
    elif chosen.codes:
      source = chosen.codes.index(code) if code in chosen.codes else None
    if source is None:
      rows += [own]
      continue
    there = jax.tree.map(lambda x, s=source: x[s], old) if chosen.codes else old
    rows += [there.extend(own)]
  made = jax.tree.map(lambda *x: np.stack(x), *rows) if several else rows[0]
  return jax.tree.map(
    lambda x, like: jax.device_put(np.asarray(x, like.dtype), like.sharding),
    made,
    measured,
  )


def _groups(
  run: setup.Run, codes: list[str] | None, path: str | os.PathLike
) -> list[int | None]:
  """For each group of a run the trained group that it starts from, or None.

  Args:
    run: the new run.
    codes: languages of the trained groups; None if it has no groups.
    path: of the trained run.
  """
  wanted = run.codes or [run.config.data.language]
  if codes is None or len(codes) == 1:
    return [0] * len(wanted)
  if not run.codes and wanted[0] not in codes:
    raise errors.UsageError(
      f"--config.data.language={wanted[0]}",
      expected=f"one of {', '.join(codes)}, which {os.fspath(path)} has a "
      "group each for",
    )
  return [codes.index(code) if code in codes else None for code in wanted]
