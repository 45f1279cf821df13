"""The state of a run: one pytree, saved and restored as a whole."""

import functools
import zlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from jax.sharding import Mesh

from signllm_jax import config as config_lib
from signllm_jax import tasks
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data import corpus_info, noise_moments
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.data.pose_statistics import (
  ClipNoise,
  PoseStatistics,
  Residuals,
)
from signllm_jax.models import flow_noise
from signllm_jax.parallel import sharding as sharding_lib
from signllm_jax.rl import priority
from signllm_jax.runs import optimizer


class Progress(NamedTuple):
  """Results of evaluations and counts of non-finite steps."""

  evaluated: jax.Array  # [] int32, step of the last evaluation; -1: none
  score: jax.Array  # [] float32, of that; lower is better
  best: jax.Array  # [] float32, lowest score
  stale: jax.Array  # [] int32, evaluations since
  plateau: jax.Array  # [] float32, share of the learning rate left
  plateau_stale: jax.Array  # [] int32, evaluations since it last fell
  failed: jax.Array  # [] int32, non-finite step that ends the run; -1: none
  skipped: jax.Array  # [] int32, non-finite steps left out
  skipped_in_row: jax.Array  # [] int32


class Group(NamedTuple):
  """State of one encoder-decoder group."""

  params: nnx.State
  opt_state: optax.OptState
  key: jax.Array
  statistics: PoseStatistics
  residuals: Residuals
  table: priority.Table | None  # with `plc`
  ema: nnx.State | None  # moving average of `params`, with `optim.ema`

  @property
  def weights(self) -> nnx.State:
    """The parameters that inference takes: their average, where it is kept."""
    return self.params if self.ema is None else self.ema


class TrainState(NamedTuple):
  """State of a run at a step; `step` is also the position in the data.

  MLSF keeps one group a sign language, stacked: the fields of `Group` then have
  a leading axis L, which the mesh may split (section 5).
  """

  step: jax.Array  # [] int32, steps done
  params: nnx.State
  opt_state: optax.OptState
  key: jax.Array  # PRNG key of the run; a step folds its number in
  statistics: PoseStatistics  # [L, ...] in Text2LangGloss too
  residuals: Residuals
  table: priority.Table | None  # rewards of the samples, with `plc`
  ema: nnx.State | None
  progress: Progress

  @property
  def group(self) -> Group:
    """The fields that belong to a group."""
    return Group(*(getattr(self, name) for name in Group._fields))


def graph(
  config: config_lib.Experiment, sizes: sizes_lib.Sizes
) -> nnx.GraphDef:
  """Builds the model's graph, without parameters, for `nnx.merge`."""
  build = tasks.get_task(config.task).build_model
  model = nnx.eval_shape(lambda: build(config, sizes, nnx.Rngs(0)))
  return nnx.split(model)[0]


def _new_group(
  config: config_lib.Experiment,
  sizes: sizes_lib.Sizes,
  statistics: PoseStatistics,
  key: jax.Array,
) -> Group:
  init_key, run_key = jax.random.split(key)
  build = tasks.get_task(config.task).build_model
  model = build(config, sizes, nnx.Rngs(init_key))
  params = nnx.state(model, nnx.Param)
  zero = jnp.zeros(skeleton_lib.get(config.data.skeleton).num_values + 1)
  return Group(
    params=params,
    opt_state=optimizer.make_optimizer(config.optim).init(params),
    key=run_key,
    statistics=statistics,
    residuals=Residuals(zero, zero, zero, zero),
    table=priority.empty(sizes.examples) if config.plc.pool else None,
    ema=jax.tree.map(jnp.copy, params) if config.optim.ema else None,
  )


def _is_variable(leaf: Any) -> bool:
  return isinstance(leaf, nnx.Variable)


def _stacked_axes(leaf: Any) -> Any:
  """Names the leading axis of a stacked parameter or moment."""
  if _is_variable(leaf):
    axes = leaf.get_metadata().get("axes", ())
    leaf.set_metadata(axes=("language", *axes))
  return leaf


def _init(
  config: config_lib.Experiment, sizes: sizes_lib.Sizes, codes: Sequence[str]
) -> Callable[[PoseStatistics], TrainState]:
  """Builds the function that creates a state; `codes` stack the groups.

  A language's group is initialised from the seed and its code. So it does not
  depend on the other languages, except through the size of the largest
  vocabulary, which all embedding tables have.
  """

  def init(statistics: PoseStatistics) -> TrainState:
    create = functools.partial(_new_group, config, sizes)
    key = jax.random.key(config.seed)
    if codes:
      hashes = jnp.array([zlib.crc32(c.encode()) for c in codes], jnp.uint32)
      keys = jax.vmap(jax.random.fold_in, (None, 0))(key, hashes)
      group = jax.vmap(create)(statistics, keys)
      group = jax.tree.map(_stacked_axes, group, is_leaf=_is_variable)
    else:
      group = create(statistics, key)
    return TrainState(
      step=jnp.int32(0),
      **group._asdict(),
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
  config: config_lib.Experiment,
  sizes: sizes_lib.Sizes,
  mesh: Mesh,
  codes: Sequence[str] = (),
) -> TrainState:
  """Computes shapes, dtypes and shardings of a state; allocates nothing.

  Args:
    config: the run.
    sizes: of the data.
    mesh: where it will be.
    codes: languages of MLSF, which has a group each.
  """
  stack = (len(codes),) if codes else ()
  if config.task == "text2langgloss":
    stack = (len(config_lib.corpora(config)),)

  skeleton = skeleton_lib.get(config.data.skeleton)
  values = skeleton.num_values

  def build() -> TrainState:
    statistics = PoseStatistics(
      jnp.zeros((*stack, values)),
      jnp.ones(stack),
      jnp.zeros((*stack, skeleton.num_joints), bool),
      jnp.zeros((*stack, skeleton.num_bones))
      if config.model.bones == "fixed"
      else None,
      ClipNoise(
        jnp.zeros((*stack, values)),
        jnp.zeros((*stack, values)),
        jnp.zeros((*stack, 2, values, values)),
        jnp.zeros((*stack, noise_moments.POSITIONS, values)),
        jnp.zeros((*stack, noise_moments.POSITIONS - 1)),
        jnp.zeros((*stack, 2, skeleton.num_bones)),
      )
      if config.model.decoder == "flow"
      else None,
    )
    return _init(config, sizes, codes)(statistics)

  abstract = jax.eval_shape(build)
  return jax.tree.map(
    lambda leaf, sharding: jax.tree.map(
      lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding), leaf
    ),
    abstract,
    sharding_lib.shardings(abstract, mesh),
    is_leaf=_is_variable,
  )


def measured(
  summary: corpus_info.CorpusSummary, config: config_lib.Experiment
) -> PoseStatistics:
  """The pose statistics of a training split, as arrays of the host."""
  mean, scale, model = summary.mean, summary.scale, config.model
  noise = None
  if model.decoder == "flow":
    moments = summary.noise
    assert moments is not None
    noise = ClipNoise(
      moments.mean,
      *flow_noise.measure(moments.deviation, moments.covariance, summary.scale),
      moments.amplitude,
      moments.memory,
      moments.log_lengths,
    )
  if not model.normalize:
    mean, scale = np.zeros_like(mean), np.ones_like(scale)
  return PoseStatistics(
    mean,
    scale,
    summary.seen,
    summary.bones if model.bones == "fixed" else None,
    noise,
  )


def create_state(
  config: config_lib.Experiment,
  statistics: PoseStatistics,
  abstract: TrainState,
  sizes: sizes_lib.Sizes,
  codes: Sequence[str] = (),
) -> TrainState:
  """Creates a state, initialised in place on the mesh.

  Args:
    config: the run.
    statistics: of the training poses, with a leading axis if there are several
      languages.
    abstract: of `abstract_state`.
    sizes: as there.
    codes: as there.
  """
  init = jax.jit(
    _init(config, sizes, codes),
    out_shardings=shardings_of(abstract),
  )
  return init(jax.tree.map(jnp.asarray, statistics))


def take_group(state: TrainState, index: int) -> Group:
  """Takes one language's group of MLSF, without the leading axis."""

  def take(leaf: Any) -> Any:
    if not _is_variable(leaf):
      return leaf[index]
    axes = leaf.get_metadata().get("axes", ())
    return leaf.replace(leaf[...][index], axes=axes[1:])

  return jax.tree.map(take, state.group, is_leaf=_is_variable)


def shardings_of(abstract: TrainState) -> TrainState:
  """The shardings of an abstract state, as a tree of the same form."""
  return jax.tree.map(lambda x: x.sharding, abstract)


def name_of(root: str, path: Any) -> str:
  """The name of an array at a path of `jax.tree_util` below a root."""
  inside = jax.tree_util.keystr(path, simple=True, separator="/")
  return f"{root}/{inside}".removesuffix("/value")  # of an `nnx.Param`


def count_parameters(state: TrainState) -> int:
  """Counts the trainable parameters."""
  return sum(int(np.prod(x.shape)) for x in jax.tree.leaves(state.params))
