"""What a question such as "How do I sign 'hello'?" asks for."""

import re

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.inference import display

# In a question; an apostrophe within stays.
_QUOTED = re.compile(
  r"""["“”„«»]([^"“”„«»]+)["“”„«»]|(?<!\w)['‘‚](.+)['’‘](?!\w)"""
)


def quoted_text(question: str, settings: config.Data) -> str:
  """The model's input for a question such as "How do I sign 'hello'?".

  The whole question if the model was trained on prompts, else what it quotes.

  Raises:
    UsageError: it quotes nothing.
  """
  if settings.source == "prompt":
    return question
  match = _QUOTED.search(question)
  if match is None:
    raise errors.UsageError(
      f"{display.quote(question)} quotes nothing",
      expected="what to sign in quotation marks: How do I sign 'hello'?",
    )
  return match[1] or match[2]
