"""The training step: on one device and eight, guarded, in parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import small_steps

from benchmarks import communication
from signllm_jax import config
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.inference import compiled_model, decoding
from signllm_jax.losses import pose
from signllm_jax.parallel import sharding
from signllm_jax.runs import train_state
from signllm_jax.tasks import text_to_pose


def _leaves(tree):
  return [np.asarray(x) for x in jax.tree.leaves(jax.device_get(tree))]


@pytest.fixture(scope="module")
def one_device():
  return small_steps.run(small_steps.new_experiment(), jax.devices()[:1], 20)


@pytest.mark.parametrize(
  "mesh",
  [
    pytest.param(config.Mesh(data=8), marks=pytest.mark.slow),
    config.Mesh(data=2, fsdp=2, tensor=2),
    pytest.param(config.Mesh(data=1, fsdp=8), marks=pytest.mark.slow),
  ],
  ids=str,
)
def test_eight_devices_equal_one(mesh, one_device):
  experiment = small_steps.new_experiment()
  experiment.mesh = mesh
  losses, _, _ = small_steps.run(experiment, jax.devices(), 20)
  np.testing.assert_allclose(losses, one_device[0], atol=1e-5)
  assert losses[-1] < losses[0]


def test_a_fresh_state_has_the_types_of_later_ones():
  """With weak types, the second step would be compiled again."""
  experiment = small_steps.new_experiment()
  assert experiment.model.visibility
  _, fresh, _, _ = small_steps.start(experiment, jax.devices()[:1])
  weak = [
    jax.tree_util.keystr(path)
    for path, leaf in jax.tree_util.tree_leaves_with_path(fresh)
    if leaf.aval.weak_type
  ]
  assert weak == []


@pytest.mark.slow
def test_fsdp_sends_matrices_whatever_the_rows():
  """And not the rows: those of all devices together have no bound."""
  sent = []
  for rows in (8, 24):
    experiment = small_steps.new_experiment()
    experiment.mesh = config.Mesh(data=1, fsdp=8)
    experiment.data.batch_size = rows
    mesh, current, step, batches = small_steps.start(experiment, jax.devices())
    with jax.set_mesh(mesh):
      batch = sharding.put_batch(batches[0], mesh)
      program = step.lower(current, batch).compile().as_text()
    sent.append(sum(communication.collectives(program).values()))
  assert sent[0] > 0
  assert sent[1] < 1.1 * sent[0]


def test_the_average_follows_the_parameters_and_changes_none(one_device):
  experiment = small_steps.new_experiment()
  experiment.optim.ema = 0.25
  experiment.non_finite = "skip"
  mesh, current, step, batches = small_steps.start(
    experiment, jax.devices()[:1]
  )
  expected = _leaves(current.params)
  for ours, theirs in zip(_leaves(current.ema), expected, strict=True):
    np.testing.assert_array_equal(ours, theirs)
  losses = []
  with jax.set_mesh(mesh):
    for i in range(6):
      batch = _nan_at(5)(i, batches[i])
      current, metrics = step(current, sharding.put_batch(batch, mesh))
      losses.append(metrics["loss"])
      decay = min(0.25, (1 + i) / (10 + i)) if i != 5 else 1.0
      expected = [
        decay * old + (1 - decay) * new
        for old, new in zip(expected, _leaves(current.params), strict=True)
      ]
  assert int(metrics["skipped"]) == 1
  np.testing.assert_array_equal(losses[:5], one_device[0][:5])
  for ours, theirs in zip(_leaves(current.ema), expected, strict=True):
    np.testing.assert_allclose(ours, theirs, rtol=1e-5, atol=1e-6)


def test_moments_are_sharded_as_parameters():
  experiment = small_steps.new_experiment()
  experiment.mesh = config.Mesh(data=2, fsdp=2, tensor=2)
  experiment.optim.ema = 0.9
  _, current, _ = small_steps.run(experiment, jax.devices(), 1)
  adam = next(s for s in current.opt_state if hasattr(s, "mu"))
  parameters = jax.tree.leaves(current.params)
  for moment in (adam.mu, adam.nu, current.ema):
    for p, m in zip(parameters, jax.tree.leaves(moment), strict=True):
      assert m.sharding.is_equivalent_to(p.sharding, p.ndim)
  kernel = current.params["decoder"][0]["feed_forward"]["up"]["kernel"][...]
  assert kernel.sharding.shard_shape(kernel.shape) == (32, 64)
  held = sum(x.addressable_shards[0].data.nbytes for x in parameters)
  assert held < 0.35 * sum(x.nbytes for x in parameters)


@pytest.mark.slow
def test_muon_on_eight_devices_equals_one_and_learns():
  experiment = small_steps.new_experiment()
  experiment.model.scan = True
  experiment.optim.kind = "muon"
  losses, alone, _ = small_steps.run(experiment, jax.devices()[:1], 8)
  assert losses[-1] < 0.9 * losses[0]
  experiment.mesh = config.Mesh(data=2, fsdp=2, tensor=2)
  spread, current, _ = small_steps.run(experiment, jax.devices(), 8)
  np.testing.assert_allclose(spread, losses, rtol=1e-4)
  for ours, theirs in zip(
    _leaves(current.params), _leaves(alone.params), strict=True
  ):
    np.testing.assert_allclose(ours, theirs, rtol=1e-2, atol=1e-3)
  held = [x for x in jax.tree.leaves(current.opt_state) if x.ndim > 1]
  split = [x for x in held if not x.is_fully_replicated]
  assert sum(x.size for x in split) > 0.9 * sum(x.size for x in held)
  # Of Adam it is twice the parameters.
  parameters = sum(x.size for x in jax.tree.leaves(alone.params))
  held = sum(x.size for x in jax.tree.leaves(alone.opt_state))
  assert held < 1.6 * parameters


def test_parts_of_a_batch_add_up():
  whole, split = small_steps.new_experiment(), small_steps.new_experiment()
  for experiment in (whole, split):
    experiment.model.dropout = 0.0
    experiment.augment.noise = 0.0
  split.optim.accumulate = 4
  a, state_a, _ = small_steps.run(whole, jax.devices()[:1], 5)
  b, state_b, _ = small_steps.run(split, jax.devices()[:1], 5)
  np.testing.assert_allclose(a, b, rtol=1e-5)
  for x, y in zip(
    _leaves(state_a.residuals), _leaves(state_b.residuals), strict=True
  ):
    np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)


def test_repeated_run_is_bitwise_equal(one_device):
  small_steps.forget()
  losses, again, _ = small_steps.run(
    small_steps.new_experiment(), jax.devices()[:1], 20
  )
  np.testing.assert_array_equal(losses, one_device[0])
  for x, y in zip(
    _leaves(again.params), _leaves(one_device[1].params), strict=True
  ):
    np.testing.assert_array_equal(x, y)


def test_bfloat16_computes_and_keeps_float32_parameters(one_device):
  experiment = small_steps.new_experiment()
  experiment.model.compute_dtype = "bfloat16"
  losses, current, _ = small_steps.run(experiment, jax.devices()[:1], 20)
  assert {x.dtype for x in jax.tree.leaves(current.params)} == {
    np.dtype("float32")
  }
  np.testing.assert_allclose(losses, one_device[0], rtol=0.05)
  assert not np.array_equal(losses, one_device[0])


def test_noise_takes_the_last_epochs_spread():
  experiment = small_steps.new_experiment()
  _, current, _ = small_steps.run(experiment, jax.devices()[:1], 2)
  assert not np.asarray(current.residuals.std).any()
  assert np.asarray(current.residuals.count).any()
  _, current, _ = small_steps.run(experiment, jax.devices()[:1], 3)  # one epoch
  assert (np.asarray(current.residuals.std) > 0).all()
  assert not np.asarray(current.residuals.count).any()


def _nan_at(*spoilt):
  def spoil(i, batch):
    if i in spoilt:
      batch["frames"][1, 2, 30] = np.nan
      batch["valid"][1, 2] = True
    return batch

  return spoil


def test_nan_stops_and_changes_nothing():
  """R16."""
  _, before, _ = small_steps.run(
    small_steps.new_experiment(), jax.devices()[:1], 4
  )
  _, after, metrics = small_steps.run(
    small_steps.new_experiment(), jax.devices()[:1], 7, _nan_at(4)
  )
  assert int(metrics["failed"]) == 4
  assert int(after.step) == 4
  for x, y in zip(
    _leaves((before.params, before.opt_state, before.residuals)),
    _leaves((after.params, after.opt_state, after.residuals)),
    strict=True,
  ):
    np.testing.assert_array_equal(x, y)


def test_nan_is_skipped_and_counted_up_to_the_limit():
  """R16."""
  experiment = small_steps.new_experiment()
  experiment.non_finite, experiment.non_finite_limit = "skip", 2
  _, current, metrics = small_steps.run(
    experiment, jax.devices()[:1], 8, _nan_at(2, 4, 5)
  )
  assert int(metrics["skipped"]) == 3
  assert int(metrics["failed"]) == -1
  assert int(current.step) == 8
  assert all(np.isfinite(x).all() for x in _leaves(current.params))
  _, _, metrics = small_steps.run(
    experiment, jax.devices()[:1], 8, _nan_at(3, 4, 5)
  )
  assert int(metrics["failed"]) == 5


def test_a_batch_of_huge_targets_is_clipped():
  """R17: it is logged by its norm, moves little, and the run recovers."""

  def spoil(index, batch):
    if index == 4:
      batch["frames"] = batch["frames"] * 1000
    return batch

  experiment, devices = small_steps.new_experiment(), jax.devices()[:1]
  calm, before, metrics = small_steps.run(experiment, devices, 4)
  assert float(metrics["gradient_norm"]) < experiment.optim.clip_norm
  _, after, metrics = small_steps.run(experiment, devices, 5, spoil)
  assert float(metrics["gradient_norm"]) > experiment.optim.clip_norm
  assert float(metrics["loss"]) > 100 * calm[-1]
  moved = [
    np.abs(x - y).max()
    for x, y in zip(_leaves(before.params), _leaves(after.params), strict=True)
  ]
  # Adam moves a number by at most (1 - b1) / sqrt(1 - b2) rates at a step.
  assert max(moved) <= 4 * experiment.optim.learning_rate
  losses, _, metrics = small_steps.run(experiment, devices, 20, spoil)
  assert losses[-1] < calm[0] and int(metrics["failed"]) == -1


def test_missing_cells_teach_nothing():
  def garbage(_, batch):
    batch["frames"] = np.where(
      np.repeat(batch["valid"], 3, -1), batch["frames"], 1e3
    ).astype(np.float32)
    return batch

  clean, _, _ = small_steps.run(
    small_steps.new_experiment(), jax.devices()[:1], 3
  )
  dirty, _, _ = small_steps.run(
    small_steps.new_experiment(), jax.devices()[:1], 3, garbage
  )
  np.testing.assert_array_equal(clean, dirty)


def test_mesh_that_does_not_fit_is_refused():
  with pytest.raises(errors.UsageError, match="a product of 8"):
    sharding.make_mesh(config.Mesh(data=3), jax.devices())
  mesh = sharding.make_mesh(config.Mesh(data=-1, tensor=2), jax.devices())
  assert dict(mesh.shape) == {"data": 4, "fsdp": 1, "tensor": 2, "language": 1}
  with pytest.raises(errors.UsageError, match="a multiple of 4"):
    sharding.check_batch(mesh, "--config.data.batch_size", 6)


@pytest.mark.parametrize(
  ("mesh", "message"),
  [
    (
      config.Mesh(data=1, fsdp=8),
      r"mesh.fsdp=8.*a divisor of 36 \(model.width",
    ),
    (config.Mesh(tensor=4), r"mesh.tensor=4.*a divisor of 2 \(model.heads"),
    (config.Mesh(tensor=2), r"mesh.tensor=2.*a divisor of 63 \(model.feed_for"),
    (config.Mesh(language=2), r"mesh.language=2.*a divisor of 1 \(languages"),
  ],
  ids=str,
)
def test_a_mesh_that_would_not_split_the_model_is_refused(mesh, message):
  experiment = small_steps.new_experiment()
  made = sharding.make_mesh(mesh, jax.devices())
  experiment.model.width, experiment.model.heads = 36, 2
  experiment.model.feed_forward = 63
  with pytest.raises(errors.UsageError, match=message):
    sharding.check_model(made, experiment)
  sharding.check_model(
    sharding.make_mesh(config.Mesh(fsdp=2), jax.devices()), experiment
  )


def test_future_prediction_is_taught_the_frames_after():
  lengths = jnp.array([4, 2])
  valid = jnp.asarray(np.random.default_rng(0).random((2, 5, 50)) > 0.3)
  real = jnp.arange(5) < lengths[:, None]
  valid = valid & real[..., None]
  settings = config.Loss(counter_weight=2.0)
  weights = pose.cell_weights(valid, lengths, settings, PROMPT2SIGN50)
  target = jnp.arange(2 * 5 * 151.0).reshape(2, 5, 151) * weights
  after = np.asarray(pose.append_future(target, 3))
  np.testing.assert_array_equal(after[:, :, :151], target)
  for j in (1, 2):
    part = after[:, :, 151 + 150 * (j - 1) : 151 + 150 * j]
    np.testing.assert_array_equal(part[:, :-j], target[:, j:, :-1])
    assert not part[:, -j:].any()
  experiment = small_steps.new_experiment()
  experiment.model.future, experiment.loss = 3, settings
  total = text_to_pose.loss_denominator(
    experiment, {"valid": valid, "length": lengths}
  )
  expected = pose.append_future(weights, 3).sum()
  np.testing.assert_allclose(total.numbers, expected)


def test_future_prediction_learns_and_signs_one_frame_at_a_time():
  experiment = small_steps.new_experiment()
  experiment.model.future = 4
  experiment.augment.noise = 0.0
  losses, fresh, _ = small_steps.run(experiment, jax.devices()[:1], 12)
  assert np.mean(losses[-3:]) < np.mean(losses[:3])
  kernel = fresh.params["frame_out"]["kernel"][...]
  assert kernel.shape == (64, 151 + 3 * 150)
  graph = train_state.graph(experiment, sizes_lib.Sizes(10))
  source = jnp.array([[4, 5, 3]])
  model = compiled_model.Model(graph, fresh.params, fresh.statistics)
  (part,) = decoding.decode(model, (source,), 9)
  assert part.frames.shape == (1, 9, 50, 3)
