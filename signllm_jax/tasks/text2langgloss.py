"""Text or prompt in, language-marked gloss and frames out (section 5).

The loss is the sum of two: cross-entropy of the glosses and regression of the
frames, whose decoder attends to the states of the true glosses.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.data.batch import Batch
from signllm_jax.data.sizes import Sizes
from signllm_jax.models import text2langgloss
from signllm_jax.models.text2langgloss import FlowText2LangGloss, Text2LangGloss
from signllm_jax.models.text_to_gloss import prepend_bos
from signllm_jax.tasks import text_to_gloss, text_to_pose
from signllm_jax.tasks.task import LossContext, LossOutput

LENGTH_UNIT: str = "frames"
update_residuals = text_to_pose.update_residuals


class Denominators(NamedTuple):
  """Denominators of the two losses."""

  pose: text_to_pose.Denominators
  gloss: jax.Array  # [] target tokens


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


def build_model(
  config: Experiment, sizes: Sizes, rngs: nnx.Rngs
) -> Text2LangGloss | FlowText2LangGloss:
  """Builds the model of all languages."""
  skeleton = skeleton_lib.get(config.data.skeleton)
  return text2langgloss.build(
    config.model, sizes.vocabulary, sizes.glosses, skeleton, rngs
  )


def loss_denominator(config: Experiment, batch: Batch) -> Denominators:
  """Denominators of a whole batch."""
  return Denominators(
    text_to_pose.loss_denominator(config, batch),
    count_targets(batch["gloss"]),
  )


def loss(
  config: Experiment,
  model: Text2LangGloss | FlowText2LangGloss,
  batch: Batch,
  context: LossContext,
  key: jax.Array,
  denominator: Denominators,
) -> tuple[jax.Array, LossOutput]:
  """The joint loss; `config.gloss.weight` is the weight of the glosses."""
  token_key, text_key, pose_key = jax.random.split(key, 3)
  gloss = batch["gloss"]
  source, inputs = text_to_gloss.drop_tokens(
    batch["source"], prepend_bos(gloss), config.gloss, token_key
  )
  states = model.text.states(
    source, inputs, text_key if config.model.dropout else None
  )
  gloss_loss = text_to_gloss.summed_cross_entropy(
    model.text.decoder.out(states), targets(gloss), config.gloss
  )
  memory = model.project_memory(*model.encode_states(states, gloss))
  statistics = context.statistics.for_languages(batch["language"])
  context = context._replace(statistics=statistics)
  pose, output = text_to_pose.pose_loss(
    config, model, memory, batch, context, pose_key, denominator.pose
  )
  terms = {"gloss": gloss_loss / denominator.gloss, "pose": pose}
  joint = config.gloss.weight * terms["gloss"] + pose
  return joint, output._replace(terms=terms | output.terms)
