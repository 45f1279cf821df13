"""Pose metrics against float64 references in plain Python."""

import dataclasses
import json

import numpy as np
import pytest
import scipy.linalg
from helpers.paths import DATA

from signllm_jax.core import clips
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.evaluation import baselines
from signllm_jax.evaluation.metrics import (
  catalogue,
  distances,
  frechet,
  metric,
  pose,
)
from signllm_jax.evaluation.report import bootstrap
from signllm_jax.formats import splits

METRICS = {m.key: m for m in catalogue.pose_metrics(PROMPT2SIGN50)}


def _clip(seed: int, length: int, missing: float = 0.0) -> clips.Clip:
  """A wandering skeleton, neck at 0; some joints are not seen."""
  random = np.random.default_rng(seed)
  rest = np.random.default_rng(0).normal(0, 0.2, (1, 50, 3))
  walk = random.normal(0, 0.02, (length, 50, 3)).cumsum(0)
  frames = (rest + walk).astype(np.float32)
  valid = random.random((length, 50)) >= missing
  valid[:, [1, 2, 5]] = True
  frames[:, 1], frames[:, 2, 0], frames[:, 5, 0] = 0, -1 / 6, 1 / 6
  frames[~valid] = 0
  return clips.Clip(frames, valid, name=f"clip{seed}", text="a b")


TRUE = [_clip(1, 9, 0.2), _clip(2, 14), _clip(3, 7, 0.1)]
MADE = [_clip(4, 12), _clip(5, 11), _clip(6, 7)]


def _best_path(cost: np.ndarray) -> tuple[float, list[tuple[int, int]]]:
  """Total and cells of the cheapest path, in float64."""
  r, q = cost.shape
  best = np.full((r, q), np.inf)
  come: dict = {(0, 0): None}
  for i in range(r):
    for j in range(q):
      before = [(i - 1, j - 1), (i - 1, j), (i, j - 1)]
      before = [(a, b) for a, b in before if a >= 0 and b >= 0]
      if before:
        come[i, j] = min(before, key=lambda cell: best[cell])
      best[i, j] = cost[i, j] + (best[come[i, j]] if before else 0)
  path = [(r - 1, q - 1)]
  while come[path[-1]]:
    path.append(come[path[-1]])
  return best[-1, -1], path[::-1]


def _joint_gaps(made: clips.Clip, true: clips.Clip) -> np.ndarray:
  a, b = true.frames.astype(np.float64), made.frames.astype(np.float64)
  return np.linalg.norm(a[:, None] - b[None], axis=-1)  # [R, Q, 50]


def _mean_cost(made, true, joints) -> np.ndarray:
  seen = true.valid[:, None, joints]
  gaps = _joint_gaps(made, true)[..., joints]
  return (gaps * seen).sum(-1) / np.maximum(seen.sum(-1), 1)


@pytest.mark.parametrize("part", [None, *PROMPT2SIGN50.parts])
def test_dtw_mje_and_parts_equal_plain_python(part):
  joints = list(range(50)) if part is None else list(PROMPT2SIGN50.parts[part])
  expected = []
  for made, true in zip(MADE, TRUE, strict=True):
    total, path = _best_path(_mean_cost(made, true, joints))
    expected.append(total / len(path))
  found = (
    distances.dtw_mje(MADE, TRUE)
    if part is None
    else distances.dtw_mje_of_part(MADE, TRUE, part)
  )
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_part_that_the_truth_never_shows_is_not_scored():
  hidden = dataclasses.replace(TRUE[1], valid=TRUE[1].valid.copy())
  hidden.valid[:, PROMPT2SIGN50.parts["left_hand"]] = False
  true = [TRUE[0], hidden, TRUE[2]]
  found = distances.dtw_mje_of_part(MADE, true, "left_hand")
  assert np.isnan(found).tolist() == [False, True, False]
  left = METRICS["dtw_mje_left_hand"]
  assert left.score(MADE, true) == pytest.approx(np.nanmean(found))


def test_mpjpe_equals_plain_python():
  expected = []
  for made, true in zip(MADE, TRUE, strict=True):
    _, path = _best_path(_mean_cost(made, true, list(range(50))))
    gaps, errors = _joint_gaps(made, true), []
    for i in range(len(true)):
      with_it = [gaps[i, q] for row, q in path if row == i]
      errors += list(np.mean(with_it, 0)[true.valid[i]])
    expected.append(np.mean(errors))
  np.testing.assert_allclose(distances.mpjpe(MADE, TRUE), expected, rtol=1e-5)


def _by_shoulders(clip: clips.Clip) -> np.ndarray:
  x = clip.frames.astype(np.float64)
  right, left = x[:, 2], x[:, 5]
  x = x - ((right + left) / 2).mean(0)
  return x / np.linalg.norm(right - left, axis=-1).mean()


def test_ndtw_mje_equals_plain_python():
  made = [_clip(4, 12, 0.2), *MADE[1:]]
  expected = []
  for a, b in zip(TRUE, made, strict=True):
    x, y = _by_shoulders(a), _by_shoulders(b)
    totals = []
    for k in range(50):
      cost = np.linalg.norm(x[:, None, k] - y[None, :, k], axis=-1)
      lost = np.linalg.norm(x[:, k], axis=-1)[:, None] / 2
      cost = np.where(b.valid[None, :, k], cost, lost)
      totals.append(_best_path(np.where(a.valid[:, None, k], cost, 0))[0])
    expected.append(np.mean(totals))
  np.testing.assert_allclose(distances.ndtw_mje(made, TRUE), expected, 1e-5)


def test_dtwp_equals_plain_python():
  true = dataclasses.replace(TRUE[0], valid=TRUE[0].valid.copy())
  true.valid[:2, 8:] = False  # no hand at first: trimmed
  x, y = _by_shoulders(true)[2:, 8:], _by_shoulders(MADE[0])[:, 8:]
  x = np.where(true.valid[2:, 8:, None], x, 10)
  roots = []
  for k in range(42):
    gap = x[:, None, k] - y[None, :, k]
    roots.append(np.sqrt(_best_path((gap**2).sum(-1))[0]))
  found = distances.dtwp(MADE[:1], [true])
  np.testing.assert_allclose(found, [np.mean(roots)], rtol=1e-5)


@pytest.mark.skipif(not DATA.exists(), reason="../shared/data is not there")
def test_published_dtw():
  golden = json.loads((DATA / "golden/dtw.json").read_text())["pairs"]
  found = {
    clip.name: dataclasses.replace(clip, valid=np.ones_like(clip.valid))
    for split in ("train", "dev")
    for clip in splits.read_split(DATA / "phoenix14t_mini", split)
  }
  true = [found[pair["reference"]] for pair in golden]
  made = [found[pair["hypothesis"]] for pair in golden]
  np.testing.assert_allclose(
    distances.dtw_pt(made, true),
    [pair["l1"]["per_reference_frame"] for pair in golden],
    rtol=1e-5,
  )
  np.testing.assert_allclose(
    distances.dtw_mje(made, true),
    [p["mean_joint"]["total"] / p["mean_joint"]["path_length"] for p in golden],
    rtol=1e-5,
  )


def test_missing_joints_of_the_truth_do_not_count():
  true = [_clip(1, 9, 0.3)]
  hidden = ~true[0].valid
  moved = clips.Clip(MADE[0].frames[:9], MADE[0].valid[:9])
  other = dataclasses.replace(moved, frames=moved.frames.copy())
  other.frames[hidden.any(0)[None].repeat(9, 0)] += 7
  always = dataclasses.replace(
    true[0], valid=true[0].valid & ~hidden.any(0)[None]
  )
  for key in ("dtw_mje", "mpjpe", "dtw_pt", "ndtw_mje"):
    a = METRICS[key].score([moved], [always])
    assert a == METRICS[key].score([other], [always]) > 0


def test_order_and_batches_do_not_matter():
  many = [_clip(i, 5 + i % 70) for i in range(70)]
  other = [_clip(100 + i, 5 + (7 * i) % 70) for i in range(70)]
  found = distances.dtw_mje(other, many)
  np.testing.assert_allclose(
    found[::-1], distances.dtw_mje(other[::-1], many[::-1]), rtol=1e-6
  )
  alone = distances.dtw_mje(other[13:14], many[13:14])
  np.testing.assert_allclose(alone, found[13:14], rtol=1e-6)


def test_frechet_equals_the_textbook():
  true, made = [_clip(i, 40) for i in range(5)], [_clip(9, 30), _clip(8, 70)]
  made = [*made, *made, made[0]]

  def features(listed):
    rows = []
    for clip in listed:
      tips = [x for root in (8, 29) for x in range(root + 4, root + 21, 4)]
      x = np.concatenate(
        [
          clip.frames[:, [0, 3, 4, 6, 7]] - clip.frames[:, [1]],
          clip.frames[:, tips] - clip.frames[:, [8] * 5 + [29] * 5],
        ],
        1,
      ).astype(np.float64)
      x = x.reshape(len(clip), -1)
      rows.append(np.concatenate([x[1:], np.diff(x, axis=0)], 1))
    return np.concatenate(rows)

  a, b = features(made), features(true)
  centre, spread = b.mean(0), b.std(0)
  a, b = (a - centre) / spread, (b - centre) / spread
  share = a.shape[1] / (a.shape[1] + len(b))

  def covariance(x):
    full = np.cov(x, rowvar=False, bias=True)
    return (1 - share) * full + share * np.diag(np.diag(full))

  p, q = covariance(a), covariance(b)
  root = scipy.linalg.sqrtm(p @ q).real
  expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(p + q - 2 * root)
  assert METRICS["frechet"].score(made, true) == pytest.approx(expected, 1e-5)
  assert METRICS["frechet"].score(true, true) == pytest.approx(0, abs=1e-6)


def test_frechet_takes_missing_joints_and_short_clips():
  true = [_clip(i, length, 0.3) for i, length in enumerate((1, 2, 9))]
  hidden = [
    dataclasses.replace(c, valid=c.valid & (np.arange(50) > 28)) for c in true
  ]
  for listed in (true, hidden):
    found = METRICS["frechet"].score(MADE, listed)
    assert np.isfinite(found) and found >= 0
  assert np.isnan(METRICS["frechet"].score(true[:1], true[:1]))
  assert frechet.sums(MADE, TRUE).shape == (3, 2 * (1 + 90 + 90**2))


def test_baselines_and_truth_take_their_known_values():
  rows = {"truth": TRUE, **baselines.of_clips(TRUE, np.zeros((50, 3)))}
  found = {
    name: {
      m.key: m.score(made, TRUE) for m in catalogue.pose_metrics(PROMPT2SIGN50)
    }
    for name, made in rows.items()
  }
  for key, value in found["truth"].items():
    ideal = 1 if METRICS[key].better == "one" else 0
    if key != "bone_length_error":  # the wandering has no fixed bones
      assert value == pytest.approx(ideal, abs=2e-5), key
  for name in ("mean_pose", "frozen"):
    for key in ("motion_share", "jerk_ratio"):
      assert found[name][key] == 0
    assert found[name]["length_ratio"] == 1
  # Other clips are the same clips: a distance of distributions cannot tell.
  assert found["other_clip"].pop("frechet") == pytest.approx(0, abs=1e-6)
  del found["truth"]
  for row in found.values():
    del row["visibility_error"]  # all parts are always shown
    for key, value in row.items():
      assert METRICS[key].better == "one" or value > 0


def test_jerk_of_a_cubic():
  t = np.arange(10) / 25
  frames = np.zeros((10, 50, 3), np.float32)
  frames[..., 0] = 5 * t[:, None] ** 3  # its third derivative is 30
  clip = clips.Clip(frames, np.ones((10, 50), bool))
  total, count = pose.jerk(clip)
  assert count == 7 * 50 and total / count == pytest.approx(30, rel=1e-3)
  hidden = np.ones((10, 50), bool)
  hidden[5, 3] = False
  assert pose.jerk(dataclasses.replace(clip, valid=hidden))[1] == count - 4
  short = clips.Clip(frames[:3], hidden[:3])
  assert pose.jerk(short) == (0, 0)


def _scaled(clip: clips.Clip, size: float, shaken: float = 0) -> clips.Clip:
  """A clip at another size, which changes from frame to frame by a share."""
  sign = np.resize([1, -1, 0], len(clip))[:, None, None]
  frames = clip.frames[:1] * size * (1 + shaken * sign)
  return clips.Clip(frames.astype(np.float32), clip.valid, text="a")


def test_bone_error_is_shrinkage_plus_change():
  bones = METRICS["bone_length_error"]
  still = _clip(1, 9)
  true = [_scaled(still, size) for size in (0.8, 1.0, 1.2, 1.0)]
  # Other people have other bones, as long on average.
  assert bones.score(true[::-1], true) == pytest.approx(0, abs=1e-6)
  assert bones.score(true[:1], true[-1:]) == pytest.approx(0.2, rel=1e-4)
  short = [_scaled(clip, 0.9) for clip in true]
  assert bones.score(short, true) == pytest.approx(0.1, rel=1e-4)
  shaken = [_scaled(clip, 0.9, 0.03) for clip in true]
  assert bones.score(shaken, true) == pytest.approx(0.12, rel=1e-3)
  for clip in short:
    clip.valid[:, PROMPT2SIGN50.parts["left_hand"]] = False
  assert bones.score(short, true) == pytest.approx(0.1, rel=1e-4)


def _mean_metric() -> metric.Metric:
  return metric.Metric(
    "mean",
    "mean",
    "lower",
    "mean",
    lambda made, _: metric.counted(np.array(made)),
    metric.ratio,
  )


def test_bootstrap_covers_the_truth_95_times_in_100():
  random = np.random.default_rng(0)
  mean, weights = _mean_metric(), bootstrap.resample(40, 400)
  hits = 0
  for _ in range(400):
    rows = metric.counted(random.normal(3, 2, 40))
    _, low, high = bootstrap.interval(mean, rows, weights)
    hits += low <= 3 <= high
  assert 0.90 < hits / 400 < 0.98


def test_bootstrap_equals_resampling_by_hand_and_is_seeded():
  values = np.random.default_rng(1).normal(0, 1, 12)
  weights = bootstrap.resample(12, 50, seed=3)
  assert (weights.sum(1) == 12).all()
  np.testing.assert_array_equal(weights, bootstrap.resample(12, 50, seed=3))
  by_hand = [values.repeat(w.astype(int)).mean() for w in weights]
  rows = metric.counted(values)
  found = bootstrap.scores(_mean_metric(), rows, weights)
  np.testing.assert_allclose(found, by_hand)
  interval = bootstrap.interval(_mean_metric(), rows, weights)
  assert interval.value == pytest.approx(values.mean())
  np.testing.assert_allclose(interval[1:], np.percentile(by_hand, [2.5, 97.5]))


def test_the_score_of_several_draws_is_their_mean():
  weights = bootstrap.resample(5, 50)
  motion = METRICS["motion_share"]
  draws = np.random.default_rng(2).uniform(1, 2, (3, 5, 2))
  alone = [bootstrap.interval(motion, rows, weights) for rows in draws]
  found = bootstrap.interval(motion, draws, weights)
  assert found.value == pytest.approx(np.mean([one.value for one in alone]))
  assert max(one.low for one in alone) > found.low
  same = bootstrap.compare(motion, draws, draws[[2, 0, 1]], weights)
  assert same.difference == pytest.approx(0) and abs(same.low) < 1e-9


def test_one_sequence_has_no_interval():
  weights = bootstrap.resample(1, 100)
  rows = metric.counted(np.array([2.0]))
  value, low, high = bootstrap.interval(_mean_metric(), rows, weights)
  assert value == 2 and np.isnan([low, high]).all()
  assert np.isnan(bootstrap.compare(_mean_metric(), rows, rows, weights).p)


def test_paired_comparison_sees_what_pairs_share():
  random = np.random.default_rng(2)
  hard = random.normal(0, 10, 60)  # how hard each sequence is: in both
  mean, weights = _mean_metric(), bootstrap.resample(60)
  a = metric.counted(hard + random.normal(0, 0.1, 60))
  b = metric.counted(hard + 0.2 + random.normal(0, 0.1, 60))
  found = bootstrap.compare(mean, a, b, weights)
  assert found.difference == pytest.approx(-0.2, abs=0.05)
  assert found.high < 0 and found.p < 0.01
  same = bootstrap.compare(mean, a, a, weights)
  assert same.difference == same.low == same.high == 0 and same.p == 1


def test_nearest_training_text():
  training = ["regen im norden", "sonne im süden", "sonne im süden", "wind"]
  texts = ["viel sonne im süden", "regen", "nebel", "wind"]
  assert baselines.nearest(texts, training, "words").tolist() == [1, 0, 0, 3]
  words = ["hello", "yellow", "world", "help"]
  found = baselines.nearest(["hell", "words", "help"], words, "characters")
  assert found.tolist() == [0, 2, 3]


def test_signature_names_what_was_computed():
  for one in catalogue.pose_metrics(PROMPT2SIGN50):
    said = one.signature("free", 7)
    assert said.startswith(f"{one.key}|v{one.version}|protocol:free|n:7|")
    assert one.definition in said
  assert len({one.key for one in catalogue.pose_metrics(PROMPT2SIGN50)}) == len(
    catalogue.pose_metrics(PROMPT2SIGN50)
  )
