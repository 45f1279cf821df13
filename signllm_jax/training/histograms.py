"""Histograms of the weights and gradients of each layer."""

from collections.abc import Callable
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from signllm_jax.data.batch import Batch
from signllm_jax.runs import histogram, train_state
from signllm_jax.training.train_step import Gradients

Measure = Callable[
  [train_state.TrainState, Batch], dict[str, histogram.Histogram]
]


def make(
  gradients: Callable[[train_state.Group, Batch, jax.Array], Gradients],
  mesh: Mesh,
) -> Measure:
  """Builds `measure(state, batch)`: tag -> histogram.

  It is a program beside the training step, which it does not change: a run
  computes the same with it. The gradients are those that the step computes from
  this state and batch, before they are clipped.

  Args:
    gradients: of `train_step.make_gradients`.
    mesh: of the devices.
  """

  def measure(state: train_state.TrainState, batch: Batch):
    grads = gradients(state.group, batch, state.step).grads
    return _by_name("weights", state.params) | _by_name(
      "weights_gradients", grads
    )

  # Replicated: every process can read them.
  return jax.jit(measure, out_shardings=NamedSharding(mesh, PartitionSpec()))


def _by_name(root: str, tree: Any) -> dict[str, histogram.Histogram]:
  return {
    train_state.name_of(root, path): histogram.measure(leaf)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree)
  }
