"""Small generative decoders that were never trained, for tests."""

import dataclasses
import pathlib

import jax
import numpy as np
from flax import nnx

from signllm_jax import config
from signllm_jax.core import hand_space
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50, Skeleton
from signllm_jax.data import corpus_info
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.data.noise_moments import POSITIONS
from signllm_jax.data.pose_statistics import ClipNoise, PoseStatistics
from signllm_jax.parallel import sharding
from signllm_jax.runs import model_file, train_state

SHAPE = config.Model(
  decoder="flow",
  encoder_layers=1,
  decoder_layers=2,
  width=32,
  heads=2,
  feed_forward=32,
  alignment=True,
)

TEXTS = ("regen", "sonne", "wind", "nacht", "norden")


def unit_noise(
  skeleton: Skeleton, around: np.ndarray | None = None, unit: float = 1.0
) -> ClipNoise:
  """Noise around a pose, half of it common to all frames; bone lengths near 1.

  Args:
    skeleton: of the noise.
    around: the pose [J, D], 0 without it.
    unit: its deviation.
  """
  lengths = np.zeros((2, skeleton.num_bones), np.float32)
  lengths[1] = 1
  values = skeleton.num_values
  pose = np.zeros(skeleton.shape) if around is None else around
  return ClipNoise(
    hand_space.to_hand_space(pose, skeleton).ravel().astype(np.float32),
    np.full(values, unit, np.float32),
    np.sqrt(np.float32(0.5)) * np.stack(2 * [np.eye(values, dtype=np.float32)]),
    np.ones((POSITIONS, values), np.float32),
    np.full(POSITIONS - 1, 1e-3, np.float32),
    lengths,
  )


def remembering(noise: ClipNoise, memory: float) -> ClipNoise:
  """The noise with this correlation from frame to frame."""
  return noise._replace(memory=np.full_like(noise.memory, memory))


def write_flow_model(
  path: pathlib.Path,
  skeleton: Skeleton = PROMPT2SIGN50,
  around: np.ndarray | None = None,
) -> pathlib.Path:
  """Writes a small model whose clips depend on seed and text.

  Args:
    path: the file.
    skeleton: of its clips.
    around: a frame [J, D] that the clips stay near.
  """
  spread = 1.0 if around is None else 0.004
  mean = np.zeros(skeleton.shape) if around is None else around
  experiment = config.Experiment(
    compilation_cache=False,
    data=config.Data(
      folder=str(path.parent / "no_data"),
      language="GSL",
      tokens="characters",
      skeleton=skeleton.name,
    ),
    model=dataclasses.replace(
      SHAPE, decoder_layers=1, dropout=0.0, visibility=False
    ),
    augment=config.Augment(noise=0.0),
    flow=config.Flow(steps=2),
    evaluate=config.Evaluate(batch_size=4),
  )
  vocabulary = vocabulary_lib.build_vocabulary(TEXTS, "characters")
  infos = {"GSL": corpus_info.CorpusInfo(vocabulary, 7, 21, 25.0)}
  sizes = sizes_lib.sizes_of(experiment, infos)
  mesh = sharding.make_mesh(config.Mesh(), jax.devices()[:1])
  abstract = train_state.abstract_state(experiment, sizes, mesh)
  statistics = PoseStatistics(
    mean.ravel().astype(np.float32),
    np.float32(spread),
    np.ones(skeleton.num_joints, bool),
    noise=unit_noise(skeleton, mean, spread),
  )
  state = train_state.create_state(experiment, statistics, abstract, sizes)
  # Layers that start at 0 would make all clips equal.
  random = np.random.default_rng(0)
  params = jax.tree.map(
    lambda x: x + random.normal(0, 0.05, x.shape).astype(np.float32),
    state.params,
  )
  # A token lasts a frame or two: all clips fit the program of 24 frames.
  params["alignment"]["duration"]["bias"][...] -= 1.5
  described = model_file.Description(experiment, infos)
  model_file.write(path, described, state._replace(params=params))
  return path


def moved(module: nnx.Module) -> nnx.Module:
  """The module with all parameters moved, so that no gate is closed."""
  graph, params = nnx.split(module)
  keys = iter(jax.random.split(jax.random.key(1), 200))
  params = jax.tree.map(
    lambda x: x + 0.1 * jax.random.normal(next(keys), x.shape), params
  )
  return nnx.merge(graph, params)
