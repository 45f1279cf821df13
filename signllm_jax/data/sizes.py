"""What of the data determines the shape of a model and its state."""

from collections.abc import Mapping
from typing import NamedTuple

from signllm_jax import config as config_lib
from signllm_jax.core import affixes as affixes_lib
from signllm_jax.data import corpus_info


class Sizes(NamedTuple):
  """Sizes of the data that determine the shapes of a state."""

  vocabulary: int  # source tokens, of the language with the most
  glosses: int = 0  # gloss tokens, with `data.glosses`
  examples: int = 0  # training samples, of the language with the most
  affixes: affixes_lib.Affixes | None = None  # of the source tokens, with
  # `model.affixes`, which needs one vocabulary of all languages


def sizes_of(
  config: config_lib.Experiment, infos: Mapping[str, corpus_info.CorpusInfo]
) -> Sizes:
  """The sizes of a run on the corpora of these languages."""
  corpora = infos.values()
  return Sizes(
    max(len(info.vocabulary) for info in corpora),
    max(
      len(info.gloss_vocabulary) if info.gloss_vocabulary else 0
      for info in corpora
    ),
    max(info.num_clips for info in corpora),
    affixes_lib.Affixes(next(iter(corpora)).vocabulary)
    if config.model.affixes
    else None,
  )
