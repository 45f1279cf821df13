"""Soft-DTW between the truth and poses at the model's own durations."""

import jax
import jax.numpy as jnp

from signllm_jax.config import Experiment, Loss
from signllm_jax.data.batch import Batch
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.losses import soft_dtw
from signllm_jax.models.pose_decoder import PoseDecoder, Source


def soft_dtw_distance(
  config: Experiment,
  model: PoseDecoder,
  source: Source,
  target: jax.Array,
  batch: Batch,
  statistics: PoseStatistics,
  key: jax.Array,
) -> jax.Array:
  """Soft-DTW at the model's own durations, summed over the clips of a batch.

  The decoder's only input is the counter (`model.just_counter`), so all frames
  are decoded in one pass. Durations have a gradient through the frames' places
  among the tokens; the length is rounded and has none.

  Args:
    config: the run.
    model: the decoder, with an alignment.
    source: what it attends to.
    target: [B, T, C + 1] normalised; T is also the most frames that are made.
    batch: with frames.
    statistics: of all clips or of each row.
    key: of dropout.

  Returns:
    [] float32, in units of the cost.
  """
  assert source.timeline is not None  # `config_check`
  rows, frames = target.shape[:2]
  counters, length = clock(source.timeline.total, frames)
  inputs = jnp.zeros((rows, frames, model.frame_size)).at[..., -1].set(counters)
  dropout_key = jax.random.fold_in(key, 2) if config.model.dropout else None
  skeleton = model.skeleton
  made = model.decode(inputs, source, dropout_key).frames
  poses = made[..., : skeleton.num_values]
  values = distance(
    statistics.hold_bones(poses, skeleton),
    length,
    target[..., :-1],
    batch["length"],
    batch["valid"],
    config.loss,
  )
  return jnp.sum(values * batch.get("weight", 1))


def clock(total: jax.Array, limit: int) -> tuple[jax.Array, jax.Array]:
  """Counters that come in, and the length, of a clip that runs free.

  A clip has round(total) frames, as in inference; a longer one than the limit
  is sampled at that many frames, evenly over the whole of it.

  Args:
    total: [B] sums of durations, in frames.
    limit: most frames, static.

  Returns:
    Counters i / length [B, limit], at most 1, and lengths [B] int32, at least
    1.
  """
  length = jnp.clip(jnp.round(total), 1, limit)
  counters = jnp.arange(limit) / length[:, None]
  return jnp.minimum(counters, 1), length.astype(jnp.int32)


def distance(
  poses: jax.Array,
  length: jax.Array,
  true: jax.Array,
  true_length: jax.Array,
  valid: jax.Array,
  config: Loss,
) -> jax.Array:
  """Soft-DTW of each clip, 0 for empty rows: [B] float32.

  Args:
    poses: [B, Q, C] normalised.
    length: [B] frames, at least 1.
    true: [B, R, C] normalised; 0 where missing.
    true_length: [B] frames; 0 in empty rows.
    valid: [B, R, J] bool. Missing joints have no cost in "mean_joint"; in the
      other costs they count at the mean pose.
    config: gamma, window and cost.
  """
  metric = config.dtw_cost
  value = soft_dtw.soft_dtw(
    true,
    jnp.maximum(true_length, 1),
    poses,
    length,
    config.dtw_gamma,
    metric,
    valid if metric == "mean_joint" else None,
    config.dtw_window or None,
  )
  return jnp.where(true_length > 0, value, 0)
