"""Checks the settings of text to gloss in a configuration."""

from signllm_jax import config as config_lib
from signllm_jax.core import errors

# Fields that only text_to_gloss reads, and what other tasks leave them at.
_OF_TASK = {
  "data.pack": 0,
  "data.joined": 0.0,
  "gloss.samples": 0,
  "model.affixes": False,
}


def check(config: config_lib.Experiment) -> None:
  """Refuses glosses as their own source, and settings of another task.

  Raises:
    UsageError: names the field, its value and the values it may have.
  """
  alone = config.task == "text_to_gloss"
  if alone and config.data.source == "gloss":
    raise errors.UsageError(
      "--config.data.source='gloss' with task text_to_gloss",
      expected="text or prompt",
    )
  flat = config_lib.flatten(config)
  for name, unused in _OF_TASK.items():
    if flat[name] != unused and not alone:
      raise errors.UsageError(
        f"--config.{name}={flat[name]} with task {config.task}",
        expected=f"{unused}, or task text_to_gloss",
      )
