"""Text to pose, the base model: a Progressive Transformer.

p_{t+1} = Dec(p_{1:t}, f_{1:S}), f_{1:S} = Enc(x_{1:S}) (section 5).
"""

import jax
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.models import layers, tokens
from signllm_jax.models.flow_decoder import FlowDecoder
from signllm_jax.models.pose_decoder import PoseDecoder, Prediction


class _TextEncoder(nnx.Module):
  """Encodes the text, for the decoder that is the next base class."""

  def __init__(
    self, config: Model, vocabulary: int, skeleton: Skeleton, rngs: nnx.Rngs
  ):
    """Builds the model.

    Args:
      config: its shape.
      vocabulary: number of source tokens, specials included.
      skeleton: of the frames.
      rngs: stream `params`.
    """
    self.encoder = tokens.TokenEncoder(config, vocabulary, rngs)
    # The next base class is a decoder, which a type checker does not see here.
    super().__init__(config, skeleton, rngs)  # pyright: ignore[reportCallIssue]

  def encode(
    self, source: jax.Array, key: jax.Array | None = None
  ) -> tuple[jax.Array, jax.Array]:
    """Encodes ids [B, S] (PAD = 0) to [B, S, D] and its mask [B, 1, 1, S]."""
    return self.encoder(source, key)


class FlowTextToPose(_TextEncoder, FlowDecoder):
  """Encoder with the generative decoder."""


class TextToPose(_TextEncoder, PoseDecoder):
  """Encoder-decoder transformer."""

  def __call__(
    self, source: jax.Array, frames: jax.Array, key: jax.Array | None = None
  ) -> Prediction:
    """Decodes frames [B, T, C + 1] of ids [B, S] with teacher forcing."""
    encoder_key, decoder_key = layers.split(key, 2)
    encoded, mask = self.encode(source, encoder_key)
    return self.decode(frames, self.project_memory(encoded, mask), decoder_key)


def build(
  config: Model, vocabulary: int, skeleton: Skeleton, rngs: nnx.Rngs
) -> TextToPose | FlowTextToPose:
  """Builds the model with the decoder of the configuration."""
  kind = FlowTextToPose if config.decoder == "flow" else TextToPose
  return kind(config, vocabulary, skeleton, rngs)
