"""The optimiser against optax, and steps that are not applied."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from signllm_jax import config
from signllm_jax.runs import optimizer

SHAPE = (16, 64, 128)


def _tree(seed: int, scale: float = 1.0):
  random = np.random.default_rng(seed)
  shapes = {"kernel": (6, 4), "bias": (4,)}
  return {
    name: jnp.asarray(random.normal(0, scale, shape), jnp.float32)
    for name, shape in shapes.items()
  }


@pytest.mark.parametrize("scale", [0.1, 10.0])
def test_the_optimiser_is_optax_chain(scale):
  settings = config.Optim(clip_norm=1.0, weight_decay=0.1)
  chain = optimizer.make_optimizer(settings)
  ours = theirs = _tree(0)
  state = expected = chain.init(ours)
  apply = jax.jit(
    lambda *given: optimizer.apply(settings, *given, jnp.float32(0.01), True)
  )
  for seed in range(1, 4):
    grads = _tree(seed, scale)
    ours, state = apply(ours, state, grads)
    updates, expected = chain.update(grads, expected, theirs)
    theirs = optax.tree.add_scale(theirs, -0.01, updates)
  assert jax.tree.structure(state) == jax.tree.structure(expected)
  jax.tree.map(
    lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-5, atol=1e-7),
    (ours, state),
    (theirs, expected),
  )


def test_average_forgets_the_start_and_then_decays():
  settings = config.Optim(ema=0.5)
  average = expected = _tree(0)
  update = jax.jit(
    lambda *given: optimizer.update_average(settings, *given, jnp.bool(True))
  )
  # 1/10, 2/11, 3/12, ... until they pass the decay at step 8.
  for step in range(12):
    decay = min(0.5, (1 + step) / (10 + step))
    assert (decay == 0.5) == (step >= 8)
    params = _tree(step + 1)
    average = update(average, params, jnp.int32(step))
    expected = {
      name: decay * expected[name] + (1 - decay) * params[name]
      for name in params
    }
    jax.tree.map(
      lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6),
      average,
      expected,
    )


@pytest.mark.parametrize(
  ("schedule", "expected"),
  [
    ("constant", {0: 0.1, 4: 0.5, 9: 1.0, 60: 1.0, 110: 1.0}),
    # Half of the way down, then at the end and past it.
    ("cosine", {0: 0.1, 9: 1.0, 60: 0.505, 110: 0.01, 500: 0.01}),
    ("plateau", {0: 0.07, 9: 0.7, 60: 0.7, 110: 0.7}),
  ],
)
def test_learning_rate_schedules(schedule, expected):
  settings = config.Optim(schedule=schedule, learning_rate=1.0, warmup_steps=10)
  for step, rate in expected.items():
    found = optimizer.learning_rate(
      settings, 110, jnp.int32(step), jnp.float32(0.7)
    )
    np.testing.assert_allclose(found, rate, rtol=1e-5)


def test_a_step_that_is_not_applied_changes_no_bit():
  settings = config.Optim(weight_decay=0.1)
  params = _tree(0)
  params["bias"] = params["bias"].at[0].set(-0.0)
  state = optimizer.make_optimizer(settings).init(params)
  apply = jax.jit(
    lambda *given: optimizer.apply(
      settings, params, state, *given, jnp.float32(0.01), jnp.bool(False)
    )
  )
  for bad in (np.nan, np.inf, 1.0):
    grads = jax.tree.map(lambda x, bad=bad: jnp.full_like(x, bad), params)
    for old, new in zip(
      jax.tree.leaves((params, state)),
      jax.tree.leaves(apply(grads)),
      strict=True,
    ):
      assert np.asarray(old).tobytes() == np.asarray(new).tobytes()


def _layers() -> nnx.State:
  """Parameters with the axes that tell Muon's matrices from the rest."""
  random = np.random.default_rng(0)
  shapes = {
    "up": ((6, 4), ("embed", "mlp")),
    "scanned": ((3, 4, 4), ("layers", "embed", "heads")),
    "embedding": ((5, 4), ("vocab", "embed")),
    "frame_out": ((4, 7), ("embed", "frame")),
    "bias": ((4,), ("embed",)),
  }
  return nnx.State(
    {
      name: nnx.Param(jnp.asarray(random.normal(size=s), jnp.float32), axes=a)
      for name, (s, a) in shapes.items()
    }
  )


def test_muon_makes_updates_of_layers_orthogonal_and_leaves_adam_the_rest():
  plain = config.Optim(clip_norm=1e6)
  settings = dataclasses.replace(plain, kind="muon")
  params = _layers()
  grads = jax.tree.map(jnp.sin, params)
  moved = {}
  for each in (plain, settings):
    state = optimizer.make_optimizer(each).init(params)
    new, _ = optimizer.apply(
      each, params, state, grads, jnp.float32(1), jnp.bool(True)
    )
    moved[each.kind] = jax.tree.map(lambda old, new: old - new, params, new)
  for name in ("embedding", "frame_out", "bias"):
    np.testing.assert_allclose(
      moved["muon"][name][...], moved["adam"][name][...], rtol=1e-4, atol=1e-6
    )
  matrices = [moved["muon"]["up"][...], *moved["muon"]["scanned"][...]]
  for matrix, largest in zip(matrices, (6, 4, 4, 4), strict=True):
    values = np.linalg.svd(matrix, compute_uv=False) / (0.2 * largest**0.5)
    assert values.min() > 0.7 and values.max() < 1.3  # three iterations


def test_a_step_of_muon_that_is_not_applied_changes_no_bit():
  settings = config.Optim(kind="muon", weight_decay=0.1)
  params = _layers()
  state = optimizer.make_optimizer(settings).init(params)
  for bad in (np.nan, 1.0):
    grads = jax.tree.map(lambda x, bad=bad: jnp.full_like(x, bad), params)
    after = optimizer.apply(
      settings, params, state, grads, jnp.float32(0.01), jnp.bool(False)
    )
    for old, new in zip(
      jax.tree.leaves((params, state)), jax.tree.leaves(after), strict=True
    ):
      assert np.asarray(old).tobytes() == np.asarray(new).tobytes()


def test_muon_of_stacked_groups_is_that_of_each_group():
  settings = config.Optim(kind="muon")
  one = _layers()
  groups = [one, jax.tree.map(lambda x: 2 * jnp.cos(x), one)]

  def stack(*leaves: nnx.Variable) -> nnx.Variable:
    axes = ("language", *leaves[0].get_metadata()["axes"])
    return leaves[0].replace(jnp.stack([x[...] for x in leaves]), axes=axes)

  stacked = jax.tree.map(
    stack, *groups, is_leaf=lambda x: isinstance(x, nnx.Variable)
  )

  def step(params):
    state = optimizer.make_optimizer(settings).init(params)
    grads = jax.tree.map(jnp.sin, params)
    rate, applied = jnp.float32(1), jnp.bool(True)
    return optimizer.apply(settings, params, state, grads, rate, applied)[0]

  together = jax.vmap(step)(stacked)
  for i, group in enumerate(groups):
    for ours, theirs in zip(
      jax.tree.leaves(together), jax.tree.leaves(step(group)), strict=True
    ):
      np.testing.assert_allclose(ours[i], theirs, rtol=1e-4, atol=1e-5)
