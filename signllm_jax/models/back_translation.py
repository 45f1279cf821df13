"""Pose to text: an encoder with a CTC head for glosses and a text decoder.

Sign Language Transformers (Camgoz et al., CVPR 2020) on skeletons instead of
images (section 8). The input is the pose and the mask of valid joints; strided
convolutions and transformer layers encode it.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Experiment
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.models import layers, stacks, tokens

KERNEL = 5  # frames of a convolution
STRIDE = 2


class Encoded(NamedTuple):
  """Encoder output."""

  states: jax.Array  # [B, S, D]
  length: jax.Array  # [B] steps; the rest is padding

  @property
  def mask(self) -> jax.Array:
    """Padding mask [B, S], False on padding."""
    return jnp.arange(self.states.shape[1]) < self.length[:, None]


class Convolution(nnx.Module):
  """Convolution over KERNEL frames with STRIDE, layer norm and ReLU."""

  def __init__(self, width: int, dtype: jnp.dtype, rngs: nnx.Rngs):
    self.linear = layers.Linear(
      KERNEL * width, width, ("mlp", "embed"), dtype=dtype, rngs=rngs
    )
    self.norm = layers.LayerNorm(width)

  def __call__(self, x: jax.Array) -> jax.Array:
    """Maps [B, T, D] to [B, ceil(T / STRIDE), D], with zero padding."""
    t = x.shape[1]
    steps = -(-t // STRIDE)
    before = KERNEL // 2
    x = jnp.pad(x, ((0, 0), (before, KERNEL), (0, 0)))
    last = STRIDE * (steps - 1) + 1
    windows = [x[:, i : i + last : STRIDE] for i in range(KERNEL)]
    return jax.nn.relu(self.norm(self.linear(jnp.concatenate(windows, -1))))


class PoseToText(nnx.Module):
  """Encoder, CTC head and text decoder."""

  def __init__(
    self, config: Experiment, vocabulary: int, glosses: int, rngs: nnx.Rngs
  ):
    """Builds the model.

    Args:
      config: its shape, of the sections `model` and `read`.
      vocabulary: number of text tokens, specials included.
      glosses: number of gloss tokens, specials included; 0 for no CTC head.
      rngs: stream `params`.
    """
    shape = config.model
    d, dtype = shape.width, jnp.dtype(shape.compute_dtype)
    skeleton = skeleton_lib.get(config.data.skeleton)
    # Coordinates and mask of a frame.
    numbers = skeleton.num_values + skeleton.num_joints
    self.frame_in = layers.Linear(numbers, d, ("frame", "embed"), rngs=rngs)
    halvings = config.read.subsample.bit_length() - 1
    self.convolutions = nnx.List(
      Convolution(d, dtype, rngs) for _ in range(halvings)
    )
    self.encoder = stacks.stack(
      [
        layers.EncoderLayer(shape, dtype, rngs)
        for _ in range(shape.encoder_layers)
      ],
      shape.scan,
    )
    self.encoder_norm = layers.LayerNorm(d)
    self.gloss_out = (
      layers.Linear(d, glosses, ("embed", "vocab"), rngs=rngs)
      if glosses
      else None
    )
    self.decoder = tokens.TokenDecoder(shape, vocabulary, rngs)
    self.dropout_rate = shape.dropout
    self.width, self.remat = d, shape.remat

  def encode(
    self,
    poses: jax.Array,
    valid: jax.Array,
    length: jax.Array,
    key: jax.Array | None = None,
  ) -> Encoded:
    """Encodes clips.

    Args:
      poses: [B, T, C] normalised; invalid joints are ignored.
      valid: [B, T, J] bool, whether a joint was seen.
      length: [B] frames; the rest is padding.
      key: dropout key, None when not training.
    """
    keys = layers.split(key, len(self.encoder) + 1)
    mask = (jnp.arange(poses.shape[1]) < length[:, None])[..., None]
    valid = valid & mask
    dims = poses.shape[-1] // valid.shape[-1]
    poses = jnp.where(jnp.repeat(valid, dims, -1), poses, 0)
    x = self.frame_in(jnp.concatenate([poses, valid.astype(poses.dtype)], -1))
    for convolution in self.convolutions:
      # A clip's padding must equal the padding beyond the array.
      mask = (jnp.arange(x.shape[1]) < length[:, None])[..., None]
      x = convolution(jnp.where(mask, x, 0))
      length = -(-length // STRIDE)
    x = x + layers.sinusoids(x.shape[1], self.width)
    x = layers.dropout(x, self.dropout_rate, keys[0])
    mask = (jnp.arange(x.shape[1]) < length[:, None])[:, None, None]
    x = stacks.encode(self.encoder, x, mask, keys[1:], self.remat)
    return Encoded(self.encoder_norm(x), length)

  def log_likelihood(
    self,
    poses: jax.Array,
    valid: jax.Array,
    length: jax.Array,
    source: jax.Array,
  ) -> jax.Array:
    """Log-likelihood of texts given clips, by the decoder.

    Args:
      poses: [B, T, C] normalised; invalid joints are ignored.
      valid: [B, T, J] bool, whether a joint was seen.
      length: [B] frames; the rest is padding.
      source: [B, S] ids of the texts, PAD at the end.

    Returns:
      [B] mean log-probability of a token, </s> included.
    """
    encoded = self.encode(poses, valid, length)
    logits = self.decoder(
      tokens.shift_right(source), self.project_memory(encoded)
    )
    log_p = jax.nn.log_softmax(logits)
    own = jnp.take_along_axis(log_p, source[..., None], -1)[..., 0]
    real = source != vocabulary_lib.PAD
    return jnp.sum(own * real, -1) / jnp.maximum(jnp.sum(real, -1), 1)

  def gloss_logits(self, encoded: Encoded) -> jax.Array:
    """Logits [B, S, glosses] of the CTC head; id 0 is the blank."""
    assert self.gloss_out is not None, "a model without glosses"
    return self.gloss_out(encoded.states)

  def project_memory(self, encoded: Encoded) -> tokens.Memory:
    """Projects encoded clips once for all tokens of the decoder."""
    return self.decoder.project_memory(
      encoded.states, encoded.mask[:, None, None]
    )
