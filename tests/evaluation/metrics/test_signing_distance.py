"""The relative signing distance: its definition and its invariances."""

import dataclasses

import numpy as np
import pytest
from helpers.random_clips import signing

from signllm_jax.core import clips
from signllm_jax.evaluation.metrics import signing_distance
from signllm_jax.evaluation.validation import damages

TRUE = [signing(seed, length) for seed, length in ((1, 40), (2, 70), (3, 25))]
MADE = [signing(seed, length) for seed, length in ((4, 50), (5, 30), (6, 30))]


def _score(made, true) -> float:
  return float(signing_distance.signing_distance([made], [true])[0])


def _moved(clip, by, frames=None) -> clips.Clip:
  changed = by(clip.frames if frames is None else frames)
  return dataclasses.replace(clip, frames=changed.astype(np.float32))


def test_equals_its_definition_in_plain_numpy():
  """The score from the moments, by loops in float64."""
  a = signing_distance.moments(TRUE[:1])
  b = signing_distance.moments(MADE[:1])
  n = signing_distance.MOMENTS

  def cost(x, i, y, j):
    total = 0.0
    for hand in range(2):
      for field in ("place", "velocity"):
        one, other = (
          getattr(x, field)[0, i, hand],
          getattr(y, field)[0, j, hand],
        )
        total += np.linalg.norm(np.float64(one) - other)
      fingers = np.float64(x.shape[0, i, hand]) - y.shape[0, j, hand]
      total += np.linalg.norm(fingers, axis=-1).mean()
    return total / 2

  def table(x, y):
    return np.array([[cost(x, i, y, j) for j in range(n)] for i in range(n)])

  between = table(a, b)
  best = np.full((n + 1, n + 1), np.inf)
  best[0, 0] = 0
  for i in range(n):
    for j in range(n):
      before = min(best[i, j], best[i, j + 1], best[i + 1, j])
      best[i + 1, j + 1] = between[i, j] + before
  within = (table(a, a).mean() + table(b, b).mean()) / 2
  scale = np.sqrt(between.mean() * (within + signing_distance.TOLERANCE))
  expected = best[n, n] / n / scale
  assert _score(MADE[0], TRUE[0]) == pytest.approx(expected, rel=1e-4)


def test_a_clip_is_at_no_distance_from_itself():
  assert signing_distance.signing_distance(TRUE, TRUE).tolist() == [0, 0, 0]


def test_signer_and_camera_do_not_matter():
  for clip in TRUE:
    away = _moved(clip, lambda x: 2.5 * x + [0.3, -0.2, 0])
    assert _score(away, clip) < 1e-3
    deep = _moved(clip, lambda x: x * [1, 1, 9])
    assert _score(deep, clip) == 0


def test_rests_do_not_matter():
  clip = TRUE[0]
  order = [*[0] * 15, *range(len(clip)), *[len(clip) - 1] * 20]
  rested = dataclasses.replace(
    clip, frames=clip.frames[order], valid=clip.valid[order]
  )
  assert _score(rested, clip) < 0.1
  assert _score(rested, clip) < 0.2 * _score(MADE[0], clip)


def test_a_still_pose_has_at_least_1_wherever_it_stands():
  still = damages.statues(TRUE)
  assert (signing_distance.signing_distance(still, TRUE) >= 1).all()
  for frame in (0, 11, 24):
    frozen = [
      _moved(clip, lambda x: x, np.repeat(clip.frames[[frame]], len(clip), 0))
      for clip in TRUE
    ]
    assert (signing_distance.signing_distance(frozen, TRUE) > 0.99).all()


def test_damage_costs_in_order():
  for damage in damages.ALL:
    graded = [
      signing_distance.signing_distance(
        [damage.apply(clip, grade) for clip in TRUE], TRUE
      )
      for grade in damage.grades
    ]
    assert (graded[0] > 0).all(), damage.name
    assert (np.diff(graded, axis=0) > 0).all(), damage.name


def test_a_hand_that_the_truth_never_shows_does_not_count():
  clip = TRUE[0]
  left = [*clip.skeleton.parts["left_hand"], clip.skeleton.arm("left")[2]]
  hidden = dataclasses.replace(clip, valid=clip.valid.copy())
  hidden.valid[:, left] = False
  assert _score(clip, hidden) < 1e-6 < _score(hidden, clip)
  nothing = dataclasses.replace(clip, valid=np.zeros_like(clip.valid))
  assert np.isnan(_score(clip, nothing))


def test_gaps_are_interpolated():
  clip = clips.with_frames(TRUE[0], 120)
  hand = list(clip.skeleton.parts["right_hand"])
  gaps = dataclasses.replace(
    clip, frames=clip.frames.copy(), valid=clip.valid.copy()
  )
  gaps.valid[40:44, hand] = gaps.valid[:2, hand] = False
  gaps.frames[~gaps.valid] = 0
  assert 0 < _score(gaps, clip) < 0.05


def test_batches_and_order_do_not_matter():
  together = signing_distance.signing_distance(MADE, TRUE)
  alone = [_score(a, b) for a, b in zip(MADE, TRUE, strict=True)]
  np.testing.assert_allclose(together, alone, rtol=1e-5)
  many = signing_distance.signing_distance(MADE * 5, TRUE * 5)
  np.testing.assert_allclose(many, np.tile(together, 5), rtol=1e-5)
  one = dataclasses.replace(
    TRUE[0], frames=TRUE[0].frames[:1], valid=TRUE[0].valid[:1]
  )
  assert np.isfinite(_score(one, TRUE[0])) and np.isfinite(_score(MADE[0], one))
