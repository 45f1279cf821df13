"""Opens the splits that are scored during training."""

import dataclasses
from collections.abc import Sequence

from signllm_jax import config as config_lib
from signllm_jax.data import datasets, text_gloss_corpus
from signllm_jax.evaluation import glossing, reading, signing
from signllm_jax.tasks.task import Evaluation
from signllm_jax.training.corpora import Corpus


def unscored(
  config: config_lib.Experiment, corpora: Sequence[Corpus]
) -> list[config_lib.Data]:
  """Settings of the languages without a dev split: trained, not scored."""
  name = config.evaluate.split
  return [
    part
    for corpus in corpora
    for part in corpus.parts
    # A split that was asked for by another name must be there.
    if name == "dev" and not datasets.has_split(part, name)
  ]


def open_evaluations(
  config: config_lib.Experiment, corpora: Sequence[Corpus]
) -> dict[str, Evaluation]:
  """Opens `config.evaluate.split` of each language, with its baselines.

  Languages that are `unscored` have no evaluation.

  Raises:
    DataError: the split is empty or damaged, or not there although asked for.
  """
  without = unscored(config, corpora)
  return {
    part.language: _open(config, corpus, part)
    for corpus in corpora
    for part in corpus.parts
    if part not in without
  }


def _open(
  config: config_lib.Experiment, corpus: Corpus, part: config_lib.Data
) -> Evaluation:
  """Opens the evaluation of a language."""
  settings = dataclasses.replace(config, data=part)
  if isinstance(corpus, text_gloss_corpus.TextGlossCorpus):
    return glossing.Evaluation(settings, corpus.train)
  split = datasets.open_clips(part, settings.evaluate.split)
  if settings.task == "pose_to_text":
    return reading.Evaluation(split, settings)
  mean = corpus.summary.mean
  if mean.ndim > 1:  # the baseline is the language's own mean pose
    mean = mean[corpus.codes.index(part.language)]
  return signing.Evaluation(split, settings, mean)
