"""Text or prompt in, language-marked gloss out (section 5)."""

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax import augment, text
from signllm_jax.config import Experiment
from signllm_jax.losses.cross_entropy import cross_entropy
from signllm_jax.methods.method import Batch, Known, Outcome
from signllm_jax.models import tokens
from signllm_jax.models.text_to_gloss import TextToGloss
from signllm_jax.statistics import Residuals

UNIT: str = "tokens"


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> TextToGloss:
  """The model of all languages."""
  return TextToGloss(config.model, vocabulary, glosses, rngs)


def total(config: Experiment, batch: Batch) -> jax.Array:
  """Gloss tokens of a whole batch, </s> counted."""
  return jnp.maximum(jnp.sum(batch["gloss"] != text.PAD), 1)


def loss(
  config: Experiment,
  model: TextToGloss,
  batch: Batch,
  known: Known,
  key: jax.Array,
  total: jax.Array,
) -> tuple[jax.Array, Outcome]:
  """Cross-entropy of every gloss after the true ones before it."""
  source_key, input_key, dropout_key = jax.random.split(key, 3)
  settings, target = config.gloss, batch["gloss"]
  source = augment.hide_tokens(
    batch["source"], settings.source_dropout, source_key
  )
  inputs = augment.hide_tokens(
    tokens.shifted(target), settings.token_dropout, input_key
  )
  logits = model(source, inputs, dropout_key if config.model.dropout else None)
  each = cross_entropy(logits, target, settings.label_smoothing)
  return jnp.sum(each * (target != text.PAD)) / total, Outcome({}, ())


def track(
  residuals: Residuals, errors: tuple[jax.Array, ...], epoch_ends: jax.Array
) -> Residuals:
  """Nothing is tracked."""
  return residuals
