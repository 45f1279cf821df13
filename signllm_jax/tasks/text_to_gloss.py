"""Text or prompt in, language-marked gloss out (section 5)."""

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Experiment, Gloss
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import augmentation
from signllm_jax.data.batch import Batch
from signllm_jax.losses.cross_entropy import cross_entropy
from signllm_jax.models.text_to_gloss import TextToGloss, started
from signllm_jax.tasks.task import Known, Outcome, track_nothing

track = track_nothing
UNIT: str = "tokens"


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> TextToGloss:
  """The model of all languages."""
  return TextToGloss(config.model, vocabulary, glosses, rngs)


def targets(gloss: jax.Array) -> jax.Array:
  """Glosses [B, G] with </s> after them: [B, G + 1]; empty rows stay empty."""
  length = jnp.sum(gloss != vocabulary_lib.PAD, 1)
  ended = jnp.pad(gloss, ((0, 0), (0, 1)))
  rows = jnp.arange(len(gloss))
  return ended.at[rows, length].set(
    jnp.where(length > 0, vocabulary_lib.EOS, vocabulary_lib.PAD)
  )


def count(gloss: jax.Array) -> jax.Array:
  """Tokens of glosses [B, G] that are taught, </s> counted; at least 1."""
  return jnp.maximum(jnp.sum(targets(gloss) != vocabulary_lib.PAD), 1)


def total(config: Experiment, batch: Batch) -> jax.Array:
  """Gloss tokens of a whole batch."""
  return count(batch["gloss"])


def hidden(
  batch: Batch, settings: Gloss, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Source [B, S] and decoder inputs [B, G + 1], with tokens hidden."""
  source_key, input_key = jax.random.split(key)
  return (
    augmentation.token_dropout(
      batch["source"], settings.source_dropout, source_key
    ),
    augmentation.token_dropout(
      started(batch["gloss"]), settings.token_dropout, input_key
    ),
  )


def sum_of(logits: jax.Array, gloss: jax.Array, settings: Gloss) -> jax.Array:
  """Summed cross-entropy [] of logits [B, G + 1, V]."""
  target = targets(gloss)
  each = cross_entropy(logits, target, settings.label_smoothing)
  return jnp.sum(each * (target != vocabulary_lib.PAD))


def loss(
  config: Experiment,
  model: TextToGloss,
  batch: Batch,
  known: Known,
  key: jax.Array,
  total: jax.Array,
) -> tuple[jax.Array, Outcome]:
  """Cross-entropy of every gloss after the true ones before it."""
  hide_key, dropout_key = jax.random.split(key)
  source, inputs = hidden(batch, config.gloss, hide_key)
  states = model.states(
    source, inputs, dropout_key if config.model.dropout else None
  )
  cost = sum_of(model.decoder.out(states), batch["gloss"], config.gloss)
  return cost / total, Outcome({})
