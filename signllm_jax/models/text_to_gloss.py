"""Text or prompt in, gloss out: the first half of Text2LangGloss (section 5).

One encoder and one decoder for all sign languages. The source begins with the
language that is asked for (`pairs.ask`), and glosses carry theirs.
"""

import jax
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.models import tokens


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

  def __call__(
    self, source: jax.Array, inputs: jax.Array, key: jax.Array | None = None
  ) -> jax.Array:
    """Taught pass: ids [B, S], decoder inputs [B, G] -> logits [B, G, V]."""
    encoder_key, decoder_key = (
      (None, None) if key is None else jax.random.split(key)
    )
    return self.decoder(
      inputs, self.attendable(source, encoder_key), decoder_key
    )
