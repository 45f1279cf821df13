"""Text or prompt in, language-marked gloss and frames out (section 5).

The loss is the sum of two: cross-entropy of the glosses and regression of the
frames, whose decoder attends to the states of the true glosses.
"""

from typing import NamedTuple

import jax
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.data.batch import Batch
from signllm_jax.models import text2langgloss
from signllm_jax.models.text2langgloss import FlowText2LangGloss, Text2LangGloss
from signllm_jax.tasks import text_to_gloss, text_to_pose
from signllm_jax.tasks.task import LossContext, LossOutput

LENGTH_UNIT: str = "frames"
update_residuals = text_to_pose.update_residuals


class Denominators(NamedTuple):
  """Denominators of the two losses."""

  pose: text_to_pose.Denominators
  gloss: jax.Array  # [] target tokens


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> Text2LangGloss | FlowText2LangGloss:
  """Builds the model of all languages."""
  skeleton = skeleton_lib.get(config.data.skeleton)
  return text2langgloss.build(config.model, vocabulary, glosses, skeleton, rngs)


def loss_denominator(config: Experiment, batch: Batch) -> Denominators:
  """Denominators of a whole batch."""
  return Denominators(
    text_to_pose.loss_denominator(config, batch),
    text_to_gloss.count_targets(batch["gloss"]),
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
  source, inputs = text_to_gloss.drop_tokens(batch, config.gloss, token_key)
  states = model.text.states(
    source, inputs, text_key if config.model.dropout else None
  )
  gloss = batch["gloss"]
  gloss_loss = text_to_gloss.summed_cross_entropy(
    model.text.decoder.out(states), gloss, config.gloss
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
