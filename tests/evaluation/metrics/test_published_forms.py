"""SLRTP's and PT's own figures, and coverage, against plain Python."""

import dataclasses

import numpy as np
import pytest
from helpers.random_clips import signing

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.evaluation.metrics import catalogue, coverage

METRICS = {m.key: m for m in catalogue.pose_metrics(PROMPT2SIGN50)}
TRUE = [signing(seed, length) for seed, length in ((1, 13), (2, 20))]
MADE = [signing(seed, length) for seed, length in ((4, 17), (5, 12))]


def _dtw(cost: np.ndarray) -> tuple[float, list[tuple[int, int]]]:
  r, q = cost.shape
  best = np.full((r + 1, q + 1), np.inf)
  best[0, 0] = 0
  for i in range(r):
    for j in range(q):
      before = min(best[i, j], best[i, j + 1], best[i + 1, j])
      best[i + 1, j + 1] = cost[i, j] + before
  path, i, j = [], r, q
  while i:
    path.append((i - 1, j - 1))
    steps = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
    i, j = min(steps, key=lambda cell: best[cell])
  return best[r, q], path


def _flat(clip: clips.Clip, step: int = 1) -> np.ndarray:
  return clip.frames[::step].astype(np.float64).reshape(-1, 150)


def test_slrtp_mje_pools_the_aligned_frames_of_all_clips():
  gaps = []
  for made, true in zip(MADE, TRUE, strict=True):
    x, y = _flat(true, 2), _flat(made, 2)  # 25 frames a second
    _, path = _dtw(np.linalg.norm(x[:, None] - y[None], axis=-1))
    for i, j in path:
      gap = (x[i] - y[j]).reshape(50, 3)
      gaps += np.linalg.norm(gap, axis=-1).tolist()
  found = METRICS["slrtp_dtw_mje"].score(MADE, TRUE)
  assert found == pytest.approx(np.mean(gaps), rel=1e-5)


def test_slrtp_distance_and_duration():
  def paths(listed):
    wrists = [7, 4]  # left, right
    return np.array(
      [
        np.linalg.norm(np.diff(c.frames[::2][:, wrists], axis=0), axis=-1).sum(
          0
        )
        for c in listed
      ]
    ).mean(0)

  expected = (paths(MADE) / paths(TRUE)).mean()
  found = METRICS["slrtp_distance"].score(MADE, TRUE)
  assert found == pytest.approx(expected, rel=1e-5)
  duration = METRICS["slrtp_duration"].score(MADE, TRUE)
  assert duration == pytest.approx((9 / 7 + 6 / 10) / 2)
  slow = [dataclasses.replace(clip, fps=12.5) for clip in (*MADE, *TRUE)]
  duration = METRICS["slrtp_duration"].score(slow[:2], slow[2:])
  assert duration == pytest.approx((17 / 13 + 12 / 20) / 2)


def test_pt_in_its_own_form():
  """Without the last frames; missing numbers count as they stand."""
  hidden = dataclasses.replace(
    TRUE[0], frames=TRUE[0].frames.copy(), valid=TRUE[0].valid.copy()
  )
  hidden.valid[3:9, 8:29] = False
  hidden.frames[~hidden.valid] = 0
  scores = []
  for made, true in ((MADE[0], hidden), (MADE[1], TRUE[1])):
    x, y = _flat(true)[:-1], _flat(made)[:-1]
    total, _ = _dtw(np.abs(x[:, None] - y[None]).sum(-1))
    scores.append(total / len(x))
  found = METRICS["dtw_pt_own"].score(MADE, [hidden, TRUE[1]])
  assert found == pytest.approx(np.mean(scores), rel=1e-5)


@pytest.mark.parametrize(
  ("key", "words"),
  [
    ("dtw_pt", ["unlike PT's script", "missing numbers", "last frame"]),
    ("dtw_pt_own", ["without the last frame", "missing ones 0"]),
    ("ndtw_mje", ["fastdtw", "exact in 3-D"]),
    ("dtwp", ["normalises pixels", "filled with 10"]),
    ("slrtp_dtw_mje", ["exact where SLRTP's is fastdtw"]),
    ("signing_distance", ["64 moments", "0.25"]),
  ],
)
def test_signatures_say_every_deviation(key, words):
  signature = METRICS[key].signature("free", 3)
  assert all(word in signature for word in words), signature


def test_coverage_counts_recordings_that_a_production_comes_near():
  base = signing(1, 30)

  def shifted(by: float) -> clips.Clip:
    frames = (base.frames + by).astype(np.float32)
    return dataclasses.replace(base, frames=frames, text="t")

  true = [shifted(0), shifted(1), shifted(10)]
  made = [shifted(0.5), shifted(0.4), shifted(0.6)]
  assert coverage.covered(made, true).tolist() == [1, 1, 0]
  assert coverage.covered(true, true).tolist() == [1, 1, 1]
  alone = dataclasses.replace(base, text="alone")
  assert np.isnan(coverage.covered([alone], [alone])).all()
  assert catalogue.of_repeated_texts(true) == [catalogue.COVERAGE]
  assert catalogue.of_repeated_texts(true[:1]) == []
