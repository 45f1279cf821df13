"""Checks the settings of text to gloss in a configuration."""

from signllm_jax import config as config_lib
from signllm_jax.core import errors


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
  used = {
    "data.pack": config.data.pack,
    "gloss.samples": config.gloss.samples,
    "model.affixes": config.model.affixes,
  }
  for name, value in used.items():
    if value and not alone:
      raise errors.UsageError(
        f"--config.{name}={value} with task {config.task}",
        expected=f"{type(value)()}, or task text_to_gloss",
      )
