"""Checks settings of a configuration against its skeleton."""

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.core import skeleton as skeleton_lib
from signllm_jax.losses import part_weights


def check(config: config_lib.Experiment) -> None:
  """Refuses bones of a skeleton in 2-D, and weights of parts that it lacks.

  Raises:
    UsageError: names the field, its value and the skeleton.
  """
  skeleton = skeleton_lib.get(config.data.skeleton)
  part_weights.joint_weights(config.loss.parts, skeleton)
  used = {"loss.bones": config.loss.bones, "model.bones": config.model.bones}
  for name, value in used.items():
    if value not in (0, "free") and skeleton.dims < 3:
      raise errors.UsageError(
        f"--config.{name}={value!r} with --config.data.skeleton="
        f"{skeleton.name}, which is in 2-D",
        expected="loss.bones=0 and model.bones='free': the bones of a "
        "projection change their lengths",
      )
