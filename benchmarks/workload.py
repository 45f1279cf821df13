"""Models of the compared shapes and batches of random numbers.

The timed step is the step of training: `train_step.make_train_step` on a state
of `train_state.create_state`.
"""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import timing
from configs import progressive_transformer, signllm
from signllm_jax import config as config_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.parallel import sharding
from signllm_jax.runs import train_state
from signllm_jax.training import train_step as train_step_lib

VOCABULARY = 1089  # glosses of PHOENIX14T
SIZES = sizes_lib.Sizes(VOCABULARY)
SOURCE = 16  # tokens of each source
MODELS = ("pt", "40m", "120m", "1b")


def experiment(model: str, dtype: str) -> config_lib.Experiment:
  """PT's training, in PT's shape or in one of SignLLM's (`configs/signllm.py`).

  Layers are not scanned, so that the program shows what each of them sends.

  Args:
    model: one of MODELS.
    dtype: type of the products, "float32" or "bfloat16".
  """
  config = progressive_transformer.get_config()
  if model != "pt":
    shape = signllm.SIZES[model]
    config.model = dataclasses.replace(
      config.model,
      **shape,
      feed_forward=4 * shape["width"],
      remat=model == "1b",
    )
  config.model.compute_dtype = dtype
  return config


def batch(rows: int, frames: int) -> dict[str, np.ndarray]:
  """A batch of full-length rows: sources [B, S] and frames [B, T, 150]."""
  random = np.random.default_rng(0)
  shape = (rows, frames, PROMPT2SIGN50.num_values)
  return {
    "source": random.integers(4, VOCABULARY, (rows, SOURCE), np.int32),
    "frames": random.normal(0, 0.3, shape).astype(np.float32),
    "valid": np.ones((rows, frames, PROMPT2SIGN50.num_joints), bool),
    "length": np.full(rows, frames, np.int32),
  }


def abstract(
  config: config_lib.Experiment,
  mesh: jax.sharding.Mesh,
  codes: Sequence[str] = (),
) -> train_state.TrainState:
  """Shapes and shardings of a state."""
  return train_state.abstract_state(config, SIZES, mesh, codes)


def state(
  config: config_lib.Experiment, mesh: jax.sharding.Mesh
) -> tuple[train_state.TrainState, train_state.TrainState]:
  """A fresh state and its abstract form."""
  shapes = abstract(config, mesh)
  statistics = PoseStatistics(
    np.zeros(PROMPT2SIGN50.num_values, np.float32),
    np.ones((), np.float32),
    np.ones(PROMPT2SIGN50.num_joints, bool),
  )
  initial = train_state.create_state(config, statistics, shapes, SIZES)
  return initial, shapes


def train_step(
  config: config_lib.Experiment, rows: int, frames: int
) -> Callable[[], float]:
  """A function that trains one step on the same batch and returns the loss."""
  mesh = sharding.make_mesh(config_lib.Mesh(), jax.devices()[:1])
  with jax.set_mesh(mesh):
    current, shapes = state(config, mesh)
  step = train_step_lib.make_train_step(
    config, SIZES, 1000, train_state.shardings_of(shapes)
  )
  placed = sharding.put_batch(batch(rows, frames), mesh)
  held: list[Any] = [current]  # the step donates the state

  def run() -> float:
    with jax.set_mesh(mesh):
      held[0], metrics = step(held[0], placed)
    jax.block_until_ready(held[0])
    return float(metrics["loss"])

  return run


def product_rate() -> float:
  """Multiplications and additions a second of one large float32 product."""
  n = 1024
  square = jnp.ones((n, n))
  product = jax.jit(lambda x: x @ x)
  took = timing.best(lambda: jax.block_until_ready(product(square)))
  return 2 * n**3 / took
