"""Visibility: which joints a produced frame shows.

A recording does not show every joint in every frame: a hand that rests below
the picture is missing. A model learns this as one logit a joint and frame. A
joint is shown if its body part is, that is if the mean probability of the
part's joints is at least one half, and its own probability is so too. Where a
joint is not visible its position has no target, or an invented one, and it is
never shown.
"""

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx

from signllm_jax.core.skeleton import Skeleton
from signllm_jax.models import layers

_FIRST_LOGIT = 2.0  # joints are visible until a model learns otherwise


def head(width: int, skeleton: Skeleton, rngs: nnx.Rngs) -> layers.Linear:
  """The map from states [..., D] to logits [..., J].

  Args:
    width: D.
    skeleton: of J joints.
    rngs: stream `params`.
  """
  joints = skeleton.num_joints
  linear = layers.Linear(width, joints, ("embed", "frame"), rngs=rngs)
  assert linear.bias is not None
  linear.kernel[...] = jnp.zeros((width, joints))
  linear.bias[...] = jnp.full(joints, _FIRST_LOGIT, jnp.float32)
  return linear


def shown(
  logits: jax.Array, seen: jax.Array | np.ndarray, skeleton: Skeleton
) -> jax.Array:
  """Decides which joints are shown.

  Args:
    logits: [..., J] of the joints' visibility.
    seen: [J] bool, or broadcast to `logits`; joints that some training clip
      shows. Others are never shown.
    skeleton: of J joints.

  Returns:
    [..., J] bool.
  """
  parts = np.zeros((len(skeleton.parts), skeleton.num_joints), np.float32)
  for row, joints in enumerate(skeleton.parts.values()):
    parts[row, list(joints)] = 1
  probability = jax.nn.sigmoid(logits.astype(jnp.float32))
  counted = jnp.broadcast_to(seen, probability.shape)
  total = (probability * counted) @ parts.T
  part = total >= 0.5 * jnp.maximum(counted @ parts.T, 1)
  return counted & (part @ parts > 0) & (probability >= 0.5)


def loss(logits: jax.Array, valid: jax.Array, frames: jax.Array) -> jax.Array:
  """Binary cross-entropy [], summed over the joints of real frames.

  Args:
    logits: [B, T, J].
    valid: [B, T, J] bool, whether a recording shows the joint.
    frames: [B, T] weight of each frame, 0 on padding.
  """
  cost = optax.sigmoid_binary_cross_entropy(logits, valid.astype(jnp.float32))
  return jnp.sum(cost * frames[..., None])
