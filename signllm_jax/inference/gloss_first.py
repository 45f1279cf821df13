"""Signing by way of a gloss: Text2LangGloss in two steps (section 5).

The gloss is written first, by beam search, and only then signed; it is returned
beside the poses.
"""

from collections.abc import Sequence

from signllm_jax.core import gloss, vocabulary
from signllm_jax.data import batch_plan, loader
from signllm_jax.inference import glosser as glosser_lib
from signllm_jax.inference import producer, sequences


class Producer(producer.Producer):
  """Signs texts by way of their glosses, in one language."""

  def __init__(self, *model, glosser: glosser_lib.Glosser, **shape):
    """Wraps a model; arguments as of `producer.Producer`.

    Args:
      model: what `producer.Producer` takes.
      glosser: of the same model, for the language to sign in.
      shape: limit, batch size and mesh.
    """
    super().__init__(*model, **shape)
    self.glosser = glosser

  def _encode_texts(
    self, texts: Sequence[str], rows: int
  ) -> sequences.ModelInputs:
    lines = self.glosser.write(texts)
    assert lines is not None and self.info.gloss_vocabulary is not None
    ids = [self.info.gloss_vocabulary.encode(line)[:-1] for line in lines]
    marked = [gloss.prepend_language(line, self.glosser.code) for line in texts]
    inputs = super()._encode_texts(marked, rows).inputs
    longest = max(self.info.longest_gloss, *map(len, ids))
    ids += ids[:1] * (rows - len(ids))
    inputs["gloss"] = vocabulary.pad(
      ids, batch_plan.round_up(longest, loader.SOURCE_MULTIPLE)
    )
    plain = [gloss.strip_marks(line) for line in lines]
    return sequences.ModelInputs(
      inputs, [line.split() for line in plain], plain
    )
