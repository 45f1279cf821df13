"""Text or prompt in, gloss out: the first half of Text2LangGloss (section 5).

One encoder and one decoder for all sign languages. The source begins with the
language that is asked for (`gloss.prepend_language`), and glosses carry theirs.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.models import layers, tokens


class TextToGloss(nnx.Module):
  """Encoder-decoder transformer."""

  def __init__(
    self, config: Model, vocabulary: int, glosses: int, rngs: nnx.Rngs
  ):
    """Builds the model.

    Args:
      config: its shape.
      vocabulary: number of source tokens, specials included.
      glosses: number of gloss tokens, specials included.
      rngs: stream `params`.
    """
    self.encoder = tokens.TokenEncoder(config, vocabulary, rngs)
    self.decoder = tokens.TokenDecoder(config, glosses, rngs)

  def attendable(
    self, source: jax.Array, key: jax.Array | None = None
  ) -> tokens.Memory:
    """Encodes ids [B, S] (PAD = 0), once for all tokens of the gloss."""
    return self.decoder.attendable(*self.encoder(source, key))

  def states(
    self, source: jax.Array, inputs: jax.Array, key: jax.Array | None = None
  ) -> jax.Array:
    """The decoder's states, which `decoder.out` turns into logits.

    Args:
      source: [B, S] ids.
      inputs: [B, U] of `started`.
      key: dropout key, None when not training.

    Returns:
      [B, U, D].
    """
    encoder_key, decoder_key = layers.split(key, 2)
    memory = self.attendable(source, encoder_key)
    return self.decoder.states(inputs, memory, decoder_key)


def started(gloss: jax.Array) -> jax.Array:
  """Decoder inputs of glosses [B, G]: <s> before them, [B, G + 1]."""
  return jnp.pad(gloss, ((0, 0), (1, 0)), constant_values=vocabulary_lib.BOS)
