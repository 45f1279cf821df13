"""Text to gloss: the first half of Text2LangGloss (section 5).

All sign languages share one encoder and one decoder. The source begins with the
target language (`gloss.prepend_language`); gloss tokens are marked with theirs.
"""

import jax
import jax.numpy as jnp
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.affixes import Affixes
from signllm_jax.models import layers, segments, tokens


class TextToGloss(nnx.Module):
  """Encoder-decoder transformer."""

  def __init__(
    self,
    config: Model,
    vocabulary: int,
    glosses: int,
    rngs: nnx.Rngs,
    affixes: Affixes | None = None,
  ):
    """Builds the model.

    Args:
      config: its shape.
      vocabulary: number of source tokens, specials included.
      glosses: number of gloss tokens, specials included.
      rngs: stream `params`.
      affixes: of the source tokens, with `model.affixes`.
    """
    self.encoder = tokens.TokenEncoder(config, vocabulary, rngs, affixes)
    self.decoder = tokens.TokenDecoder(config, glosses, rngs)

  def project_memory(
    self, source: jax.Array, key: jax.Array | None = None
  ) -> tokens.Memory:
    """Encodes ids [B, S] (PAD = 0) and projects them for the decoder."""
    return self.decoder.project_memory(*self.encoder(source, key))

  def states(
    self, source: jax.Array, inputs: jax.Array, key: jax.Array | None = None
  ) -> jax.Array:
    """Decoder states; `decoder.out` maps them to logits.

    Args:
      source: [B, S] ids.
      inputs: [B, U] of `prepend_bos`.
      key: dropout key, None when not training.

    Returns:
      [B, U, D].
    """
    encoder_key, decoder_key = layers.split(key, 2)
    memory = self.project_memory(source, encoder_key)
    return self.decoder.states(inputs, memory, decoder_key)

  def packed_states(
    self, source: jax.Array, inputs: jax.Array, key: jax.Array | None = None
  ) -> jax.Array:
    """As `states`, where a row holds several pairs.

    Args:
      source: [B, S] ids; each source ends with </s>.
      inputs: [B, U] of `packed_inputs`.
      key: dropout key, None when not training.

    Returns:
      [B, U, D].
    """
    encoder_key, decoder_key = layers.split(key, 2)
    of_source = segments.of_sources(source)
    of_inputs = segments.of_inputs(inputs)
    encoded = self.encoder(source, encoder_key, of_source)
    memory = self.decoder.project_memory(*encoded)
    return self.decoder.states(
      inputs, memory, decoder_key, (of_inputs, of_source)
    )


def prepend_bos(gloss: jax.Array) -> jax.Array:
  """Prepends <s> to glosses [B, G]; returns decoder inputs [B, G + 1]."""
  return jnp.pad(gloss, ((0, 0), (1, 0)), constant_values=vocabulary_lib.BOS)


def packed_inputs(target: jax.Array) -> jax.Array:
  """Decoder inputs of glosses [B, U] that end with </s>: <s> before each."""
  before = prepend_bos(target)[:, :-1]
  return jnp.where(before == vocabulary_lib.EOS, vocabulary_lib.BOS, before)
