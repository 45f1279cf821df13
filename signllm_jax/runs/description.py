"""Configuration and corpus info of a trained run, checked before use.

They lie in a work directory or in a model file, which others may have made:
types, ranges and sizes are checked before a model is built of them.
"""

import math
from typing import NamedTuple

from signllm_jax import config as config_lib
from signllm_jax.core import errors, limits
from signllm_jax.data import corpus_info
from signllm_jax.runs import config_check


class Description(NamedTuple):
  """Configuration and corpus info of a trained run."""

  config: config_lib.Experiment
  infos: dict[str, corpus_info.CorpusInfo]  # by the code of the language


# Largest values of settings that say how much is built or computed.
_LARGEST = {
  "data.batch_size": 1 << 20,
  "data.bucket": limits.MAX_FRAMES,
  "data.max_frames": limits.MAX_FRAMES,
  "model.encoder_layers": 1000,
  "model.decoder_layers": 1000,
  "model.width": 1 << 16,
  "model.heads": 1 << 12,
  "model.feed_forward": 1 << 20,
  "model.future": 1000,
  "flow.steps": 10_000,
  "read.subsample": 1 << 10,
  "read.beam": 1000,
  "gloss.beam": 1000,
  "evaluate.batch_size": 1 << 20,
  "evaluate.length_limit": 1000,
}


def check(described: Description) -> None:
  """Refuses what no training run can have stored.

  Raises:
    DataError: names the field and its value.
  """
  config, infos = described
  flat = config_lib.flatten(config)
  for name, value in flat.items():
    if isinstance(value, float) and not math.isfinite(value):
      raise errors.DataError(f"{name} is {value}", expected="a finite number")
  for name, most in _LARGEST.items():
    if not 0 <= flat[name] <= most:
      raise errors.DataError(f"{name} is {flat[name]}", expected=f"0 to {most}")
  if not limits.is_rate(config.data.fps):
    raise errors.DataError(
      f"data.fps is {config.data.fps}", expected=limits.RATES
    )
  try:
    config_check.check(config)
    codes = [corpus.language for corpus in config_lib.corpora(config)]
  except errors.SignLLMError as error:
    raise errors.DataError(str(error)) from error
  if not infos or (config.task == "mlsf" and codes != list(infos)):
    raise errors.DataError(
      f"vocabularies of the languages {list(infos)}", expected=str(codes)
    )
  glosses = all(each.gloss_vocabulary is not None for each in infos.values())
  if config.task in ("text_to_gloss", "text2langgloss") and not glosses:
    raise errors.DataError(
      "no vocabulary of glosses", expected=f"one, with task {config.task}"
    )
