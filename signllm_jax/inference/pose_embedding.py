"""Embeddings of clips by the encoder of a model of pose to text."""

import functools

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.models.back_translation import PoseToText


@functools.partial(jax.jit, static_argnames="graphdef")
def mean_state(
  graphdef: nnx.GraphDef,
  params: nnx.State,
  statistics: PoseStatistics,
  frames: jax.Array,
  valid: jax.Array,
  length: jax.Array,
) -> jax.Array:
  """Mean encoder state of each clip, [B, D]; arguments as of
  `pose_reader.translate`.
  """
  model: PoseToText = nnx.merge(graphdef, params)
  encoded = model.encode(statistics.normalise(frames), valid, length)
  mask = encoded.mask[..., None]
  return (encoded.states * mask).sum(1) / jnp.maximum(mask.sum(1), 1)
