"""A model split into structure and parameters, as compiled calls take it."""

from typing import Any

import jax
from flax import nnx

from signllm_jax.data.pose_statistics import PoseStatistics


class Structure:
  """A model without its parameters; its hash is computed once."""

  def __init__(self, graphdef: nnx.GraphDef, tree: Any):
    self._parts = graphdef, tree
    self._hash = hash(self._parts)

  def __hash__(self) -> int:
    return self._hash

  def __eq__(self, other: object) -> bool:
    return isinstance(other, Structure) and self._parts == other._parts

  def merge(self, leaves: list[jax.Array]) -> Any:
    """The model with its parameters."""
    graphdef, tree = self._parts
    return nnx.merge(graphdef, jax.tree.unflatten(tree, leaves))


class Model:
  """A signing model as compiled calls take it."""

  def __init__(
    self, graphdef: nnx.GraphDef, params: nnx.State, statistics: PoseStatistics
  ):
    """Wraps a model.

    Args:
      graphdef: of the model.
      params: its parameters.
      statistics: of the training poses.
    """
    # Flat: to take an `nnx.State` apart costs milliseconds a call.
    self.leaves, tree = jax.tree.flatten(params)
    self.structure = Structure(graphdef, tree)
    self.statistics = statistics
