"""Compares the parameters of two models: names, shapes and tokens."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from signllm_jax.core import affixes
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import corpus_info


class Array(NamedTuple):
  """A parameter of one group."""

  shape: tuple[int, ...]
  tokens: int | None  # axis of the tokens, of a table


def take_rows(
  old: jax.Array, fresh: jax.Array, ids: np.ndarray, axis: int
) -> jax.Array:
  """Returns a fresh table with the rows of the tokens that an old one has.

  Args:
    old: table of the old vocabulary.
    fresh: table of the new one, of the same shape but for the tokens.
    ids: [V] for each new token its id in the old vocabulary, or -1.
    axis: of the tokens.
  """
  rows = np.flatnonzero(ids >= 0)
  place = (slice(None),) * axis + (rows,)
  return fresh.at[place].set(jnp.take(old, ids[rows], axis))


def match_tokens(
  new: vocabulary_lib.Vocabulary, old: vocabulary_lib.Vocabulary | None
) -> np.ndarray:
  """For each new token its id in the old vocabulary, or -1: [V]."""
  first = len(vocabulary_lib.SPECIALS)
  if old is None:
    return np.full(len(new), -1)
  # A word that is written like a special token is not one.
  ids = {token: i for i, token in enumerate(old.entries[first:], first)}
  listed = [ids.get(token, -1) for token in new.entries[first:]]
  return np.array([*range(first), *listed])


def arrays(params: nnx.State) -> dict[str, Array]:
  """Shape of every parameter of a group, by name, and its axis of tokens."""
  described = {}
  for path, leaf in jax.tree_util.tree_leaves_with_path(
    params, is_leaf=lambda x: isinstance(x, nnx.Variable)
  ):
    axes = tuple(leaf.get_metadata().get("axes", ()))
    shape = tuple(jax.tree.leaves(leaf)[0].shape)
    if axes[:1] == ("language",):
      axes, shape = axes[1:], shape[1:]
    tokens = axes.index("vocab") if "vocab" in axes else None
    described[_name(path)] = Array(shape, tokens)
  return described


def named(params: nnx.State) -> dict[str, jax.Array]:
  """The arrays of parameters by the names of `arrays`."""
  leaves = jax.tree_util.tree_leaves_with_path(params)
  return {_name(path).removesuffix("/value"): leaf for path, leaf in leaves}


def _name(path: Any) -> str:
  return jax.tree_util.keystr(path, simple=True, separator="/")


def agreeing(old: Mapping[str, Array], new: Mapping[str, Array]) -> list[str]:
  """Names of `new` that `old` has with the same shape but for the tokens."""
  return [name for name in new if name in old and _agree(old[name], new[name])]


def _agree(old: Array, new: Array) -> bool:
  if old.tokens != new.tokens or len(old.shape) != len(new.shape):
    return False
  pairs = enumerate(zip(old.shape, new.shape, strict=True))
  return all(a == b for i, (a, b) in pairs if i != new.tokens)


def difference(old: Mapping[str, Array], new: Mapping[str, Array]) -> str:
  """Says that no array agrees, with an example."""
  said = "no weight of it has the name and shape of one of this run"
  name = next((name for name in new if name in old), None)
  if name is None:
    return said
  return f"{said}: {name} is {old[name].shape} there, {new[name].shape} here"


def vocabulary_of(
  task: str, table: str, info: corpus_info.CorpusInfo
) -> vocabulary_lib.Vocabulary:
  """The vocabulary of a table, by its name in the models of a task."""
  parts = table.split("/")
  if "affixes" in parts:
    return affixes.Affixes(info.vocabulary).known
  read = parts[0] == "encoder" or parts[:2] == ["text", "encoder"]
  written = task == "pose_to_text" and parts[0] == "decoder"
  if read or written:
    return info.vocabulary
  assert info.gloss_vocabulary is not None, table
  return info.gloss_vocabulary


def shorten(names: Iterable[str], others: Iterable[str]) -> list[str]:
  """Replaces names by the shortest prefix that none of the others has."""
  kept = [f"{name}/" for name in others]
  short = {}
  for name in names:
    parts = name.split("/")
    prefixes = ("/".join(parts[:i]) for i in range(1, len(parts)))
    free = (p for p in prefixes if not any(k.startswith(p + "/") for k in kept))
    short[next(free, name)] = None
  return list(short)
