"""States to save in tests of checkpoints."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import nnx
from helpers.paths import ROOT

from signllm_jax.runs import checkpointer


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
  with checkpointer.Checkpoints(folder, keep=keep) as kept:
    for step in steps:
      score = (scores or {}).get(step)
      kept.save(step, make_state(step), score=score)


def run(code, *args, **environment):
  """Python code in a process of its own."""
  return subprocess.run(
    [sys.executable, "-c", code, *map(os.fspath, args)],
    env=os.environ | environment,
    cwd=ROOT,
    capture_output=True,
    text=True,
    timeout=300,
  )
