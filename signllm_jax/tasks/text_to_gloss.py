"""Text or prompt in, language-marked gloss out (section 5)."""

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Experiment, Gloss
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data import augmentation
from signllm_jax.data.batch import Batch
from signllm_jax.data.sizes import Sizes
from signllm_jax.losses.cross_entropy import cross_entropy
from signllm_jax.models import segments
from signllm_jax.models.text_to_gloss import TextToGloss, packed_inputs
from signllm_jax.tasks.task import LossContext, LossOutput, keep_residuals

update_residuals = keep_residuals
LENGTH_UNIT: str = "tokens"


def build_model(
  config: Experiment, sizes: Sizes, rngs: nnx.Rngs
) -> TextToGloss:
  """Builds the model of all languages."""
  return TextToGloss(
    config.model, sizes.vocabulary, sizes.glosses, rngs, sizes.affixes
  )


def loss_denominator(config: Experiment, batch: Batch) -> jax.Array:
  """Target tokens of a whole batch."""
  return jnp.maximum(jnp.sum(batch["gloss"] != vocabulary_lib.PAD), 1)


def drop_tokens(
  source: jax.Array, inputs: jax.Array, settings: Gloss, key: jax.Array
) -> tuple[jax.Array, jax.Array]:
  """Source [B, S] and decoder inputs [B, U] with token dropout."""
  source_key, input_key = jax.random.split(key)
  return (
    augmentation.token_dropout(
      source,
      settings.source_dropout,
      source_key,
      segments.of_sources(source).position == 0,
    ),
    augmentation.token_dropout(inputs, settings.token_dropout, input_key),
  )


def summed_cross_entropy(
  logits: jax.Array, target: jax.Array, settings: Gloss
) -> jax.Array:
  """Sums the cross-entropy [] of logits [B, U, V]."""
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
  target = batch["gloss"]
  source, inputs = drop_tokens(
    batch["source"], packed_inputs(target), config.gloss, token_key
  )
  states = model.packed_states(
    source, inputs, dropout_key if config.model.dropout else None
  )
  total = summed_cross_entropy(model.decoder.out(states), target, config.gloss)
  return total / denominator, LossOutput({})
