"""Training tasks (`Experiment.task`): the model and the loss of a batch.

Loop, step, non-finite guard, checkpoints and data are the same for all tasks.
To add one, write a module here with everything that `task.Task` lists, add its
name below and to `config.Experiment.task`, and open its evaluation in
`training.evaluations`.
"""

from signllm_jax.tasks import (
  pose_to_text,
  text2langgloss,
  text_to_gloss,
  text_to_pose,
)
from signllm_jax.tasks.task import Task

TASKS: dict[str, Task] = {
  "text_to_pose": text_to_pose,
  "mlsf": text_to_pose,  # one group a language, stacked by `train_state`
  "pose_to_text": pose_to_text,
  "text_to_gloss": text_to_gloss,
  "text2langgloss": text2langgloss,
}


def get_task(name: str) -> Task:
  """Returns the task of that name."""
  return TASKS[name]
