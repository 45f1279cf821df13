"""Text2LangGloss: text or prompt in, language-marked gloss and frames out.

One set of parameters for all sign languages (section 5). The poses attend to
the states of the gloss decoder, one a gloss: each holds its gloss, what was
read of the text for it, and what the model expects to come next.
"""

import jax
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.models.pose_decoder import PoseDecoder
from signllm_jax.models.text_to_gloss import TextToGloss, started


class Text2LangGloss(PoseDecoder):
  """Text to gloss, and a decoder of frames on its states."""

  def __init__(
    self, config: Model, vocabulary: int, glosses: int, rngs: nnx.Rngs
  ):
    """Builds the model.

    Args:
      config: its shape; both decoders have `decoder_layers`.
      vocabulary: number of source tokens, specials included.
      glosses: number of gloss tokens, specials included.
      rngs: stream `params`.
    """
    self.text = TextToGloss(config, vocabulary, glosses, rngs)
    super().__init__(config, rngs)

  def encode(
    self, source: jax.Array, gloss: jax.Array, key: jax.Array | None = None
  ) -> tuple[jax.Array, jax.Array]:
    """States of the glosses and their mask, for `attendable`.

    Args:
      source: [B, S] ids.
      gloss: [B, G] ids of the glosses to sign, without </s>.
      key: dropout key, None when not training.

    Returns:
      [B, G, D] and [B, 1, 1, G].
    """
    states = self.text.states(source, started(gloss), key)
    return self.signed(states, gloss)

  def signed(
    self, states: jax.Array, gloss: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """`encode` of states [B, G + 1, D] that are there already."""
    # The empty rows of a batch have a place too, or they would last 0 frames.
    real = (gloss != vocabulary_lib.PAD).at[:, 0].set(True)
    return states[:, 1:], real[:, None, None]
