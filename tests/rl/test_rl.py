"""Reward, policy and the Priority Learning Channel (section 6)."""

import copy
import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers import small_runs, small_steps
from scipy import stats

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.losses import dtw
from signllm_jax.models.back_translation import PoseToText
from signllm_jax.models.text_to_pose import TextToPose
from signllm_jax.parallel import sharding
from signllm_jax.rl import (
  balance,
  joint_rewards,
  policy,
  priority,
  recognition,
  reward,
)
from signllm_jax.runs import config_check, host_copy
from signllm_jax.tasks import policy_gradient

PLAIN = config.Priority(pool=1, eta=0, floor=0)


def _draws(settings, rewards, drawn, real, times):
  """Chosen rows [times, B] of pools [K]."""
  k = len(rewards)
  table = priority.Table(
    jnp.asarray(rewards, jnp.float32), jnp.asarray(drawn), jnp.float32(1)
  )
  pool = {"example": jnp.arange(k), "length": jnp.asarray(real, jnp.int32)}
  draw = jax.jit(lambda key: priority.draw(table, pool, settings, key))
  keys = jax.random.split(jax.random.key(0), times)
  return jax.vmap(draw)(keys)


@pytest.mark.parametrize("real", [8, 5, 1])
@pytest.mark.parametrize("seen", [0, 3, 8])
def test_no_priorities_draw_every_candidate_in_order(real, seen):
  drawn = np.arange(8) < seen
  rewards = -np.linspace(0.1, 3, 8)
  made = _draws(PLAIN, rewards, drawn, np.arange(8) < real, 200)
  rows = np.asarray(made.batch["example"])
  np.testing.assert_array_equal(rows[:, :real], [range(real)] * 200)
  lengths = np.asarray(made.batch["length"])
  np.testing.assert_array_equal(lengths, [np.arange(8) < real] * 200)
  np.testing.assert_array_equal(made.batch["weight"], lengths)


@pytest.mark.parametrize("hard", [False, True])
def test_draws_are_as_frequent_as_their_probability(hard):
  settings = config.Priority(pool=4, eta=1.5, floor=0.25, tau=0.7, hard=hard)
  rewards = -np.random.default_rng(0).uniform(0, 2, 16)
  times = 4000
  made = _draws(settings, rewards, np.ones(16, int), np.ones(16), times)
  counts = np.bincount(np.asarray(made.batch["example"]).ravel(), minlength=16)
  chance = np.exp(rewards / 0.7) ** (-1.5 if hard else 1.5)
  kept = chance >= np.quantile(chance, 0.25)
  assert counts[~kept].sum() == 0 and kept.sum() == 12
  chance = chance[kept] / chance[kept].sum()
  # Stratified draws vary less than independent ones, so the test is strict.
  test = stats.chisquare(counts[kept], chance * counts.sum())
  assert counts.sum() == 4 * times and test.pvalue > 0.01
  told = jax.tree.map(np.mean, made.metrics)
  assert told["skipped"] == 0.25 and told["unseen"] == 0
  np.testing.assert_allclose(
    told["effective_sample_size"], 1 / (chance**2).sum() / 16, rtol=1e-4
  )


def test_the_unseen_come_first():
  settings = config.Priority(pool=2)
  drawn = np.ones(8, int)
  drawn[[2, 5]] = 0
  made = _draws(settings, -np.arange(8.0), drawn, np.ones(8), 300)
  rows = np.asarray(made.batch["example"])
  assert ((rows == 2).sum(1) == 1).all() and ((rows == 5).sum(1) == 1).all()
  drawn[:6] = 0  # six for four places: known ones wait
  made = _draws(settings, -np.arange(8.0), drawn, np.ones(8), 300)
  counts = np.bincount(np.asarray(made.batch["example"]).ravel(), minlength=8)
  assert counts[6:].sum() == 0 and counts.sum() == 1200
  assert stats.chisquare(counts[:6]).pvalue > 0.01


def test_weights_undo_the_choice():
  settings = config.Priority(pool=4, floor=0, importance=1)
  rewards = -np.random.default_rng(1).uniform(0, 2, 16)
  made = _draws(settings, rewards, np.ones(16, int), np.ones(16), 4000)
  rows = np.asarray(made.batch["example"])
  weights = np.asarray(made.batch["weight"])
  np.testing.assert_allclose(weights.mean(1), 1, rtol=1e-5)
  chance = np.exp(rewards) / np.exp(rewards).sum()
  raw = 1 / chance[rows]
  np.testing.assert_allclose(weights, raw / raw.mean(1)[:, None], rtol=1e-4)


def test_table_keeps_the_mean_of_repeated_draws():
  table = priority.empty(4)
  example = jnp.array([1, 3, 1, 0])
  real = jnp.array([True, True, True, False])
  rewards = jnp.array([-1.0, -2, -3, -9])
  table = priority.update(table, example, real, rewards)
  np.testing.assert_array_equal(table.reward, [0, -2, 0, -2])
  np.testing.assert_array_equal(table.drawn, [0, 2, 0, 1])
  assert float(table.error) == 2
  table = priority.update(table, example, real, 2 * rewards)
  np.testing.assert_allclose(table.error, 0.99 * 2 + 0.01 * 4, rtol=1e-6)


def _params_of(state):
  return host_copy.digest((state.params, state.opt_state, state.residuals))


@pytest.mark.slow
def test_without_priorities_a_run_is_plain_bit_for_bit():
  plain, drawn = small_steps.new_experiment(), small_steps.new_experiment()
  drawn.plc = PLAIN
  one = jax.devices()[:1]
  losses, a, _ = small_steps.run(plain, one, 7)
  again, b, _ = small_steps.run(drawn, one, 7)
  np.testing.assert_array_equal(losses, again)
  assert _params_of(a) == _params_of(b)
  assert int(jnp.sum(b.table.drawn)) == 2 * 24 + 8


@pytest.mark.slow
def test_parts_of_a_batch_reward_the_same_examples():
  whole, split = small_steps.new_experiment(), small_steps.new_experiment()
  for experiment in (whole, split):
    experiment.plc = config.Priority(pool=2)
    experiment.model.dropout = experiment.augment.noise = 0.0
  split.optim.accumulate = 4
  _, a, _ = small_steps.run(whole, jax.devices()[:1], 5)
  _, b, metrics = small_steps.run(split, jax.devices()[:1], 5)
  np.testing.assert_array_equal(a.table.drawn, b.table.drawn)
  np.testing.assert_allclose(a.table.reward, b.table.reward, atol=1e-4)
  assert len(np.unique(np.asarray(a.table.reward))) > 15
  assert metrics["reward_p10"] <= metrics["reward_median"] < 0


@pytest.mark.slow
def test_eight_devices_draw_what_one_does_and_move_no_frames():
  experiment = small_steps.new_experiment()
  experiment.plc = config.Priority(pool=2, parts=8)
  experiment.model.dropout = 0.0
  losses, one, _ = small_steps.run(experiment, jax.devices()[:1], 6)
  experiment.mesh = config.Mesh(data=8)
  again, eight, _ = small_steps.run(experiment, jax.devices(), 6)
  np.testing.assert_allclose(losses, again, atol=1e-5)
  np.testing.assert_array_equal(one.table.drawn, eight.table.drawn)

  mesh, fresh, step, batches = small_steps.start(experiment, jax.devices())
  with jax.set_mesh(mesh):
    batch = sharding.put_batch(batches[0], mesh)
    text = step.lower(fresh, batch).compile().as_text()
  moved = [
    line
    for line in text.splitlines()
    if any(f" {kind}(" in line for kind in ("all-gather", "all-to-all"))
  ]
  frames = [line for line in moved if ",150]" in line or ",151]" in line]
  assert not frames


def test_reward_is_minus_the_mean_squared_error_of_what_is_seen():
  rng = np.random.default_rng(0)
  error = rng.normal(size=(2, 5, 150)).astype(np.float32)
  seen = np.ones((2, 5, 150))
  seen[0, 1, :75] = seen[1, 3:] = 0
  found = np.asarray(reward.per_frame(error, seen))
  np.testing.assert_allclose(found[0, 0], -(error[0, 0] ** 2).mean(), rtol=1e-5)
  np.testing.assert_allclose(
    found[0, 1], -(error[0, 1, 75:] ** 2).mean(), rtol=1e-5
  )
  assert (found[1, 3:] == 0).all()
  np.testing.assert_allclose(
    reward.per_clip(found, seen), [found[0].mean(), found[1, :3].mean()]
  )
  np.testing.assert_allclose(
    reward.to_go(found)[0], [found[0, t:].sum() for t in range(5)], rtol=1e-5
  )


def _sequences():
  """A true sequence, the same one frame late, and another: [3, 20, 150]."""
  t = np.linspace(0, 2, 20)
  true = np.sin(t[:, None] + np.arange(150)).astype(np.float32)
  late = np.concatenate([true[:1], true[:-1]])
  made = jnp.asarray(np.stack([true, late, true[:, ::-1]]))
  length = jnp.full(3, 20)
  valid = jnp.ones((3, 20, 50), bool)
  truth = joint_rewards.Truth(jnp.asarray(np.stack([true] * 3)), valid, length)
  return made, length, truth


def test_dtw_reward_forgives_time_but_not_shape():
  made, length, truth = _sequences()
  path = joint_rewards.dtw_path(made, length, truth)
  found = joint_rewards.along_path(made, truth, path)
  assert found.shape == (3, 20, 50)
  same, late, other = np.asarray(jnp.sum(found, (1, 2)))
  assert abs(same) < 1e-3
  assert 10 * other < late < 0
  by_joint = (np.asarray(x).reshape(3, 20, 50, 3) for x in (truth.poses, made))
  distances = dtw.dtw(
    *(y for x in by_joint for y in (jnp.asarray(x), length)), "mean_joint"
  )
  np.testing.assert_allclose([late, other], -distances.total[1:], rtol=1e-4)


def test_motion_reward_counts_what_is_lacking_and_too_much():
  _, length, truth = _sequences()
  for scale, lacking in ((1.0, 0.0), (0.5, 0.5), (0.0, 1.0), (1.5, 0.5)):
    lack = joint_rewards.motion_lack(scale * truth.poses, length, truth)
    found = joint_rewards.motion(lack)
    np.testing.assert_allclose(found, -np.full(3, lacking), atol=1e-5)
  half = 0.5 * truth.poses
  lack = joint_rewards.motion_lack(half, length, truth)

  def gain(scale):
    more = joint_rewards.where_lacking(scale * half, length, truth, lack)
    return jnp.sum(more, (1, 2))

  np.testing.assert_allclose(gain(1.1) - gain(1), 20 * 0.05 * np.ones(3), 1e-3)


@pytest.mark.parametrize("kind", ["reward_mse", "policy_gradient"])
def test_rewards_teach(kind):
  experiment = small_steps.new_experiment()
  experiment.rl = config.Reinforce(
    loss=kind, samples=2, weight=0.5, regression_weight=2.0
  )
  losses, _, metrics = small_steps.run(experiment, jax.devices()[:1], 12)
  assert losses[-3:].mean() < losses[:3].mean()
  assert ("loss_policy" in metrics) == (kind == "policy_gradient")
  if kind == "policy_gradient":
    supervised = metrics["loss_regression"] + metrics["loss_visibility"]
    joint = 2.0 * supervised + 0.5 * metrics["loss_policy"]
    np.testing.assert_allclose(losses[-1], joint, rtol=1e-6)


def _reinforced(**settings):
  """The small experiment with the policy gradient, without dropout."""
  experiment = small_steps.new_experiment()
  experiment.rl = config.Reinforce("policy_gradient", samples=2, **settings)
  experiment.model.dropout = experiment.augment.noise = 0.0
  return experiment


@pytest.mark.parametrize("longer", [0.1, 10.0])
def test_the_policy_has_at_most_its_share_of_a_step(longer):
  rng = np.random.default_rng(0)
  supervised, noise = (
    {"a": jnp.asarray(rng.normal(size=5)), "b": jnp.asarray(rng.normal(size=3))}
    for _ in range(2)
  )
  norm = float(optax.tree.norm(supervised) / optax.tree.norm(noise))
  gradient = jax.tree.map(lambda x: longer * norm * x, noise)
  parts = balance.GradientParts(supervised, gradient)
  total, metrics = balance.combine(parts, config.Reinforce(balance=0.3))
  added = jax.tree.map(jnp.subtract, total, supervised)
  share = optax.tree.norm(added) / optax.tree.norm(supervised)
  np.testing.assert_allclose(share, min(longer, 0.3), rtol=1e-5)
  along = jax.tree.map(lambda x: metrics["policy_scale"] * x, gradient)
  jax.tree.map(
    functools.partial(np.testing.assert_allclose, atol=1e-6), added, along
  )
  free, _ = balance.combine(parts, config.Reinforce(balance=0))
  np.testing.assert_allclose(free["a"], supervised["a"] + gradient["a"])


@pytest.mark.parametrize("reward_name", ["mse", "dtw", "motion"])
def test_durations_have_no_gradient_of_the_policy(reward_name):
  experiment = _reinforced(reward=reward_name)
  shape = experiment.model
  model = TextToPose(shape, 6, PROMPT2SIGN50, nnx.Rngs(0))
  graph, params = nnx.split(model)
  rng = np.random.default_rng(0)
  true = joint_rewards.Truth(
    jnp.asarray(rng.normal(size=(2, 6, 150)), jnp.float32),
    jnp.ones((2, 6, 50), bool),
    jnp.array([6, 4]),
  )

  @jax.jit
  @jax.grad
  def gradient(params):
    model = nnx.merge(graph, params)
    source = model.project_memory(*model.encode(jnp.array([[4, 5, 3]] * 2)))
    seen, weight, key = jnp.ones(50, bool), jnp.ones(2), jax.random.key(0)
    return policy_gradient.policy_loss(
      experiment, model, source, true, seen, weight, key
    )[1]

  found = {
    jax.tree_util.keystr(path): float(jnp.max(jnp.abs(leaf)))
    for path, leaf in jax.tree.leaves_with_path(gradient(params))
  }
  durations = {k: v for k, v in found.items() if "duration" in k}
  assert durations and set(durations.values()) == {0.0}
  assert sum(value > 0 for value in found.values()) > len(found) / 2


@pytest.mark.slow
def test_the_parts_of_a_batch_have_one_balance():
  """Micro-batches have other noise, so whole and parts differ by it."""
  experiment = _reinforced(std=1e-3, balance=0.0, reward="motion")
  experiment.model.just_counter = True  # rewards without noise
  split = copy.deepcopy(experiment)
  split.optim.accumulate = 2
  one = jax.devices()[:1]
  _, _, whole = small_steps.run(experiment, one, 1)
  _, _, parts = small_steps.run(split, one, 1)
  np.testing.assert_allclose(
    whole["loss_regression"], parts["loss_regression"], rtol=1e-5
  )
  for name in ("reward_p10", "reward_median", "reward_p90"):
    np.testing.assert_allclose(whole[name], parts[name], rtol=1e-4)
  split.rl.balance = 0.01
  _, _, limited = small_steps.run(split, one, 1)
  np.testing.assert_allclose(limited["policy_norm"], parts["policy_norm"], 1e-4)
  assert limited["policy_scale"] < 1 == parts["policy_scale"]


@pytest.mark.slow
def test_eight_devices_sample_what_one_does():
  experiment = _reinforced(reward="dtw")
  losses, _, one = small_steps.run(experiment, jax.devices()[:1], 3)
  experiment.mesh = config.Mesh(data=8)
  again, _, eight = small_steps.run(experiment, jax.devices(), 3)
  np.testing.assert_allclose(losses, again, atol=1e-4)
  np.testing.assert_allclose(
    one["policy_norm"], eight["policy_norm"], rtol=1e-3
  )


def test_reward_loss_is_squared_error_where_all_is_seen():
  squared, rewarded = small_steps.new_experiment(), small_steps.new_experiment()
  rewarded.rl.loss = "reward_mse"

  def all_seen(_, batch):
    real = np.arange(batch["valid"].shape[1]) < batch["length"][:, None]
    return batch | {"valid": np.repeat(real[..., None], 50, -1)}

  one = jax.devices()[:1]
  a, _, _ = small_steps.run(squared, one, 4, all_seen)
  b, _, _ = small_steps.run(rewarded, one, 4, all_seen)
  np.testing.assert_allclose(a, b, rtol=1e-5)


@pytest.mark.slow
def test_policy_gradient_is_that_of_the_expected_reward():
  """Against finite differences with common random numbers."""
  shape = config.Model(
    encoder_layers=1,
    decoder_layers=1,
    width=8,
    heads=2,
    feed_forward=8,
    dropout=0.0,
  )
  model = TextToPose(shape, 6, PROMPT2SIGN50, nnx.Rngs(0))
  graph, params = nnx.split(model)
  statistics = PoseStatistics(
    jnp.zeros(150),
    jnp.float32(1),
    jnp.arange(50) < 2,  # six numbers
  )
  count, t, std = 8192, 3, 0.3
  words = jnp.tile(jnp.array([[4, 5, 3]]), (count, 1))
  counters = jnp.tile(jnp.arange(1, t + 1) / t, (count, 1))
  true = (
    jnp.zeros((t, 150))
    .at[:, :6]
    .set(jax.random.normal(jax.random.key(7), (t, 6)))
  )
  seen = jnp.repeat(statistics.seen, 3).astype(jnp.float32)

  clock = policy.Clock(counters, jnp.full(count, t))

  def rewards(model, key):
    source = model.project_memory(*model.encode(words))
    made = policy.sample(model, source, clock, statistics.seen, std, key)
    return made, source, reward.per_frame(made.actions - true, seen)

  def surrogate(params, key):
    model = nnx.merge(graph, params)
    made, source, earned = rewards(model, key)
    returns = policy.advantages(reward.to_go(earned)[:, None])[:, 0]
    log_probability = policy.log_probabilities(
      made.actions,
      policy.means(model, source, made).poses,
      statistics.seen,
      std,
    )
    return jnp.sum(returns * jnp.sum(log_probability, -1)) / count

  @jax.jit
  def expected(params, key):
    return jnp.sum(rewards(nnx.merge(graph, params), key)[2]) / count

  keys = jax.random.split(jax.random.key(1), 12)
  gradient = jax.jit(jax.grad(surrogate))
  found = [gradient(params, key) for key in keys]
  # Along directions that move all parameters.
  for seed in range(3):
    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(seed)
    along = tree.unflatten(
      [jnp.asarray(rng.normal(size=x.shape), jnp.float32) for x in leaves]
    )

    def dot(a, b=along):
      pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
      return float(sum(jnp.vdot(x, y) for x, y in pairs))

    h = 2e-3
    up, down = (
      jax.tree.map(lambda p, d, h=h: p + h * d, params, along) for h in (h, -h)
    )
    slopes = [
      float(expected(up, key) - expected(down, key)) / (2 * h) for key in keys
    ]
    estimates = [dot(each) for each in found]
    error = np.hypot(np.std(estimates), np.std(slopes)) / np.sqrt(len(keys))
    away = abs(np.mean(estimates) - np.mean(slopes))
    assert away < 4 * error
    assert error < 0.1 * abs(np.mean(slopes))


def test_a_sample_is_as_likely_as_it_was_drawn():
  """The cached pass that draws and the whole one have the same mean."""
  shape = config.Model(
    encoder_layers=1, decoder_layers=2, width=16, heads=2, feed_forward=16
  )
  model = TextToPose(shape, 6, PROMPT2SIGN50, nnx.Rngs(0))
  statistics = PoseStatistics(
    jnp.zeros(150), jnp.float32(1), jnp.ones(50, bool)
  )
  clock = policy.Clock(jnp.arange(1, 6)[None] / 5, jnp.array([5]))
  std, key = 0.2, jax.random.key(3)

  @nnx.jit
  def sample_and_score(model):
    source = model.project_memory(*model.encode(jnp.array([[4, 5, 3]])))
    made = policy.sample(model, source, clock, statistics.seen, std, key)
    mean = policy.means(model, source, made).poses
    return policy.log_probabilities(made.actions, mean, statistics.seen, std)

  noise = jnp.stack(
    [jax.random.normal(each, (1, 150)) for each in jax.random.split(key, 5)],
    1,
  )
  found = sample_and_score(model)
  squares = jnp.sum(noise.reshape(1, 5, 50, 3) ** 2, -1)
  np.testing.assert_allclose(found, -squares / 2, rtol=1e-3, atol=1e-4)


def _reader() -> recognition.TextReader:
  """An untrained model of pose to text, of six words."""
  shape = small_runs.model()
  model = PoseToText(config.Experiment(model=shape), 6, 0, nnx.Rngs(0))
  statistics = PoseStatistics(
    np.zeros(150, np.float32), np.float32(1), np.ones(50, bool)
  )
  return recognition.TextReader(*nnx.split(model), statistics)


@pytest.mark.slow
def test_a_readers_reward_is_shared_out_by_its_gradient():
  reader, rng = _reader(), np.random.default_rng(0)
  texts = jnp.array([[4, 5, 3, 0], [5, 3, 0, 0], [3, 0, 0, 0]])
  real, length = jnp.array([True, True, False]), jnp.array([6, 4, 0])
  recognise = recognition.rewarder(
    reader, texts, real, reader.statistics, PROMPT2SIGN50
  )
  near = jnp.asarray(rng.normal(size=(3, 6, 150)), jnp.float32)
  away = jnp.asarray(rng.normal(size=(2, 3, 6, 150)), jnp.float32)
  rewards, shares = recognition.by_joint(
    recognise, near + 1e-3 * away, near, None, length, 50
  )
  assert shares.shape == (2, 3, 6, 50)
  assert (rewards[:2] < 0).all() and rewards[2] == 0
  assert not shares[:, 2].any() and not shares[:, 1, 4:].any()
  up = recognise(
    (near + 1e-3 * away).reshape(6, 6, 150), None, jnp.tile(length, 2)
  )
  down = recognise(
    (near - 1e-3 * away).reshape(6, 6, 150), None, jnp.tile(length, 2)
  )
  slope = (up - down).reshape(2, 3) / 2
  np.testing.assert_allclose(slope, shares.sum((-2, -1)), rtol=1e-2, atol=1e-6)
  # A reader sees what the model shows.
  hidden = jnp.full((3, 6, 50), 9.0).at[..., 8:].set(-9.0)
  blind = recognise(near, hidden, length)
  assert blind[0] != rewards[0]


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"plc": config.Priority(pool=2), "task": "pose_to_text"}, "plc.pool"),
    ({"rl": config.Reinforce(samples=1)}, "at least 2"),
    ({"rl": config.Reinforce(loss="ppo")}, "rl.loss"),
    ({"rl": config.Reinforce(std=0)}, "rl.std"),
    ({"rl": config.Reinforce(reward="recognition")}, "rl.reader"),
    ({"rl": config.Reinforce(reader="runs/reader")}, "rl.reader"),
    (
      {
        "rl": config.Reinforce(reward="recognition", reader="runs/reader"),
        "task": "mlsf",
      },
      "task mlsf",
    ),
    ({"rl": config.Reinforce(reward="dwt")}, "rl.reward"),
    ({"rl": config.Reinforce(balance=-1)}, "rl.balance"),
    (
      {"rl": config.Reinforce("policy_gradient", regression_weight=0)},
      "rl.regression_weight=0",
    ),
    ({"plc": config.Priority(pool=2, parts=3)}, "multiple of 3"),
    ({"plc": config.Priority(floor=1.0)}, "plc.floor"),
  ],
)
def test_what_cannot_work_is_refused(changes, said):
  settings = dataclasses.replace(small_steps.new_experiment(), **changes)
  with pytest.raises(errors.UsageError, match=said):
    config_check.check(settings)
