"""Frames in, gloss and text out: back-translation (section 8).

The joint loss of Sign Language Transformers (Camgoz et al., CVPR 2020): CTC of
the glosses and cross-entropy of the text, each a mean over its tokens.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import augmentation
from signllm_jax.data.batch import Batch
from signllm_jax.data.sizes import Sizes
from signllm_jax.losses.cross_entropy import cross_entropy
from signllm_jax.models import tokens
from signllm_jax.models.back_translation import Encoded, PoseToText
from signllm_jax.tasks.task import LossContext, LossOutput, keep_residuals

update_residuals = keep_residuals
LENGTH_UNIT: str = "frames"


def build_model(config: Experiment, sizes: Sizes, rngs: nnx.Rngs) -> PoseToText:
  """Builds the model; it has a CTC head where the data have glosses."""
  return PoseToText(config, sizes.vocabulary, sizes.glosses, rngs)


class TokenCounts(NamedTuple):
  """Target tokens of a batch: the denominators of the two losses."""

  text: jax.Array  # []
  gloss: jax.Array  # []


def _nonempty(batch: Batch) -> jax.Array:
  """[B] bool, False in the empty rows of a batch."""
  return batch["length"] > 0


def loss_denominator(config: Experiment, batch: Batch) -> TokenCounts:
  """Target tokens of a whole batch."""
  real = _nonempty(batch)[:, None]

  def count(name: str) -> jax.Array:
    ids = batch.get(name, jnp.zeros_like(batch["source"]))
    return jnp.maximum(jnp.sum(real & (ids != vocabulary_lib.PAD)), 1)

  return TokenCounts(count("source"), count("gloss"))


def loss(
  config: Experiment,
  model: PoseToText,
  batch: Batch,
  context: LossContext,
  key: jax.Array,
  denominator: TokenCounts,
) -> tuple[jax.Array, LossOutput]:
  """The joint loss of clips that are augmented as `config.read` says."""
  clip_key, token_key, encoder_key, decoder_key = jax.random.split(key, 4)
  settings, drops = config.read, config.model.dropout > 0
  poses, valid, length = augmentation.augment_clips(
    context.statistics.normalise(batch["frames"]),
    batch["valid"],
    batch["length"],
    settings,
    clip_key,
  )
  encoded = model.encode(poses, valid, length, encoder_key if drops else None)
  target = batch["source"]
  inputs = augmentation.token_dropout(
    tokens.shift_right(target), settings.token_dropout, token_key
  )
  logits = model.decoder(
    inputs, model.project_memory(encoded), decoder_key if drops else None
  )
  real = _nonempty(batch)
  mask = (real[:, None] & (target != vocabulary_lib.PAD)).astype(jnp.float32)
  token_losses = cross_entropy(logits, target, settings.label_smoothing)
  translation = jnp.sum(token_losses * mask)
  terms = {"translation": translation / denominator.text}
  if "gloss" in batch:
    terms |= _ctc_terms(model, encoded, batch["gloss"], real, denominator.gloss)
  joint = settings.translation_weight * terms["translation"]
  if "ctc" in terms:
    joint += settings.ctc_weight * terms["ctc"]
  return joint, LossOutput(terms)


def _ctc_terms(
  model: PoseToText,
  encoded: Encoded,
  labels: jax.Array,
  real: jax.Array,
  denominator: jax.Array,
) -> dict[str, jax.Array]:
  """CTC loss of glosses [B, G], and the number of clips too short for theirs.

  A clip too short for its gloss has no CTC path and trains only the decoder.
  """
  fits = real & ctc_fits(labels, encoded.length)
  losses = optax.ctc_loss(
    model.gloss_logits(encoded),
    1.0 - encoded.mask,
    labels,
    jnp.where(labels == vocabulary_lib.PAD, 1.0, 0.0),
    blank_id=vocabulary_lib.PAD,
  )
  return {
    "ctc": jnp.sum(jnp.where(fits, losses, 0)) / denominator,
    "ctc_too_short": jnp.sum(real & ~fits).astype(jnp.float32),
  }


def ctc_fits(labels: jax.Array, steps: jax.Array) -> jax.Array:
  """Whether a CTC path exists: a step a label, one more between equal labels.

  Args:
    labels: [B, G], PAD at the end.
    steps: [B] of the encoder.

  Returns:
    [B] bool.
  """
  real = labels != vocabulary_lib.PAD
  repeats = real[:, 1:] & (labels[:, 1:] == labels[:, :-1])
  return jnp.sum(real, 1) + jnp.sum(repeats, 1) <= steps
