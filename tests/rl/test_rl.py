"""Reward, policy and the Priority Learning Channel (section 6)."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers import small_steps
from scipy import stats

from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.models.text_to_pose import TextToPose
from signllm_jax.parallel import sharding
from signllm_jax.rl import policy, priority, reward
from signllm_jax.runs import config_check, host_copy

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


def test_dtw_reward_forgives_time_but_not_shape():
  t = np.linspace(0, 2, 20)
  true = np.sin(t[:, None] + np.arange(150)).astype(np.float32)
  late = np.concatenate([true[:1], true[:-1]])
  other = true[:, ::-1]
  batch = jnp.asarray(np.stack([true, late, other]))
  found = reward.per_sequence(
    batch,
    jnp.asarray(np.stack([true] * 3)),
    jnp.ones((3, 20, 50), bool),
    jnp.array([20, 20, 20]),
  )
  assert abs(float(found[0])) < 1e-5
  assert 10 * float(found[2]) < float(found[1]) < 0


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
    joint = 2.0 * metrics["loss_regression"] + 0.5 * metrics["loss_policy"]
    np.testing.assert_allclose(losses[-1], joint, rtol=1e-6)


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
  model = TextToPose(shape, 6, nnx.Rngs(0))
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

  def rewards(model, key):
    source = model.project_memory(*model.encode(words))
    actions = policy.sample(model, source, counters, statistics.seen, std, key)
    return actions, source, reward.per_frame(actions - true, seen)

  def surrogate(params, key):
    model = nnx.merge(graph, params)
    actions, source, earned = rewards(model, key)
    returns = policy.advantages(reward.to_go(earned)[:, None])[:, 0]
    log_probability = policy.log_probabilities(
      model, source, actions, counters, statistics.seen, std
    )
    return jnp.sum(returns * log_probability) / count

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
  model = TextToPose(shape, 6, nnx.Rngs(0))
  statistics = PoseStatistics(
    jnp.zeros(150), jnp.float32(1), jnp.ones(50, bool)
  )
  counters = jnp.arange(1, 6)[None] / 5
  std, key = 0.2, jax.random.key(3)

  @nnx.jit
  def sample_and_score(model):
    source = model.project_memory(*model.encode(jnp.array([[4, 5, 3]])))
    actions = policy.sample(model, source, counters, statistics.seen, std, key)
    return policy.log_probabilities(
      model, source, actions, counters, statistics.seen, std
    )

  noise = jnp.stack(
    [jax.random.normal(each, (1, 150)) for each in jax.random.split(key, 5)],
    1,
  )
  found = sample_and_score(model)
  np.testing.assert_allclose(found, -jnp.sum(noise**2, -1) / 2, rtol=1e-4)


@pytest.mark.parametrize(
  ("changes", "said"),
  [
    ({"plc": config.Priority(pool=2), "task": "pose_to_text"}, "plc.pool"),
    ({"rl": config.Reinforce(samples=1)}, "at least 2"),
    ({"rl": config.Reinforce(loss="ppo")}, "rl.loss"),
    ({"rl": config.Reinforce(std=0)}, "rl.std"),
    ({"plc": config.Priority(pool=2, parts=3)}, "multiple of 3"),
    ({"plc": config.Priority(floor=1.0)}, "plc.floor"),
  ],
)
def test_what_cannot_work_is_refused(changes, said):
  settings = dataclasses.replace(small_steps.new_experiment(), **changes)
  with pytest.raises(errors.UsageError, match=said):
    config_check.check(settings)
