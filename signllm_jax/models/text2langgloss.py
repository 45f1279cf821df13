"""Text2LangGloss: from text or prompt to language-marked gloss and frames.

All sign languages share the parameters (section 5). The pose decoder attends to
the states of the gloss decoder, one per gloss token: a state encodes its gloss,
the text attended to, and the expected next gloss.
"""

import jax
from flax import nnx

from signllm_jax.config import Model
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import Skeleton
from signllm_jax.models.flow_decoder import FlowDecoder
from signllm_jax.models.pose_decoder import PoseDecoder
from signllm_jax.models.text_to_gloss import TextToGloss, prepend_bos


class _GlossEncoder(nnx.Module):
  """Encodes the text by its gloss, for the decoder, the next base class."""

  def __init__(
    self,
    config: Model,
    vocabulary: int,
    glosses: int,
    skeleton: Skeleton,
    rngs: nnx.Rngs,
  ):
    """Builds the model.

    Args:
      config: its shape; both decoders have `decoder_layers`.
      vocabulary: number of source tokens, specials included.
      glosses: number of gloss tokens, specials included.
      skeleton: of the frames.
      rngs: stream `params`.
    """
    self.text = TextToGloss(config, vocabulary, glosses, rngs)
    # The next base class is a decoder, which a type checker does not see here.
    super().__init__(config, skeleton, rngs)  # pyright: ignore[reportCallIssue]

  def encode(
    self, source: jax.Array, gloss: jax.Array, key: jax.Array | None = None
  ) -> tuple[jax.Array, jax.Array]:
    """Gloss states and their mask, for `project_memory`.

    Args:
      source: [B, S] ids.
      gloss: [B, G] ids of the gloss to sign, without </s>.
      key: dropout key, None when not training.

    Returns:
      [B, G, D] and [B, 1, 1, G].
    """
    states = self.text.states(source, prepend_bos(gloss), key)
    return self.encode_states(states, gloss)

  def encode_states(
    self, states: jax.Array, gloss: jax.Array
  ) -> tuple[jax.Array, jax.Array]:
    """Encodes for the pose decoder from gloss states [B, G + 1, D]."""
    # Empty rows keep one token; otherwise they would last 0 frames.
    mask = (gloss != vocabulary_lib.PAD).at[:, 0].set(True)
    return states[:, 1:], mask[:, None, None]


class Text2LangGloss(_GlossEncoder, PoseDecoder):
  """Text-to-gloss model with a frame decoder on its states."""


class FlowText2LangGloss(_GlossEncoder, FlowDecoder):
  """Text-to-gloss model with the generative decoder on its states."""


def build(
  config: Model,
  vocabulary: int,
  glosses: int,
  skeleton: Skeleton,
  rngs: nnx.Rngs,
) -> Text2LangGloss | FlowText2LangGloss:
  """Builds the model with the decoder of the configuration."""
  kind = FlowText2LangGloss if config.decoder == "flow" else Text2LangGloss
  return kind(config, vocabulary, glosses, skeleton, rngs)
