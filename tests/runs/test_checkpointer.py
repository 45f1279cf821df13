"""Saving, keeping and restoring real states; R8 and R29."""

import json
import os

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.checkpoint_states import (
  ABSTRACT,
  abstract_of,
  assert_same,
  fill,
  make_state,
  run,
)

from signllm_jax.core import errors
from signllm_jax.runs import checkpoint_manifest, checkpointer, host_copy


def test_restored_bit_for_bit(tmp_path):
  folder = tmp_path / "Zeichen öç 手" / "checkpoints"
  state = make_state(5)
  with checkpointer.Checkpoints(folder, keep=1) as kept:
    assert kept.restore(ABSTRACT) is None
    kept.save(5, state)
  with checkpointer.Checkpoints(folder, keep=1) as kept:
    step, restored = kept.restore(ABSTRACT)
  assert step == 5
  assert_same(restored, state)
  assert jax.random.uniform(restored["key"]) == jax.random.uniform(state["key"])
  written = json.loads((folder / "5" / "manifest.json").read_text())
  assert written["digest"] == host_copy.digest(state)
  assert written["step"] == 5
  assert written["version"] == 1  # also readable by earlier versions


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
  assert len({host_copy.digest(state) for state in states}) == len(states)
  assert host_copy.digest({"b": a, "a": a}) == host_copy.digest(
    {"a": a + 0, "b": a}
  )


def test_state_may_be_donated_at_once(tmp_path):
  step = jax.jit(
    lambda x: jax.tree.map(lambda leaf: leaf * 0 - 1, x), donate_argnums=0
  )
  state = {"a": jnp.arange(1_000_000.0), "b": jnp.arange(77)}
  want = {name: np.array(leaf) for name, leaf in state.items()}
  with checkpointer.Checkpoints(tmp_path / "c", keep=1) as kept:
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
  with checkpointer.Checkpoints(tmp_path / "c", keep=2) as kept:
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


def test_a_step_without_a_score_is_replaced_by_its_score(tmp_path):
  """R6: a stop inside an evaluation saved the step before its score."""
  folder = tmp_path / "c"
  fill(folder, [1, 2], keep=2, scores={1: 0.5})
  with checkpointer.Checkpoints(folder, keep=2) as kept:
    kept.save(2, make_state(7), score=0.25)
    kept.wait()
    assert kept.best() == 2 and kept.scores == {1: 0.5, 2: 0.25}
    assert_same(kept.restore(ABSTRACT)[1], make_state(7))
    kept.save(2, make_state(8), score=0.1)  # it has one: left alone
    kept.save(2, make_state(8))
    kept.wait()
    assert kept.scores == {1: 0.5, 2: 0.25}
    assert_same(kept.restore(ABSTRACT)[1], make_state(7))
  assert sorted(os.listdir(folder)) == ["1", "2"]


def test_reader_changes_nothing(tmp_path, capfd):
  folder = tmp_path / "c"
  with checkpointer.Checkpoints(folder, keep=None) as kept:
    assert kept.restore(ABSTRACT) is None
  assert not folder.exists()
  fill(folder, [1, 2])
  (folder / "3.saving").mkdir()
  os.unlink(folder / "2" / "manifest.json")
  with checkpointer.Checkpoints(folder, keep=None) as kept:
    assert kept.restore(ABSTRACT)[0] == 1
  assert sorted(os.listdir(folder)) == ["1", "2", "3.saving"]
  assert os.listdir(tmp_path) == ["c"]
  assert "DAMAGED" in capfd.readouterr().err


def test_leftovers_are_removed(tmp_path):
  folder = tmp_path / "c"
  fill(folder, [1])
  for name in ("2.saving", "2.saving.orbax-checkpoint-tmp", "1.deleting"):
    (folder / name / "d").mkdir(parents=True)
  (folder / "notes").mkdir()
  with checkpointer.Checkpoints(folder, keep=2) as kept:
    assert kept.restore(ABSTRACT)[0] == 1
  assert sorted(os.listdir(folder)) == ["1", "notes"]


def test_other_configuration_is_refused(tmp_path):
  """R29: names the leaves, sets nothing aside."""
  folder = tmp_path / "c"
  fill(folder, [1])
  with checkpointer.Checkpoints(folder, keep=2) as kept:
    other = abstract_of(make_state(0, width=6))
    with pytest.raises(errors.UsageError) as refused:
      kept.restore(other)
    assert "kernel" in str(refused.value)
    assert "found float32[3,4], expected float32[3,6]" in str(refused.value)
    fewer = {k: v for k, v in ABSTRACT.items() if k != "half"}
    with pytest.raises(errors.UsageError, match=r"bfloat16.5., expected none"):
      kept.restore(fewer)
    key = ABSTRACT | {
      "key": jax.eval_shape(lambda: jax.random.key(0, impl="rbg"))
    }
    with pytest.raises(errors.UsageError, match="key<rbg>"):
      kept.restore(key)
    assert kept.restore(ABSTRACT)[0] == 1
  assert os.listdir(tmp_path) == ["c"]


def test_newer_version_is_refused(tmp_path):
  folder = tmp_path / "c"
  fill(folder, [1])
  file = folder / "1" / "manifest.json"
  written = json.loads(file.read_text())
  file.write_text(
    json.dumps(written | {"version": checkpoint_manifest.VERSION + 1})
  )
  with (
    checkpointer.Checkpoints(folder, keep=2) as kept,
    pytest.raises(errors.DataError, match="format version 3; expected at most"),
  ):
    kept.restore(ABSTRACT)
  assert os.listdir(tmp_path) == ["c"]


SHARDED = """
import sys, jax, jax.numpy as jnp
jax.config.update("jax_num_cpu_devices", 8)
from jax.sharding import NamedSharding, PartitionSpec as P
from signllm_jax.runs import checkpointer, host_copy
mesh = jax.make_mesh((4, 2), ("data", "tensor"))
specs = {"a": P("data", "tensor"), "b": P(), "key": P()}
state = {
  "a": jnp.arange(64.0).reshape(8, 8) / 7, "b": jnp.int32(3),
  "key": jax.random.key(2),
}
put = {k: NamedSharding(mesh, s) for k, s in specs.items()}
abstract = {
  k: jax.ShapeDtypeStruct(v.shape, v.dtype, sharding=put[k])
  for k, v in state.items()
}
with checkpointer.Checkpoints(sys.argv[1], keep=2) as kept:
  step, state = kept.restore(abstract)
for k, leaf in state.items():
  assert leaf.sharding == put[k] and len(leaf.sharding.device_set) == 8, leaf
with checkpointer.Checkpoints(sys.argv[2], keep=2) as kept:
  kept.save(2, state)
print(host_copy.digest(state))
"""


def test_restored_on_another_number_of_devices(tmp_path):
  """R8: from one device to eight, and back."""
  state = {
    "a": jnp.arange(64.0).reshape(8, 8) / 7,
    "b": jnp.int32(3),
    "key": jax.random.key(2),
  }
  with checkpointer.Checkpoints(tmp_path / "one", keep=2) as kept:
    kept.save(1, state)
  eight = run(SHARDED, tmp_path / "one", tmp_path / "eight")
  assert eight.stdout.strip() == host_copy.digest(state), eight.stderr
  with checkpointer.Checkpoints(tmp_path / "eight", keep=2) as kept:
    assert_same(kept.restore(abstract_of(state))[1], state)
