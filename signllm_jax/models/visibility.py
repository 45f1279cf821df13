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

from signllm_jax.core import skeleton
from signllm_jax.models import layers

_PARTS = np.zeros((len(skeleton.PARTS), skeleton.J), np.float32)
for _row, _joints in enumerate(skeleton.PARTS.values()):
  _PARTS[_row, list(_joints)] = 1


_FIRST_LOGIT = 2.0  # joints are visible until a model learns otherwise


def head(width: int, rngs: nnx.Rngs) -> layers.Linear:
  """The map from states [..., D] to logits [..., 50].

  Args:
    width: D.
    rngs: stream `params`.
  """
  linear = layers.Linear(width, skeleton.J, ("embed", "frame"), rngs=rngs)
  assert linear.bias is not None
  linear.kernel[...] = jnp.zeros((width, skeleton.J))
  linear.bias[...] = jnp.full(skeleton.J, _FIRST_LOGIT)
  return linear


def shown(logits: jax.Array, seen: jax.Array | np.ndarray) -> jax.Array:
  """Decides which joints are shown.

  Args:
    logits: [..., 50] of the joints' visibility.
    seen: [50] bool, or broadcast to `logits`; joints that some training clip
      shows. Others are never shown.

  Returns:
    [..., 50] bool.
  """
  probability = jax.nn.sigmoid(logits.astype(jnp.float32))
  counted = jnp.broadcast_to(seen, probability.shape)
  total = (probability * counted) @ _PARTS.T
  part = total >= 0.5 * jnp.maximum(counted @ _PARTS.T, 1)
  return counted & (part @ _PARTS > 0) & (probability >= 0.5)


def loss(logits: jax.Array, valid: jax.Array, frames: jax.Array) -> jax.Array:
  """Binary cross-entropy [], summed over the joints of real frames.

  Args:
    logits: [B, T, 50].
    valid: [B, T, 50] bool, whether a recording shows the joint.
    frames: [B, T] weight of each frame, 0 on padding.
  """
  cost = optax.sigmoid_binary_cross_entropy(logits, valid.astype(jnp.float32))
  return jnp.sum(cost * frames[..., None])
