"""A small generative decoder that was never trained, for tests."""

import jax
from flax import nnx

from signllm_jax import config

SHAPE = config.Model(
  decoder="flow",
  encoder_layers=1,
  decoder_layers=2,
  width=32,
  heads=2,
  feed_forward=32,
  alignment=True,
)


def moved(module: nnx.Module) -> nnx.Module:
  """The module with all parameters moved, so that no gate is closed."""
  graph, params = nnx.split(module)
  keys = iter(jax.random.split(jax.random.key(1), 200))
  params = jax.tree.map(
    lambda x: x + 0.1 * jax.random.normal(next(keys), x.shape), params
  )
  return nnx.merge(graph, params)
