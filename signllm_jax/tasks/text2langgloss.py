"""Text or prompt in, language-marked gloss and frames out (section 5).

Both losses are those of the two halves, summed: cross-entropy of the glosses
and regression of the frames, which attend to the true glosses' states.
"""

from typing import NamedTuple

import jax
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.data.batch import Batch
from signllm_jax.models.text2langgloss import Text2LangGloss
from signllm_jax.tasks import text_to_gloss, text_to_pose
from signllm_jax.tasks.task import Known, Outcome

UNIT: str = "frames"
track = text_to_pose.track


class Total(NamedTuple):
  """What the sums of a batch are divided by."""

  pose: jax.Array  # [] weight of all true numbers
  gloss: jax.Array  # [] tokens


def build_model(
  config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
) -> Text2LangGloss:
  """The model of all languages."""
  return Text2LangGloss(config.model, vocabulary, glosses, rngs)


def total(config: Experiment, batch: Batch) -> Total:
  """Of a whole batch."""
  return Total(
    text_to_pose.total(config, batch), text_to_gloss.count(batch["gloss"])
  )


def loss(
  config: Experiment,
  model: Text2LangGloss,
  batch: Batch,
  known: Known,
  key: jax.Array,
  total: Total,
) -> tuple[jax.Array, Outcome]:
  """The joint loss; `config.gloss.weight` is that of the glosses."""
  hide_key, text_key, pose_key = jax.random.split(key, 3)
  source, inputs = text_to_gloss.hidden(batch, config.gloss, hide_key)
  states = model.text.states(
    source, inputs, text_key if config.model.dropout else None
  )
  gloss = batch["gloss"]
  cost = text_to_gloss.sum_of(
    model.text.decoder.out(states), gloss, config.gloss
  )
  attendable = model.attendable(*model.signed(states, gloss))
  known = known._replace(
    statistics=known.statistics.for_languages(batch["language"])
  )
  pose, outcome = text_to_pose.pose_loss(
    config, model, attendable, batch, known, pose_key, total.pose
  )
  parts = {"gloss": cost / total.gloss, "pose": pose, **outcome.parts}
  whole = config.gloss.weight * parts["gloss"] + pose
  return whole, outcome._replace(parts=parts)
