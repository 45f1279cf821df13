"""The reward "recognition": how likely a reader finds the text.

The reader is a trained model of pose to text (`tasks.pose_to_text`) with fixed
weights. The regression cannot have this reward: signs may be read rightly far
from the recording, and wrongly near it.
"""

import dataclasses
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.models import visibility
from signllm_jax.models.back_translation import PoseToText

# Poses [B, T, C], logits of their visibility [B, T, J] or None, and frames [B]
# of clips -> the rewards [B].
Recognise = Callable[[jax.Array, jax.Array | None, jax.Array], jax.Array]


@dataclasses.dataclass(frozen=True)
class TextReader:
  """A trained reader; its arrays are constants of a compiled step.

  Attributes:
    graphdef: of `PoseToText`.
    params: its parameters.
    statistics: of the poses it was trained on.
  """

  graphdef: nnx.GraphDef
  params: nnx.State
  statistics: PoseStatistics

  def log_likelihood(
    self,
    frames: jax.Array,
    visible: jax.Array,
    length: jax.Array,
    source: jax.Array,
  ) -> jax.Array:
    """Log-likelihood of texts given clips.

    Args:
      frames: [B, T, C] in canonical units.
      visible: [B, T, J] bool.
      length: [B] frames.
      source: [B, S] ids of the reader's vocabulary.

    Returns:
      [B] mean log-probability of a token.
    """
    params = jax.tree.map(jnp.asarray, self.params)
    model: PoseToText = nnx.merge(self.graphdef, params)
    poses = self.statistics.normalise(frames)
    return model.log_likelihood(poses, visible, length, source)


def rewarder(
  reader: TextReader,
  texts: jax.Array,
  real: jax.Array,
  statistics: PoseStatistics,
  skeleton: Skeleton,
) -> Recognise:
  """The reward of a batch's texts.

  Args:
    reader: who reads.
    texts: [B, S] ids of the reader's vocabulary.
    real: [B] bool, False in empty rows, whose reward is 0.
    statistics: of the model that signs.
    skeleton: of both.

  Returns:
    A function of normalised clips, or of several times B of them.
  """

  def recognise(
    poses: jax.Array, logits: jax.Array | None, length: jax.Array
  ) -> jax.Array:
    count = len(poses) // len(texts)
    seen = jnp.asarray(statistics.seen)
    if logits is None:
      shown = jnp.broadcast_to(seen, (*poses.shape[:2], skeleton.num_joints))
    else:
      shown = visibility.shown(logits, seen, skeleton)
    found = reader.log_likelihood(
      statistics.denormalise(poses),
      jax.lax.stop_gradient(shown),
      length,
      jnp.tile(texts, (count, 1)),
    )
    return jnp.where(jnp.tile(real, count), found, 0)

  return recognise


def by_joint(
  recognise: Recognise,
  made: jax.Array,
  near: jax.Array,
  visible: jax.Array | None,
  length: jax.Array,
  joints: int,
) -> tuple[jax.Array, jax.Array]:
  """Shares the rewards of samples out to joints by the reader's gradient.

  Near a sequence the reward of a sample changes by the gradient times the
  deviation, a sum over frames and joints.

  Args:
    recognise: of `rewarder`.
    made: [..., B, T, C] samples.
    near: [B, T, C] the sequence that all samples are near.
    visible: [B, T, J] logits or None.
    length: [B] frames.
    joints: J.

  Returns:
    [B] rewards of `near`, and [..., B, T, J] shares of the samples' rewards
    above it.
  """

  def total(poses: jax.Array) -> tuple[jax.Array, jax.Array]:
    rewards = recognise(poses, visible, length)
    return jnp.sum(rewards), rewards

  gradient, rewards = jax.grad(total, has_aux=True)(near)
  shares = gradient * (made - near)
  return rewards, jnp.sum(shares.reshape(*shares.shape[:-1], joints, -1), -1)
