"""Early stopping and the plateau schedule, evaluation by evaluation."""

import numpy as np
import pytest

from signllm_jax import config
from signllm_jax.runs import train_state
from signllm_jax.training import early_stopping


def _fresh() -> train_state.Progress:
  return train_state.Progress(
    evaluated=np.int32(-1),
    score=np.float32(np.inf),
    best=np.float32(np.inf),
    stale=np.int32(0),
    plateau=np.float32(1),
    plateau_stale=np.int32(0),
    failed=np.int32(-1),
    skipped=np.int32(0),
    skipped_in_row=np.int32(0),
  )


def _after(scores) -> train_state.Progress:
  progress = _fresh()
  for step, score in enumerate(scores):
    progress = early_stopping.note_evaluation(progress, step, score)
  return progress


def test_patience_counts_from_the_best_score():
  experiment = config.Experiment(patience=2)
  progress = _after([3.0, 2.0, 2.5])
  assert (int(progress.stale), float(progress.best)) == (1, 2.0)
  assert not early_stopping.reason_to_stop(experiment, progress)
  progress = _after([3.0, 2.0, 2.5, 2.0])  # an equal score is no better one
  reason = early_stopping.reason_to_stop(experiment, progress)
  assert reason == "no better score in 2 evaluations"
  assert not early_stopping.reason_to_stop(config.Experiment(), progress)
  assert not early_stopping.reason_to_stop(
    experiment, _after([3.0, 2.0, 2.5, 1.0])
  )


@pytest.mark.parametrize(
  ("stale", "plateau"), [(7, 1.0), (8, 0.7), (15, 0.7), (16, 0.49)]
)
def test_the_rate_falls_after_eight_evaluations_without_a_better_score(
  stale, plateau
):
  progress = _after([1.0] + [2.0] * stale)
  np.testing.assert_allclose(progress.plateau, plateau, rtol=1e-6)
  assert int(progress.evaluated) == stale


def test_training_ends_when_the_plateau_schedule_has_run_out():
  experiment = config.Experiment()
  experiment.optim.schedule = "plateau"
  falls = int(np.ceil(np.log(2e-4) / np.log(0.7)))
  progress = _after([1.0] + [2.0] * 8 * (falls - 1))
  assert not early_stopping.reason_to_stop(experiment, progress)
  progress = _after([1.0] + [2.0] * 8 * falls)
  reason = early_stopping.reason_to_stop(experiment, progress)
  assert reason == "the learning rate fell below 0.0002 of its peak"
  experiment.optim.schedule = "cosine"
  assert not early_stopping.reason_to_stop(experiment, progress)
