"""Shardings inside compiled programs."""

import pytest
from helpers import small_runs
from helpers.checkpoint_states import run

LOOKS_UP = """
import sys, jax, jax.numpy as jnp, numpy as np
from jax.sharding import NamedSharding, PartitionSpec as P
from signllm_jax import config
from signllm_jax.parallel import sharding
jax.config.update("jax_num_cpu_devices", 8)
languages = int(sys.argv[1])
mesh = sharding.make_mesh(
  config.Mesh(data=2 // languages, fsdp=2, tensor=2, language=languages)
)
table = jnp.arange(24.0 * 16 * languages).reshape(languages, 24, 16)
ids = jnp.arange(8 * 6 * languages).reshape(languages, 8, 6) % 24
def by_rows(table, ids):
  states = table[ids]
  if languages > 1:
    states = jax.lax.with_sharding_constraint(states, P("data", None, "fsdp"))
  return jax.lax.with_sharding_constraint(states, P(("data", "fsdp")))
def gradient(look_up):
  apart = jax.vmap(look_up, spmd_axis_name="language")
  if languages == 1:
    apart = lambda table, ids: look_up(table[0], ids[0])
  return jax.grad(lambda table, ids: (apart(table, ids) ** 2).sum())
expected = gradient(lambda table, ids: table[ids])(table, ids)
for look_up in (by_rows, sharding.look_up):
  print(look_up.__name__, file=sys.stderr, flush=True)
  placed = jax.jit(
    gradient(look_up),
    in_shardings=(
      NamedSharding(mesh, P("language", None, "fsdp")),
      sharding.batch_sharding(mesh, stacked=True),
    ),
  )
  with jax.set_mesh(mesh):
    np.testing.assert_allclose(placed(table, ids), expected, rtol=1e-6)
"""

COMPILES = """
import sys, jax, numpy as np
from signllm_jax import config
from signllm_jax.parallel import sharding
from signllm_jax.training import setup
jax.config.update("jax_num_cpu_devices", 8)
task, folder = sys.argv[1:]
experiment = config.Experiment(
  steps=4,
  data=config.Data(folder=folder, batch_size=8, bucket=16),
  model=config.Model(
    encoder_layers=1,
    decoder_layers=1,
    width=64,
    heads=4,
    feed_forward=128,
    alignment=True,
  ),
  mesh=config.Mesh(data=2, fsdp=2, tensor=2),
)
if task == "mlsf":
  experiment.task, experiment.data.language = task, "ASL,GSL"
  experiment.data.folder = f"{folder},{folder}"
  experiment.mesh = config.Mesh(data=1, fsdp=2, tensor=2, language=2)
elif task == "policy_gradient":
  experiment.rl.loss, experiment.rl.reward = task, "mse"
planned = setup.Run(experiment)
with jax.set_mesh(planned.mesh):
  batch = sharding.put_batch(
    planned.batches()[0], planned.mesh, planned.stacked
  )
  planned.make_step().lower(planned.abstract, batch).compile()
print("compiled")
"""


@pytest.mark.parametrize("languages", [1, 2])
def test_looking_up_an_embedding_replicates_nothing(languages):
  """XLA's warning would reach the terminal of a user."""
  # A program of the cache would be compiled without the warning.
  done = run(LOOKS_UP, str(languages), JAX_ENABLE_COMPILATION_CACHE="0")
  assert done.returncode == 0, done.stderr
  plain, ours = done.stderr.split("look_up")
  assert "full rematerialization" in plain
  assert not ours.strip()


@pytest.mark.slow
@pytest.mark.parametrize("task", ["text_to_pose", "policy_gradient", "mlsf"])
def test_steps_replicate_nothing(tmp_path, task):
  """As above, of whole steps over all axes that their task has."""
  folder = tmp_path / "clips"
  for split, numbers in (("train", range(16)), ("dev", range(16, 20))):
    small_runs.write_folder(
      folder, [small_runs.clip(i) for i in numbers], split
    )
  done = run(COMPILES, task, folder, JAX_ENABLE_COMPILATION_CACHE="0")
  assert done.stdout.endswith("compiled\n"), done.stderr
  assert "full rematerialization" not in done.stderr
