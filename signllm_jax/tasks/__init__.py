"""What differs by `Experiment.method`: the model and the loss of a batch.

Loop, step, guard, checkpoints and data are the same for all methods. A further
one is a module here with all that `task.Method` lists, its name in `of` and
in `config.Experiment.method`, and in `setup.Run` what scores it.
"""

from signllm_jax.tasks import (
  pose_to_text,
  text2langgloss,
  text_to_gloss,
  text_to_pose,
)
from signllm_jax.tasks.task import Method

_METHODS: dict[str, Method] = {
  "text_to_pose": text_to_pose,
  "mlsf": text_to_pose,  # one group a language, stacked by `state`
  "pose_to_text": pose_to_text,
  "text_to_gloss": text_to_gloss,
  "text2langgloss": text2langgloss,
}


def of(name: str) -> Method:
  """The method of that name."""
  return _METHODS[name]
