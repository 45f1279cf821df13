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
from signllm_jax.losses.cross_entropy import cross_entropy
from signllm_jax.models import tokens
from signllm_jax.models.back_translation import PoseToText
from signllm_jax.tasks.task import Known, Outcome, track_nothing

track = track_nothing
UNIT: str = "frames"


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> PoseToText:
  """The model; it has a CTC head where the data give glosses."""
  return PoseToText(config, vocabulary, glosses, rngs)


class Tokens(NamedTuple):
  """How many tokens a batch has to teach."""

  text: jax.Array  # []
  gloss: jax.Array  # []


def _real(batch: Batch) -> jax.Array:
  """[B] bool, False in the empty rows of a batch."""
  return batch["length"] > 0


def total(config: Experiment, batch: Batch) -> Tokens:
  """Tokens of a whole batch."""
  real = _real(batch)[:, None]

  def count(name: str) -> jax.Array:
    ids = batch.get(name, jnp.zeros_like(batch["source"]))
    return jnp.maximum(jnp.sum(real & (ids != vocabulary_lib.PAD)), 1)

  return Tokens(count("source"), count("gloss"))


def loss(
  config: Experiment,
  model: PoseToText,
  batch: Batch,
  known: Known,
  key: jax.Array,
  total: Tokens,
) -> tuple[jax.Array, Outcome]:
  """The joint loss; clips are augmented as `config.read` says."""
  clip_key, token_key, encoder_key, decoder_key = jax.random.split(key, 4)
  settings, drops = config.read, config.model.dropout > 0
  poses, valid, length = augmentation.augment_clips(
    known.statistics.normalise(batch["frames"]),
    batch["valid"],
    batch["length"],
    settings,
    clip_key,
  )
  encoded = model.encode(poses, valid, length, encoder_key if drops else None)
  target = batch["source"]
  inputs = augmentation.token_dropout(
    tokens.shifted(target), settings.token_dropout, token_key
  )
  logits = model.decoder(
    inputs, model.attendable(encoded), decoder_key if drops else None
  )
  real = _real(batch)
  counts = (real[:, None] & (target != vocabulary_lib.PAD)).astype(jnp.float32)
  each = cross_entropy(logits, target, settings.label_smoothing)
  translation = jnp.sum(each * counts)
  parts = {"translation": translation / total.text}
  if "gloss" in batch:
    labels = batch["gloss"]
    fits = real & ctc_fits(labels, encoded.length)
    each = optax.ctc_loss(
      model.gloss_logits(encoded),
      1.0 - encoded.real,
      labels,
      jnp.where(labels == vocabulary_lib.PAD, 1.0, 0.0),
      blank_id=vocabulary_lib.PAD,
    )
    parts["ctc"] = jnp.sum(jnp.where(fits, each, 0)) / total.gloss
    parts["ctc_too_short"] = jnp.sum(real & ~fits).astype(jnp.float32)
  cost = settings.translation_weight * parts["translation"]
  if "ctc" in parts:
    cost += settings.ctc_weight * parts["ctc"]
  return cost, Outcome(parts)


def ctc_fits(labels: jax.Array, steps: jax.Array) -> jax.Array:
  """Whether a path has room: a step a label, one more between equal ones.

  A clip too short for its gloss has no path and teaches the decoder alone;
  training logs how many there were.

  Args:
    labels: [B, G], PAD at the end.
    steps: [B] of the encoder.

  Returns:
    [B] bool.
  """
  real = labels != vocabulary_lib.PAD
  repeats = real[:, 1:] & (labels[:, 1:] == labels[:, :-1])
  return jnp.sum(real, 1) + jnp.sum(repeats, 1) <= steps
