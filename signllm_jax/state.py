"""Everything a run is: one pytree, saved and restored whole."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from signllm_jax import config as config_lib
from signllm_jax import data, optim, partition, skeleton
from signllm_jax.models.text_to_pose import FRAME, TextToPose


class Statistics(NamedTuple):
  """Of the training poses; fixed for the run."""

  mean: jax.Array  # [150]
  scale: jax.Array  # []
  seen: jax.Array  # [50] bool, joints that some clip shows

  def normalize(self, poses: jax.Array) -> jax.Array:
    """[..., 150] in canonical units -> what the model works on."""
    return (poses - self.mean) / self.scale

  def restore(self, poses: jax.Array) -> jax.Array:
    """Back to canonical units."""
    return poses * self.scale + self.mean


class Residuals(NamedTuple):
  """Spread of teacher-forced residuals, for Gaussian noise (section 5)."""

  std: jax.Array  # [151] of the previous epoch; 0 in the first
  total: jax.Array  # [151] sum over this epoch
  squares: jax.Array  # [151]
  count: jax.Array  # [151] cells


class Progress(NamedTuple):
  """Of evaluations and of steps left out."""

  evaluated: jax.Array  # [] int32, step of the last evaluation; -1: none
  score: jax.Array  # [] float32, its DTW-MJE
  best: jax.Array  # [] float32, lowest score
  stale: jax.Array  # [] int32, evaluations since
  plateau: jax.Array  # [] float32, share of the learning rate left
  plateau_stale: jax.Array  # [] int32, evaluations since it last fell
  failed: jax.Array  # [] int32, first non-finite step that ends the run; -1
  skipped: jax.Array  # [] int32, non-finite steps left out
  skipped_in_row: jax.Array  # [] int32


class TrainState(NamedTuple):
  """One run at one step; `step` is also the position in the data."""

  step: jax.Array  # [] int32, steps done
  params: nnx.State
  opt_state: optax.OptState
  key: jax.Array  # PRNG key of the run; a step folds its number in
  statistics: Statistics
  residuals: Residuals
  progress: Progress


def build_model(config: config_lib.Model, vocabulary: int) -> TextToPose:
  """The model with fresh parameters; call it inside `nnx.eval_shape`."""
  return TextToPose(config, vocabulary, nnx.Rngs(0))


def graph(config: config_lib.Model, vocabulary: int) -> nnx.GraphDef:
  """The model without its parameters, for `nnx.merge`."""
  model = nnx.eval_shape(lambda: build_model(config, vocabulary))
  return nnx.split(model)[0]


def _init(config: config_lib.Experiment, vocabulary: int):
  def init(statistics: Statistics) -> TrainState:
    key = jax.random.key(config.seed)
    init_key, run_key = jax.random.split(key)
    model = TextToPose(config.model, vocabulary, nnx.Rngs(init_key))
    params = nnx.state(model, nnx.Param)
    zero = jnp.zeros(FRAME)
    return TrainState(
      step=jnp.int32(0),
      params=params,
      opt_state=optim.make_optimizer(config.optim).init(params),
      key=run_key,
      statistics=statistics,
      residuals=Residuals(zero, zero, zero, zero),
      progress=Progress(
        evaluated=jnp.int32(-1),
        score=jnp.float32(jnp.inf),
        best=jnp.float32(jnp.inf),
        stale=jnp.int32(0),
        plateau=jnp.float32(1),
        plateau_stale=jnp.int32(0),
        failed=jnp.int32(-1),
        skipped=jnp.int32(0),
        skipped_in_row=jnp.int32(0),
      ),
    )

  return init


def abstract_state(
  config: config_lib.Experiment, vocabulary: int, mesh: Mesh
) -> TrainState:
  """Shapes, dtypes and shardings of the state; nothing is allocated."""

  def build() -> TrainState:
    statistics = Statistics(
      jnp.zeros(skeleton.C), jnp.float32(1), jnp.zeros(skeleton.J, bool)
    )
    return _init(config, vocabulary)(statistics)

  abstract = jax.eval_shape(build)
  return jax.tree.map(
    lambda leaf, sharding: jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), leaf
    ),
    abstract,
    partition.shardings(abstract, mesh),
    is_leaf=lambda leaf: isinstance(leaf, nnx.Variable),
  )


def create_state(
  config: config_lib.Experiment, summary: data.Summary, mesh: Mesh
) -> TrainState:
  """A fresh state, initialised in place on the mesh."""
  normalize = config.model.normalize
  statistics = Statistics(
    jnp.asarray(summary.mean if normalize else np.zeros_like(summary.mean)),
    jnp.float32(summary.scale if normalize else 1),
    jnp.asarray(summary.seen),
  )
  vocabulary = len(summary.facts.vocabulary)
  abstract = abstract_state(config, vocabulary, mesh)
  init = jax.jit(
    _init(config, vocabulary), out_shardings=shardings_of(abstract)
  )
  return init(statistics)


def shardings_of(abstract: TrainState) -> TrainState:
  """The shardings of an abstract state, as a tree of the same form."""
  return jax.tree.map(lambda x: x.sharding, abstract)


def count_parameters(state: TrainState) -> int:
  """Number of trained numbers."""
  return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params))
