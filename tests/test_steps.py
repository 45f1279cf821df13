"""The training step: on one device and eight, guarded, in parts."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax import (
  clips,
  config,
  data,
  decoding,
  errors,
  partition,
  state,
  steps,
)
from signllm_jax.losses import pose
from signllm_jax.methods import text_to_pose


class _Clips(list):
  pass


def _clip(number: int, length: int) -> clips.Clip:
  t = np.arange(length)[:, None, None] / 10
  joint = np.arange(50)[None, :, None]
  axis = np.arange(3)[None, None]
  frames = np.sin(t * (1 + number % 3) + joint + axis).astype(np.float32)
  valid = np.ones((length, 50), bool)
  valid[::5, 8:29] = False
  frames[~valid] = 0
  words = " ".join("abcdef"[(number * k) % 6] for k in range(1, 4))
  return clips.Clip(frames, valid, 25.0, str(number), words)


SPLIT = _Clips(_clip(i, 9 + i % 7) for i in range(24))


def _experiment() -> config.Experiment:
  experiment = config.Experiment(steps=100)
  experiment.data = config.Data(folder="-", batch_size=8, bucket=16)
  experiment.model = config.Model(
    width=32, heads=4, feed_forward=64, dropout=0.1, alignment=True
  )
  experiment.optim = config.Optim(warmup_steps=5)
  experiment.augment = config.Augment(noise=1.0)
  return experiment


def _start(experiment, devices):
  mesh = partition.make_mesh(experiment.mesh, devices)
  summary = data.summarise(SPLIT, experiment.data)
  plan = data.Plan(
    summary.lengths, experiment.data.batch_size, experiment.data.bucket, 0
  )
  vocabulary = len(summary.facts.vocabulary)
  abstract = state.abstract_state(experiment, vocabulary, mesh)
  step = steps.make_train_step(
    experiment,
    vocabulary,
    plan.batches_per_epoch,
    state.shardings_of(abstract),
  )
  batches = data.Batches(SPLIT, plan, summary.facts, experiment.data, 1000)
  with jax.set_mesh(mesh):
    fresh = state.create_state(
      experiment,
      state.measured(summary, normalize=True),
      abstract,
      vocabulary,
    )
  return mesh, fresh, step, batches


def _run(experiment, devices, count, spoil=None):
  mesh, current, step, batches = _start(experiment, devices)
  losses = []
  with jax.set_mesh(mesh):
    for i in range(count):
      batch = batches[i]
      if spoil is not None:
        batch = spoil(i, batch)
      current, metrics = step(current, partition.put_batch(batch, mesh))
      losses.append(float(metrics["loss"]))
  return np.array(losses), current, metrics


def _leaves(tree):
  return [np.asarray(x) for x in jax.tree.leaves(jax.device_get(tree))]


@pytest.fixture(scope="module")
def one_device():
  return _run(_experiment(), jax.devices()[:1], 20)


@pytest.mark.parametrize(
  "mesh",
  [
    config.Mesh(data=8),
    config.Mesh(data=2, fsdp=2, tensor=2),
    config.Mesh(data=1, fsdp=8),
  ],
  ids=str,
)
def test_eight_devices_equal_one(mesh, one_device):
  experiment = _experiment()
  experiment.mesh = mesh
  losses, _, _ = _run(experiment, jax.devices(), 20)
  np.testing.assert_allclose(losses, one_device[0], atol=1e-5)
  assert losses[-1] < losses[0]


def test_moments_are_sharded_as_parameters():
  experiment = _experiment()
  experiment.mesh = config.Mesh(data=2, fsdp=4)
  mesh, current, step, batches = _start(experiment, jax.devices())
  with jax.set_mesh(mesh):
    current, _ = step(current, partition.put_batch(batches[0], mesh))
  adam = next(s for s in current.opt_state if hasattr(s, "mu"))
  parameters = jax.tree.leaves(current.params)
  for moment in (adam.mu, adam.nu):
    for p, m in zip(parameters, jax.tree.leaves(moment), strict=True):
      assert m.sharding.is_equivalent_to(p.sharding, p.ndim)
  kernel = current.params["decoder"][0]["feed_forward"]["up"]["kernel"][...]
  assert kernel.sharding.shard_shape(kernel.shape) == (8, 64)
  held = sum(x.addressable_shards[0].data.nbytes for x in parameters)
  assert held < 0.35 * sum(x.nbytes for x in parameters)


def test_parts_of_a_batch_add_up():
  whole, split = _experiment(), _experiment()
  for experiment in (whole, split):
    experiment.model.dropout = 0.0
    experiment.augment.noise = 0.0
  split.optim.accumulate = 4
  a, state_a, _ = _run(whole, jax.devices()[:1], 5)
  b, state_b, _ = _run(split, jax.devices()[:1], 5)
  np.testing.assert_allclose(a, b, rtol=1e-5)
  for x, y in zip(
    _leaves(state_a.residuals), _leaves(state_b.residuals), strict=True
  ):
    np.testing.assert_allclose(x, y, rtol=1e-3, atol=1e-5)


def test_repeated_run_is_bitwise_equal(one_device):
  losses, again, _ = _run(_experiment(), jax.devices()[:1], 20)
  np.testing.assert_array_equal(losses, one_device[0])
  for x, y in zip(
    _leaves(again.params), _leaves(one_device[1].params), strict=True
  ):
    np.testing.assert_array_equal(x, y)


def test_bfloat16_computes_and_keeps_float32_parameters(one_device):
  experiment = _experiment()
  experiment.model.compute_dtype = "bfloat16"
  losses, current, _ = _run(experiment, jax.devices()[:1], 20)
  assert {x.dtype for x in jax.tree.leaves(current.params)} == {
    np.dtype("float32")
  }
  np.testing.assert_allclose(losses, one_device[0], rtol=0.05)
  assert not np.array_equal(losses, one_device[0])


def test_noise_takes_the_last_epochs_spread():
  experiment = _experiment()
  _, current, _ = _run(experiment, jax.devices()[:1], 2)
  assert not np.asarray(current.residuals.std).any()
  assert np.asarray(current.residuals.count).any()
  _, current, _ = _run(experiment, jax.devices()[:1], 3)  # one epoch
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
  _, before, _ = _run(_experiment(), jax.devices()[:1], 4)
  _, after, metrics = _run(_experiment(), jax.devices()[:1], 7, _nan_at(4))
  assert int(metrics["failed"]) == 4
  assert int(after.step) == 4
  for x, y in zip(
    _leaves((before.params, before.opt_state, before.residuals)),
    _leaves((after.params, after.opt_state, after.residuals)),
    strict=True,
  ):
    np.testing.assert_array_equal(x, y)


def test_nan_is_skipped_and_counted_up_to_the_limit():
  experiment = _experiment()
  experiment.non_finite, experiment.non_finite_limit = "skip", 2
  _, current, metrics = _run(experiment, jax.devices()[:1], 8, _nan_at(2, 4, 5))
  assert int(metrics["skipped"]) == 3
  assert int(metrics["failed"]) == -1
  assert int(current.step) == 8
  assert all(np.isfinite(x).all() for x in _leaves(current.params))
  _, _, metrics = _run(experiment, jax.devices()[:1], 8, _nan_at(3, 4, 5))
  assert int(metrics["failed"]) == 5


def test_missing_cells_teach_nothing():
  def garbage(_, batch):
    batch["frames"] = np.where(
      np.repeat(batch["valid"], 3, -1), batch["frames"], 1e3
    ).astype(np.float32)
    return batch

  clean, _, _ = _run(_experiment(), jax.devices()[:1], 3)
  dirty, _, _ = _run(_experiment(), jax.devices()[:1], 3, garbage)
  np.testing.assert_array_equal(clean, dirty)


def test_mesh_that_does_not_fit_is_refused():
  with pytest.raises(errors.UsageError, match="a product of 8"):
    partition.make_mesh(config.Mesh(data=3), jax.devices())
  mesh = partition.make_mesh(config.Mesh(data=-1, tensor=2), jax.devices())
  assert dict(mesh.shape) == {"data": 4, "fsdp": 1, "tensor": 2, "language": 1}
  with pytest.raises(errors.UsageError, match="a multiple of 4"):
    partition.check_batch(mesh, "--config.data.batch_size", 6)


def test_future_prediction_is_taught_the_frames_after():
  lengths = jnp.array([4, 2])
  valid = jnp.asarray(np.random.default_rng(0).random((2, 5, 50)) > 0.3)
  real = jnp.arange(5) < lengths[:, None]
  valid = valid & real[..., None]
  settings = config.Loss(counter_weight=2.0)
  weights = pose.cell_weights(valid, lengths, settings)
  target = jnp.arange(2 * 5 * 151.0).reshape(2, 5, 151) * weights
  after = np.asarray(pose.with_future(target, 3))
  np.testing.assert_array_equal(after[:, :, :151], target)
  for j in (1, 2):
    part = after[:, :, 151 + 150 * (j - 1) : 151 + 150 * j]
    np.testing.assert_array_equal(part[:, :-j], target[:, j:, :-1])
    assert not part[:, -j:].any()
  experiment = _experiment()
  experiment.model.future, experiment.loss = 3, settings
  total = text_to_pose.total(experiment, {"valid": valid, "length": lengths})
  np.testing.assert_allclose(total, pose.with_future(weights, 3).sum())


def test_future_prediction_learns_and_signs_one_frame_at_a_time():
  experiment = _experiment()
  experiment.model.future = 4
  experiment.augment.noise = 0.0
  losses, fresh, _ = _run(experiment, jax.devices()[:1], 12)
  assert np.mean(losses[-3:]) < np.mean(losses[:3])
  kernel = fresh.params["frame_out"]["kernel"][...]
  assert kernel.shape == (32, 151 + 3 * 150)
  graph = state.graph(experiment, 10)
  source = jnp.array([[4, 5, 3]])
  model = decoding.Model(graph, fresh.params, fresh.statistics)
  (part,) = decoding.decode(model, (source,), 9)
  assert part.frames.shape == (1, 9, 50, 3)
