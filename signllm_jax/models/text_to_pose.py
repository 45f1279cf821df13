"""Text to pose, the base model: a Progressive Transformer.

p_{t+1} = Dec(p_{1:t}, f_{1:S}), f_{1:S} = Enc(x_{1:S}) (section 5).
"""

import jax
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.models import layers, tokens
from signllm_jax.models.pose_decoder import PoseDecoder


class TextToPose(PoseDecoder):
  """Encoder-decoder transformer."""

  def __init__(self, config: Model, vocabulary: int, rngs: nnx.Rngs):
    """Builds the model.

    Args:
      config: its shape.
      vocabulary: number of source tokens, specials included.
      rngs: stream `params`.
    """
    self.encoder = tokens.TokenEncoder(config, vocabulary, rngs)
    super().__init__(config, rngs)

  def encode(
    self, source: jax.Array, key: jax.Array | None = None
  ) -> tuple[jax.Array, jax.Array]:
    """Encodes ids [B, S] (PAD = 0) to [B, S, D] and its mask [B, 1, 1, S]."""
    return self.encoder(source, key)

  def __call__(
    self, source: jax.Array, frames: jax.Array, key: jax.Array | None = None
  ) -> jax.Array:
    """Decodes frames [B, T, 151] of ids [B, S] with teacher forcing."""
    encoder_key, decoder_key = layers.split(key, 2)
    encoded, mask = self.encode(source, encoder_key)
    return self.decode(frames, self.project_memory(encoded, mask), decoder_key)
