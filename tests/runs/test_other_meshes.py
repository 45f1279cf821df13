"""A state saved on one mesh is restored on others; R8."""

import jax
import numpy as np
import pytest

from signllm_jax import config
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.parallel import sharding
from signllm_jax.runs import checkpointer, host_copy, train_state

SETTINGS = config.Experiment(
  model=config.Model(
    encoder_layers=1, decoder_layers=1, width=32, heads=4, feed_forward=32
  ),
  plc=config.Priority(pool=2),
  optim=config.Optim(ema=0.9),
)
SIZES = sizes_lib.Sizes(vocabulary=16, examples=12)


def abstract_on(axes: config.Mesh, count: int) -> train_state.TrainState:
  """The state of a run on the first `count` devices."""
  mesh = sharding.make_mesh(axes, jax.devices()[:count])
  return train_state.abstract_state(SETTINGS, SIZES, mesh)


def filled(abstract: train_state.TrainState) -> train_state.TrainState:
  """A state of these shapes with other bytes in every leaf."""
  random = np.random.default_rng(0)

  def fill(leaf):
    if host_copy.is_key(leaf):
      return jax.device_put(jax.random.key(7), leaf.sharding)
    values = random.integers(0, 100, leaf.shape).astype(leaf.dtype)
    return jax.device_put(values, leaf.sharding)

  return jax.tree.map(fill, abstract)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
  """A checkpoint of a run on eight devices along data; its digest."""
  folder = tmp_path_factory.mktemp("eight") / "checkpoints"
  state = filled(abstract_on(config.Mesh(), 8))
  with checkpointer.Checkpoints(folder, keep=1) as kept:
    kept.save(3, state)
  return folder, host_copy.digest(state)


@pytest.mark.parametrize(
  ("axes", "count"),
  [
    (config.Mesh(), 4),
    (config.Mesh(data=1, fsdp=8), 8),
    (config.Mesh(data=1, fsdp=2, tensor=2), 4),
    (config.Mesh(), 1),
  ],
  ids=["data 4", "fsdp 8", "fsdp 2 tensor 2", "one device"],
)
def test_a_state_moves_to_another_mesh_and_back(saved, tmp_path, axes, count):
  """R8: the same bytes, in the shardings of the new mesh."""
  folder, digest = saved
  there, back = abstract_on(axes, count), abstract_on(config.Mesh(), 8)
  with checkpointer.Checkpoints(folder, keep=None) as kept:
    _, moved = kept.restore(there)
  assert host_copy.digest(moved) == digest
  for leaf, wanted in zip(
    jax.tree.leaves(moved), jax.tree.leaves(there), strict=True
  ):
    assert leaf.sharding == wanted.sharding
  if axes.fsdp > 1:
    kernels = [x for x in jax.tree.leaves(moved.params) if x.ndim == 2]
    assert any(not kernel.is_fully_replicated for kernel in kernels)
  with checkpointer.Checkpoints(tmp_path / "c", keep=1) as kept:
    kept.save(3, moved)
    kept.wait()
    _, returned = kept.restore(back)
  assert host_copy.digest(returned) == digest
