"""Shardings inside compiled programs."""

from helpers.checkpoint_states import run

LOOKS_UP = """
import sys, jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from signllm_jax import config
from signllm_jax.parallel import sharding
jax.config.update("jax_num_cpu_devices", 8)
mesh = sharding.make_mesh(config.Mesh(data=2, fsdp=2, tensor=2))
table = jnp.arange(24.0 * 16).reshape(24, 16)
ids = jnp.arange(8 * 6).reshape(8, 6) % 24
expected = jax.grad(lambda table: (table[ids] ** 2).sum())(table)
def by_rows(table, ids):
  return jax.lax.with_sharding_constraint(table[ids], P(("data", "fsdp")))
for look_up in (by_rows, sharding.look_up):
  print(look_up.__name__, file=sys.stderr, flush=True)
  placed = jax.jit(
    jax.grad(lambda table, ids: (look_up(table, ids) ** 2).sum()),
    in_shardings=(
      NamedSharding(mesh, P(None, "fsdp")),
      sharding.batch_sharding(mesh, stacked=False),
    ),
  )
  with jax.set_mesh(mesh):
    np.testing.assert_allclose(placed(table, ids), expected, rtol=1e-6)
"""


def test_looking_up_an_embedding_replicates_nothing():
  """XLA's warning would reach the terminal of a user."""
  # A program of the cache would be compiled without the warning.
  done = run(LOOKS_UP, JAX_ENABLE_COMPILATION_CACHE="0")
  assert done.returncode == 0, done.stderr
  plain, ours = done.stderr.split("look_up")
  assert "full rematerialization" in plain
  assert not ours.strip()
