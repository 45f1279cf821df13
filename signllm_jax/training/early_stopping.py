"""When training ends before its last step, and what slows its rate."""

import jax
import numpy as np

from signllm_jax import config as config_lib
from signllm_jax.runs import train_state

# The plateau schedule of Progressive Transformers.
_PATIENCE = 7  # evaluations without a better score
_FACTOR = 0.7  # multiplies the learning rate after them
_LOWEST = 2e-4  # share of the peak below which training ends


def judge(
  config: config_lib.Experiment,
  progress: train_state.Progress,
  step: int,
  score: float,
) -> train_state.Progress:
  """What an evaluation means for early stopping and the plateau schedule."""
  progress = jax.device_get(progress)
  better = score < progress.best
  stale = 0 if better else progress.stale + 1
  plateau, waited = progress.plateau, progress.plateau_stale
  waited = 0 if better else waited + 1
  if waited > _PATIENCE:
    plateau, waited = plateau * _FACTOR, 0
  return progress._replace(
    evaluated=np.int32(step),
    score=np.float32(score),
    best=np.float32(min(score, progress.best)),
    stale=np.int32(stale),
    plateau=np.float32(plateau),
    plateau_stale=np.int32(waited),
  )


def is_over(
  config: config_lib.Experiment, progress: train_state.Progress
) -> str:
  """Why training ends before its last step; empty if it does not."""
  if config.patience and int(progress.stale) >= config.patience:
    return f"no better score in {config.patience} evaluations"
  lowest = _LOWEST
  if config.optim.schedule == "plateau" and float(progress.plateau) < lowest:
    return f"the learning rate fell below {lowest:g} of its peak"
  return ""
