"""Text or prompt in, language-marked gloss out (section 5)."""

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Experiment, Gloss
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import augmentation
from signllm_jax.data.batch import Batch
from signllm_jax.losses.cross_entropy import cross_entropy
from signllm_jax.models.text_to_gloss import TextToGloss, prepend_bos
from signllm_jax.tasks.task import LossContext, LossOutput, keep_residuals

update_residuals = keep_residuals
LENGTH_UNIT: str = "tokens"


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> TextToGloss:
  """Builds the model of all languages."""
  return TextToGloss(config.model, vocabulary, glosses, rngs)


def targets(gloss: jax.Array) -> jax.Array:
  """Appends </s> to glosses [B, G]: [B, G + 1]; empty rows stay empty."""
  length = jnp.sum(gloss != vocabulary_lib.PAD, 1)
  ended = jnp.pad(gloss, ((0, 0), (0, 1)))
  rows = jnp.arange(len(gloss))
  return ended.at[rows, length].set(
    jnp.where(length > 0, vocabulary_lib.EOS, vocabulary_lib.PAD)
  )


def count_targets(gloss: jax.Array) -> jax.Array:
  """Counts the target tokens of glosses [B, G], </s> included; at least 1."""
  return jnp.maximum(jnp.sum(targets(gloss) != vocabulary_lib.PAD), 1)


def loss_denominator(config: Experiment, batch: Batch) -> jax.Array:
  """Target tokens of a whole batch."""
  return count_targets(batch["gloss"])


def drop_tokens(
  batch: Batch, settings: Gloss, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Source [B, S] and decoder inputs [B, G + 1] with token dropout."""
  source_key, input_key = jax.random.split(key)
  return (
    augmentation.token_dropout(
      batch["source"], settings.source_dropout, source_key
    ),
    augmentation.token_dropout(
      prepend_bos(batch["gloss"]), settings.token_dropout, input_key
    ),
  )


def summed_cross_entropy(
  logits: jax.Array, gloss: jax.Array, settings: Gloss
) -> jax.Array:
  """Sums the cross-entropy [] of logits [B, G + 1, V]."""
  target = targets(gloss)
  token_losses = cross_entropy(logits, target, settings.label_smoothing)
  return jnp.sum(token_losses * (target != vocabulary_lib.PAD))


def loss(
  config: Experiment,
  model: TextToGloss,
  batch: Batch,
  context: LossContext,
  key: jax.Array,
  denominator: jax.Array,
) -> tuple[jax.Array, LossOutput]:
  """Cross-entropy of the gloss tokens under teacher forcing."""
  token_key, dropout_key = jax.random.split(key)
  source, inputs = drop_tokens(batch, config.gloss, token_key)
  states = model.states(
    source, inputs, dropout_key if config.model.dropout else None
  )
  total = summed_cross_entropy(
    model.decoder.out(states), batch["gloss"], config.gloss
  )
  return total / denominator, LossOutput({})
