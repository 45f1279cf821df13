"""Dynamic time warping against the published one and plain Python."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.paths import DATA
from jax.sharding import NamedSharding, PartitionSpec

from signllm_jax.core import errors
from signllm_jax.formats import splits
from signllm_jax.losses import dtw, frame_cost

ROWS = np.array([9, 1, 9, 5, 9, 1])  # real rows and columns of ragged pairs
COLUMNS = np.array([12, 1, 1, 9, 4, 12])


def _by_hand(cost, low=-np.inf, high=np.inf):
  """Total and cells of the cheapest path with low <= j - i <= high."""
  r, q = cost.shape
  best = np.full((r, q), np.inf)
  cells = np.zeros((r, q), int)
  for i in range(r):
    for j in range(q):
      if not low <= j - i <= high:
        continue
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


def _costs(r=9, q=12):
  return np.random.default_rng(0).random((6, r, q)).astype(np.float32)


def _frames(frames, pairs=6):
  random = np.random.default_rng(frames)
  return random.random((pairs, frames, 150)).astype(np.float32)


@pytest.fixture(scope="module")
def published():
  """Reference, its lengths, hypothesis, its lengths, published values."""
  if not DATA.exists():
    pytest.skip("../shared/data is not there")
  golden = json.loads((DATA / "golden/dtw.json").read_text())
  found = {
    clip.name: clip
    for split in ("train", "dev")
    for clip in splits.read_split(DATA / "phoenix14t_mini", split)
  }
  pairs = golden["pairs"]
  longest = max(len(clip) for clip in found.values())

  def stack(key):
    listed = [found[pair[key]] for pair in pairs]
    frames = np.zeros((len(listed), longest, 50, 3), np.float32)
    for row, clip in enumerate(listed):
      frames[row, : len(clip)] = clip.frames
    return frames, np.array([len(clip) for clip in listed])

  return *stack("reference"), *stack("hypothesis"), pairs


@pytest.mark.parametrize("metric", ["l1", "l2", "mean_joint"])
def test_published_values(published, metric):
  *sequences, pairs = published
  total, cells = dtw.dtw(*sequences, metric=metric)
  expected = [pair[metric] for pair in pairs]
  np.testing.assert_allclose(total, [e["total"] for e in expected], rtol=1e-4)
  np.testing.assert_array_equal(cells, [e["path_length"] for e in expected])


@pytest.mark.parametrize("window", [None, 0, 2])
def test_ragged_ends_equal_plain_python(window):
  cost = _costs()
  total, cells = dtw.align(cost, ROWS, COLUMNS, window)
  for pair, (rows, columns) in enumerate(zip(ROWS, COLUMNS, strict=True)):
    spare, w = columns - rows, np.inf if window is None else window
    expected = _by_hand(
      cost[pair, :rows, :columns].astype(float),
      min(spare, 0) - w,
      max(spare, 0) + w,
    )
    assert float(total[pair]) == pytest.approx(expected[0], rel=1e-5)
    assert int(cells[pair]) == expected[1]


@pytest.mark.parametrize("r, q", [(1, 1), (1, 6), (6, 1), (17, 3), (3, 17)])
def test_every_shape_of_table(r, q):
  cost = _costs(r, q)
  total, cells = dtw.align(cost, np.full(6, r), np.full(6, q))
  expected = [_by_hand(one.astype(float)) for one in cost]
  np.testing.assert_allclose(total, [e[0] for e in expected], rtol=1e-5)
  np.testing.assert_array_equal(cells, [e[1] for e in expected])


def test_more_pairs_than_a_vector_holds():
  cost = np.random.default_rng(0).random((40, 9, 12)).astype(np.float32)
  rows, columns = np.full(40, 9), np.full(40, 12)
  total, _ = dtw.align(cost, rows, columns)
  expected = [_by_hand(one.astype(float))[0] for one in cost]
  np.testing.assert_allclose(total, expected, rtol=1e-5)


def test_path_is_connected_and_costs_what_is_said():
  cost = _costs()
  total, cells = dtw.align(cost, ROWS, COLUMNS)
  for pair, path in enumerate(dtw.paths(cost, ROWS, COLUMNS)):
    assert path.shape == (cells[pair], 2)
    assert path[0].tolist() == [0, 0]
    assert path[-1].tolist() == [ROWS[pair] - 1, COLUMNS[pair] - 1]
    steps = {tuple(step) for step in np.diff(path, axis=0).tolist()}
    assert steps <= {(0, 1), (1, 0), (1, 1)}
    along = cost[pair][tuple(path.T)].sum()
    assert along == pytest.approx(float(total[pair]), rel=1e-5)


def test_what_lies_past_the_ends_is_not_looked_at():
  x, y = _frames(9), _frames(12)
  clean = dtw.dtw(x, ROWS, y, COLUMNS)
  for pair in range(6):
    x[pair, ROWS[pair] :] = np.nan
    y[pair, COLUMNS[pair] :] = np.inf
  np.testing.assert_array_equal(clean, dtw.dtw(x, ROWS, y, COLUMNS))


@pytest.mark.parametrize("metric", ["l1", "l2", "squared_l2", "mean_joint"])
def test_equal_sequences_are_0_apart(metric):
  far_off = _frames(9) + 30
  lengths = np.full(6, 9)
  found = dtw.dtw(far_off, lengths, far_off, lengths, metric=metric)
  np.testing.assert_array_equal(found.total, 0)
  np.testing.assert_array_equal(found.cells, 9)


def test_local_costs_equal_float64():
  x, y = _frames(9), _frames(12)
  gap = x[:, :, None].astype(float) - y[:, None]
  joints = np.linalg.norm(gap.reshape(6, 9, 12, 50, 3), axis=-1)
  expected = {
    "l1": np.abs(gap).sum(-1),
    "l2": np.linalg.norm(gap, axis=-1),
    "squared_l2": (gap**2).mean(-1),
    "mean_joint": joints.mean(-1),
  }
  for metric, values in expected.items():
    found = frame_cost.local_cost(x, y, metric)
    np.testing.assert_allclose(found, values, rtol=2e-5)


def test_missing_joints_do_not_count():
  x, y = _frames(9), _frames(12)
  valid = np.ones((6, 9, 50), bool)
  valid[:, :, 8:29] = False
  valid[:, 3] = False  # a frame without a joint costs nothing
  moved = y.reshape(6, 12, 50, 3).copy()
  moved[:, :, 8:29] += 7
  cost = frame_cost.local_cost(x, y, "mean_joint", valid)
  np.testing.assert_array_equal(
    cost, frame_cost.local_cost(x, moved.reshape(y.shape), "mean_joint", valid)
  )
  kept = np.r_[0:8, 29:50]
  gap = x.reshape(6, 9, 1, 50, 3)[:, :, :, kept]
  gap = gap - y.reshape(6, 1, 12, 50, 3)[:, :, :, kept]
  expected = np.linalg.norm(gap, axis=-1).mean(-1)
  expected[:, 3] = 0
  np.testing.assert_allclose(cost, expected, rtol=1e-5)


def test_bfloat16_is_computed_in_float32():
  x, y = (jnp.asarray(_frames(t), jnp.bfloat16) for t in (9, 12))
  found = dtw.dtw(x, ROWS, y, COLUMNS)
  assert found.total.dtype == jnp.float32
  np.testing.assert_array_equal(
    found.total,
    dtw.dtw(x.astype("f4"), ROWS, y.astype("f4"), COLUMNS).total,
  )


def test_a_reward_sends_no_gradient_back():
  x, y = _frames(9), _frames(12)
  slope = jax.grad(lambda y: dtw.dtw(x, ROWS, y, COLUMNS).total.sum())(y)
  np.testing.assert_array_equal(slope, 0)


def test_eight_devices_equal_one():
  x, y = _frames(9, 16), _frames(12, 16)
  rows, columns = np.arange(16) % 9 + 1, np.arange(16) % 12 + 1
  mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
  split = NamedSharding(mesh, PartitionSpec("data"))
  shared = jax.device_put((x, rows, y, columns), split)
  found = dtw.dtw(*shared)
  expected = dtw.dtw(x, rows, y, columns)
  np.testing.assert_allclose(found.total, expected.total, rtol=1e-6)
  np.testing.assert_array_equal(found.cells, expected.cells)


def test_wrong_requests_are_refused():
  x, y = _frames(9), _frames(12)
  with pytest.raises(errors.UsageError, match="no metric 'l3'"):
    dtw.dtw(x, ROWS, y, COLUMNS, metric="l3")
  with pytest.raises(errors.UsageError, match="expected mean_joint"):
    dtw.dtw(x, ROWS, y, COLUMNS, valid=np.ones((6, 9, 50), bool))
  with pytest.raises(errors.UsageError, match="frames of 4 numbers"):
    frame_cost.local_cost(x[..., :4], y[..., :4], "mean_joint")
