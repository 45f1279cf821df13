"""Soft-DTW against a float64 loop, finite differences and hard DTW."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import NamedSharding, PartitionSpec

from signllm_jax.losses import dtw, soft_dtw

METRICS = ["l1", "l2", "squared_l2", "mean_joint"]
ROWS = np.array([7, 1, 7, 4, 2])  # real frames of ragged pairs
COLUMNS = np.array([9, 1, 1, 9, 9])


def _frames(t, pairs=5, c=6):
  random = np.random.default_rng(t)
  return random.standard_normal((pairs, t, c)).astype(np.float32)


X, Y = _frames(7), _frames(9)


def _cost(x, y, metric):
  gap = x[:, None] - y[None]
  if metric == "l1":
    return np.abs(gap).sum(-1)
  if metric == "l2":
    return np.sqrt((gap**2).sum(-1))
  if metric == "squared_l2":
    return (gap**2).mean(-1)
  joints = gap.reshape(*gap.shape[:2], -1, 3)
  return np.sqrt((joints**2).sum(-1)).mean(-1)


def _table(cost, gamma):
  """Soft table [R + 1, Q + 1] in float64, a border of inf in front."""
  r, q = cost.shape
  table = np.full((r + 1, q + 1), np.inf)
  table[0, 0] = 0
  for i in range(r):
    for j in range(q):
      before = np.array([table[i, j], table[i, j + 1], table[i + 1, j]])
      least = before.min()
      every = np.exp((least - before) / gamma).sum()
      table[i + 1, j + 1] = cost[i, j] + least - gamma * np.log(every)
  return table


def _squared_slopes(x, y, gamma):
  """Gradients in x and y under "squared_l2", from the loop run backward."""
  cost = _cost(x, y, "squared_l2")
  r, q = cost.shape
  table = _table(cost, gamma)
  slope = np.zeros((r + 1, q + 1))
  slope[r, q] = 1
  for i in range(r, 0, -1):
    for j in range(q, 0, -1):
      # What the cell's value owes to each of the three before it.
      soft = table[i, j] - cost[i - 1, j - 1]
      for a, b in ((i - 1, j - 1), (i - 1, j), (i, j - 1)):
        slope[a, b] += slope[i, j] * np.exp((soft - table[a, b]) / gamma)
  weighted = slope[1:, 1:, None] * 2 * (x[:, None] - y[None]) / x.shape[-1]
  return weighted.sum(1), -weighted.sum(0)


def _by_differences(x, y, metric, gamma, step=1e-5):
  slopes = np.zeros_like(x)
  for at in np.ndindex(*x.shape):
    moved = [x.copy(), x.copy()]
    moved[0][at] += step
    moved[1][at] -= step
    up, down = (_table(_cost(m, y, metric), gamma)[-1, -1] for m in moved)
    slopes[at] = (up - down) / (2 * step)
  return slopes


def _both_slopes(**options):
  def total(x, y):
    return soft_dtw.soft_dtw(x, ROWS, y, COLUMNS, **options).sum()

  return jax.grad(total, (0, 1))(X, Y)


def _real():
  for pair, (rows, columns) in enumerate(zip(ROWS, COLUMNS, strict=True)):
    yield pair, X[pair, :rows].astype(float), Y[pair, :columns].astype(float)


@pytest.mark.parametrize("gamma", [1.0, 0.01])
def test_value_and_gradient_equal_float64(gamma):
  value = soft_dtw.soft_dtw(X, ROWS, Y, COLUMNS, gamma)
  dx, dy = _both_slopes(gamma=gamma)
  for pair, x, y in _real():
    expected = _table(_cost(x, y, "squared_l2"), gamma)[-1, -1]
    assert float(value[pair]) == pytest.approx(expected, rel=2e-5, abs=1e-5)
    sx, sy = _squared_slopes(x, y, gamma)
    np.testing.assert_allclose(dx[pair, : len(x)], sx, rtol=1e-3, atol=2e-5)
    np.testing.assert_allclose(dy[pair, : len(y)], sy, rtol=1e-3, atol=2e-5)


def test_long_ragged_sequences_equal_float64():
  x, y = _frames(99, 2), _frames(70, 2)
  rows, columns = np.array([99, 80]), np.array([70, 41])

  def total(x, y):
    return soft_dtw.soft_dtw(x, rows, y, columns, 0.3).sum()

  value, slopes = jax.value_and_grad(total, (0, 1))(x, y)
  expected = 0
  for pair in range(2):
    a = x[pair, : rows[pair]].astype(float)
    b = y[pair, : columns[pair]].astype(float)
    expected += _table(_cost(a, b, "squared_l2"), 0.3)[-1, -1]
    sx, sy = _squared_slopes(a, b, 0.3)
    np.testing.assert_allclose(slopes[0][pair, : len(a)], sx, atol=1e-4)
    np.testing.assert_allclose(slopes[1][pair, : len(b)], sy, atol=1e-4)
  assert float(value) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("metric", METRICS)
def test_gradient_equals_finite_differences(metric):
  dx, dy = _both_slopes(gamma=0.3, metric=metric)
  pair, x, y = next(_real())
  np.testing.assert_allclose(
    dx[pair], _by_differences(x, y, metric, 0.3), rtol=1e-3, atol=1e-4
  )
  np.testing.assert_allclose(
    dy[pair], _by_differences(y, x, metric, 0.3), rtol=1e-3, atol=1e-4
  )


@pytest.mark.parametrize("metric", METRICS)
def test_gradient_is_0_past_the_ends_whatever_lies_there(metric):
  clean = _both_slopes(gamma=0.3, metric=metric)
  x, y = X.copy(), Y.copy()
  for pair in range(len(x)):
    x[pair, ROWS[pair] :] = np.nan
    y[pair, COLUMNS[pair] :] = np.inf

  def total(x, y):
    return soft_dtw.soft_dtw(x, ROWS, y, COLUMNS, 0.3, metric).sum()

  dx, dy = jax.grad(total, (0, 1))(x, y)
  for pair in range(len(x)):
    assert (dx[pair, ROWS[pair] :] == 0).all()
    assert (dy[pair, COLUMNS[pair] :] == 0).all()
  np.testing.assert_array_equal(dx, clean[0])
  np.testing.assert_array_equal(dy, clean[1])


@pytest.mark.parametrize("metric", METRICS)
def test_equal_frames_have_a_finite_gradient(metric):
  lengths = np.full(5, 7)

  def total(x):
    return soft_dtw.soft_dtw(x, lengths, X, lengths, 1e-3, metric).sum()

  assert np.isfinite(jax.grad(total)(X)).all()


def test_small_gamma_tends_to_hard_dtw():
  hard = dtw.dtw(X, ROWS, Y, COLUMNS, "squared_l2", window=2).total
  gaps = [
    np.abs(soft_dtw.soft_dtw(X, ROWS, Y, COLUMNS, g, window=2) - hard).max()
    for g in (1e-1, 1e-2, 1e-6)
  ]
  assert gaps[0] > gaps[1] > gaps[2]
  assert gaps[2] < 1e-4


def test_vmap_of_grad_equals_the_batch():
  def one(x, rows, y, columns):
    return soft_dtw.soft_dtw(x[None], rows[None], y[None], columns[None], 0.3)[
      0
    ]

  each = jax.jit(jax.vmap(jax.grad(one)))(X, ROWS, Y, COLUMNS)
  dx, _ = _both_slopes(gamma=0.3)
  np.testing.assert_allclose(each, dx, rtol=1e-4, atol=1e-6)


def test_gradient_keeps_bfloat16_and_is_computed_in_float32():
  x, y = (jnp.asarray(frames, jnp.bfloat16) for frames in (X, Y))

  def total(x):
    return soft_dtw.soft_dtw(x, ROWS, y, COLUMNS).sum()

  half, full = jax.grad(total)(x), jax.grad(total)(x.astype("f4"))
  assert half.dtype == jnp.bfloat16
  np.testing.assert_array_equal(half, full.astype(jnp.bfloat16))


def test_mask_of_joints_reaches_the_gradient():
  valid = np.ones((5, 7, 2), bool)
  valid[:, :, 1] = False

  def total(y):
    found = soft_dtw.soft_dtw(
      X, ROWS, y, COLUMNS, metric="mean_joint", valid=valid
    )
    return found.sum()

  slope = jax.grad(total)(Y)
  assert (slope[..., 3:] == 0).all() and (slope[0, :, :3] != 0).all()


def test_eight_devices_equal_one():
  x, y = _frames(7, 16), _frames(9, 16)
  rows, columns = np.arange(16) % 7 + 1, np.arange(16) % 9 + 1

  @jax.jit
  def both(x, rows, y, columns):
    def total(x):
      return soft_dtw.soft_dtw(x, rows, y, columns, 0.3).mean()

    return jax.value_and_grad(total)(x)

  mesh = jax.make_mesh((8,), ("data",), (jax.sharding.AxisType.Auto,))
  split = NamedSharding(mesh, PartitionSpec("data"))
  value, slope = both(*jax.device_put((x, rows, y, columns), split))
  expected = both(x, rows, y, columns)
  np.testing.assert_allclose(value, expected[0], rtol=1e-6)
  np.testing.assert_allclose(slope, expected[1], rtol=1e-5, atol=1e-7)
