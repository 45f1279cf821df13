"""Saving, keeping, verifying and restoring real states (R4, R5, R11-R14)."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from signllm_jax import checkpoint, errors, manifest

pytestmark = pytest.mark.filterwarnings("error")


def make_state(seed: int, width: int = 4):
  """Parameters, Adam's moments, a typed key, bfloat16, bool and a scalar."""
  params = nnx.state(nnx.Linear(3, width, rngs=nnx.Rngs(seed)), nnx.Param)
  return {
    "step": jnp.int32(seed),
    "params": params,
    "opt": optax.adam(1e-3).init(params),
    "key": jax.random.key(seed),
    "half": jnp.linspace(-1, 1, 5, dtype=jnp.bfloat16) * seed,
    "seen": jnp.arange(7) % 2 == seed % 2,
  }


def abstract_of(state):
  return jax.tree.map(
    lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=x.sharding), state
  )


ABSTRACT = abstract_of(make_state(0))


def raw(leaf):
  if jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key):
    leaf = jax.random.key_data(leaf)
  return np.asarray(leaf)


def assert_same(a, b):
  assert jax.tree.structure(a) == jax.tree.structure(b)
  for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
    assert x.dtype == y.dtype and x.shape == y.shape
    assert raw(x).tobytes() == raw(y).tobytes()


def fill(folder, steps, keep=2, scores=None):
  with checkpoint.Checkpoints(folder, keep=keep) as kept:
    for step in steps:
      score = (scores or {}).get(step)
      kept.save(step, make_state(step), score=score)


def test_restored_bit_for_bit(tmp_path):
  folder = tmp_path / "Zeichen öç 手" / "checkpoints"
  state = make_state(5)
  with checkpoint.Checkpoints(folder, keep=1) as kept:
    assert kept.restore(ABSTRACT) is None
    kept.save(5, state)
  with checkpoint.Checkpoints(folder, keep=1) as kept:
    step, restored = kept.restore(ABSTRACT)
  assert step == 5
  assert_same(restored, state)
  assert jax.random.uniform(restored["key"]) == jax.random.uniform(state["key"])
  written = json.loads((folder / "5" / "manifest.json").read_text())
  assert written["digest"] == checkpoint.digest(state)
  assert written["step"] == 5 and written["version"] == manifest.VERSION


def test_digest_tells_path_dtype_shape_and_bytes():
  a = jnp.arange(6, dtype=jnp.int32)
  states = [
    {"a": a},
    {"b": a},
    {"a": a.astype(jnp.uint32)},
    {"a": a.reshape(2, 3)},
    {"a": a.at[5].set(4)},
    {"a": jax.random.key(1)},
    {"a": jax.random.key_data(jax.random.key(1))},
  ]
  assert len({checkpoint.digest(state) for state in states}) == len(states)
  assert checkpoint.digest({"b": a, "a": a}) == checkpoint.digest(
    {"a": a + 0, "b": a}
  )


def test_state_may_be_donated_at_once(tmp_path):
  step = jax.jit(
    lambda x: jax.tree.map(lambda leaf: leaf * 0 - 1, x), donate_argnums=0
  )
  state = {"a": jnp.arange(1_000_000.0), "b": jnp.arange(77)}
  want = {name: np.array(leaf) for name, leaf in state.items()}
  with checkpoint.Checkpoints(tmp_path / "c", keep=1) as kept:
    kept.save(1, state)
    abstract = abstract_of(state)
    for _ in range(5):
      state = step(state)
    jax.block_until_ready(state)
    kept.wait()
    _, restored = kept.restore(abstract)
  for name, leaf in restored.items():
    np.testing.assert_array_equal(leaf, want[name])


def test_latest_and_best_are_kept(tmp_path):
  scores = {2: 0.5, 3: 0.2, 4: 0.3, 6: 0.2}
  fill(tmp_path / "c", range(1, 8), keep=2, scores=scores)
  with checkpoint.Checkpoints(tmp_path / "c", keep=2) as kept:
    assert kept.steps() == [3, 6, 7]
    assert kept.best() == 3  # the first of equals
    assert kept.scores == {3: 0.2, 6: 0.2}
    kept.save(7, make_state(99))  # there already: left alone
    kept.save(8, make_state(8))
    kept.wait()
    assert kept.steps() == [3, 7, 8]
    assert_same(kept.restore(ABSTRACT, best=True)[1], make_state(3))
    kept.save(9, make_state(9), score=0.1)
    kept.wait()
    assert kept.steps() == [8, 9] and kept.best() == 9
  assert sorted(os.listdir(tmp_path / "c")) == ["8", "9"]
  with pytest.raises(errors.NonFiniteError, match="step 10"):
    fill(tmp_path / "c", [10], scores={10: float("nan")})
