"""Dynamic time warping against the published one and plain Python."""

import json
import pathlib

import numpy as np
import pytest

from signllm_jax.formats import skels
from signllm_jax.losses import dtw

DATA = pathlib.Path("../shared/data")


def _by_hand(cost):
  """Total and cells of the cheapest path, in float64."""
  r, q = cost.shape
  best = np.full((r, q), np.inf)
  cells = np.zeros((r, q), int)
  for i in range(r):
    for j in range(q):
      if i == j == 0:
        best[i, j], cells[i, j] = cost[i, j], 1
        continue
      options = [
        (best[a, b], cells[a, b])
        for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1))
        if a >= 0 and b >= 0
      ]
      total, count = min(options, key=lambda option: option[0])
      best[i, j], cells[i, j] = total + cost[i, j], count + 1
  return best[-1, -1], cells[-1, -1]


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there")
def test_published_values():
  golden = json.loads((DATA / "golden/dtw.json").read_text())
  found = {
    clip.name: clip
    for split in ("train", "dev")
    for clip in skels.read_split(DATA / "phoenix14t_mini", split)
  }
  pairs = golden["pairs"]
  longest = max(len(clip) for clip in found.values())

  def stack(key):
    listed = [found[pair[key]] for pair in pairs]
    frames = np.zeros((len(listed), longest, 50, 3), np.float32)
    for row, clip in enumerate(listed):
      frames[row, : len(clip)] = clip.frames
    return frames, np.array([len(clip) for clip in listed])

  reference, rows = stack("reference")
  hypothesis, columns = stack("hypothesis")
  valid = np.ones(reference.shape[:3], bool)
  total, cells = dtw.mean_joint_dtw(reference, valid, rows, hypothesis, columns)
  expected = [pair["mean_joint"] for pair in pairs]
  np.testing.assert_allclose(total, [e["total"] for e in expected], rtol=1e-4)
  np.testing.assert_array_equal(cells, [e["path_length"] for e in expected])


@pytest.mark.parametrize(
  "rows, columns", [(1, 1), (1, 9), (9, 1), (5, 9), (9, 4)]
)
def test_ragged_ends_equal_plain_python(rows, columns):
  random = np.random.default_rng(rows * 10 + columns)
  cost = random.random((9, 9)).astype(np.float32)
  total, cells = dtw.align(cost, np.int32(rows), np.int32(columns))
  expected = _by_hand(cost[:rows, :columns].astype(float))
  assert float(total) == pytest.approx(expected[0], rel=1e-5)
  assert int(cells) == expected[1]


def test_missing_joints_do_not_count():
  random = np.random.default_rng(0)
  reference = random.random((4, 50, 3)).astype(np.float32)
  hypothesis = random.random((6, 50, 3)).astype(np.float32)
  valid = np.ones((4, 50), bool)
  valid[:, 8:29] = False
  moved = hypothesis.copy()
  moved[:, 8:29] += 7
  np.testing.assert_array_equal(
    dtw.mean_joint_cost(reference, valid, hypothesis),
    dtw.mean_joint_cost(reference, valid, moved),
  )
