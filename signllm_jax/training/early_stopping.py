"""Early stopping, and the plateau schedule of the learning rate."""

import jax
import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.runs import train_state

# The plateau schedule of Progressive Transformers.
_PATIENCE = 7  # evaluations without a better score
_FACTOR = 0.7  # multiplies the learning rate after them
_LOWEST = 2e-4  # share of the peak below which training ends


def note_evaluation(
  progress: train_state.Progress, step: int, score: float
) -> train_state.Progress:
  """Returns the progress after an evaluation; a lower score is better."""
  progress = jax.device_get(progress)
  better = score < progress.best
  stale = 0 if better else progress.stale + 1
  plateau, plateau_stale = progress.plateau, progress.plateau_stale
  plateau_stale = 0 if better else plateau_stale + 1
  if plateau_stale > _PATIENCE:
    plateau, plateau_stale = plateau * _FACTOR, 0
  return progress._replace(
    evaluated=np.int32(step),
    score=np.float32(score),
    best=np.float32(min(score, progress.best)),
    stale=np.int32(stale),
    plateau=np.float32(plateau),
    plateau_stale=np.int32(plateau_stale),
  )


def reason_to_stop(
  config: config_lib.Experiment, progress: train_state.Progress
) -> str:
  """Says why training ends before its last step; empty if it does not."""
  if config.patience and int(progress.stale) >= config.patience:
    return f"no better score in {config.patience} evaluations"
  plateau = config.optim.schedule == "plateau"
  if plateau and float(progress.plateau) < _LOWEST:
    return f"the learning rate fell below {_LOWEST:g} of its peak"
  return ""
