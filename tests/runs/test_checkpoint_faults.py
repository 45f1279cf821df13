"""Damage, crashes, full and stalled disks: R4, R5, R11, R12, R14."""

import json
import os
import random
import shutil
import subprocess
import sys
import threading
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tensorstore
from helpers.checkpoint_states import (
  ABSTRACT,
  abstract_of,
  assert_same,
  fill,
  make_state,
  run,
)

from signllm_jax.core import errors
from signllm_jax.runs import (
  checkpoint_manifest,
  checkpointer,
  step_folders,
)


def flip(path, seed):
  content = bytearray(path.read_bytes())
  place = random.Random(seed).randrange(len(content) * 8)
  content[place // 8] ^= 1 << place % 8
  path.write_bytes(content)


def damage(step, seed):
  """Flips a bit, truncates, removes or adds; returns the file's name."""
  rng = random.Random(seed)
  files = sorted(p for p in step.rglob("*") if p.is_file())
  kind = ("flip", "truncate", "remove", "flip", "add", "link")[seed % 6]
  path = rng.choice([p for p in files if p.stat().st_size or kind != "flip"])
  if kind == "flip":
    flip(path, seed)
  elif kind == "truncate" and path.stat().st_size:
    os.truncate(path, rng.randrange(path.stat().st_size))
  elif kind == "link":
    path.rename(step.parent.parent / f"moved-{seed}")
    path.symlink_to(step.parent.parent / f"moved-{seed}")
  elif kind == "add":
    path = path.with_name("extra")
    path.write_bytes(b"x")
  else:
    path.unlink()
  return path.name


@pytest.mark.parametrize("first", [0, 100])
def test_damage_is_found_and_the_step_before_taken(tmp_path, capfd, first):
  """R11: flips, truncations, removals, additions in any file."""
  good = tmp_path / "good"
  fill(good, [1, 2])
  for seed in range(first, first + 24):
    folder = tmp_path / f"run{seed}" / "c"
    shutil.copytree(good, folder)
    name = damage(folder / "2", seed)
    with checkpointer.Checkpoints(folder, keep=2) as kept:
      step, state = kept.restore(ABSTRACT)
    assert step == 1, (seed, name)
    assert_same(state, make_state(1))
    said = capfd.readouterr().err
    assert "DAMAGED CHECKPOINT" in said and name in said, (seed, said)
    assert os.listdir(folder) == ["1"]
    aside = os.listdir(folder.parent / "quarantine")
    assert len(aside) == 1 and aside[0].startswith("2-20")


def _declare(step, change):
  """Changes what an array says of itself, under a manifest that agrees."""
  base = {"driver": "file", "path": f"{step}/state/"}
  store = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
  key = next(key for key in store.list().result() if b"zarr.json" in key)
  description = json.loads(store.read(key).result().value)
  change(description)
  store.write(key, json.dumps(description).encode()).result()
  fields = checkpoint_manifest.read(step)
  (step / checkpoint_manifest.NAME).unlink()
  kept = {name: fields[name] for name in ("step", "score", "leaves", "digest")}
  checkpoint_manifest.write(step, kept)


def _in_grid(chunk):
  def change(description):
    description["chunk_grid"]["configuration"]["chunk_shape"] = chunk

  return change


def _in_shard(chunk):
  def change(description):
    codec = description["codecs"][0]
    assert codec["name"] == "sharding_indexed"
    codec["configuration"]["chunk_shape"] = chunk

  return change


def _in_shape(shape):
  return lambda description: description.update(shape=shape)


@pytest.mark.parametrize(
  "change, said",
  [
    (_in_grid([1 << 29]), "chunks of [[536870912]"),
    (_in_shard([1 << 33]), "8589934592"),
    (_in_shape([1 << 40]), "shape [1099511627776]"),
    (lambda description: description.pop("codecs"), "cannot be read"),
  ],
)
def test_arrays_that_declare_too_much(tmp_path, capfd, change, said):
  """R11: memory is not taken for what a chunk declares."""
  folder = tmp_path / "c"
  fill(folder, [1, 2])
  _declare(folder / "2", change)
  with checkpointer.Checkpoints(folder, keep=2) as kept:
    step, state = kept.restore(ABSTRACT)
  assert step == 1
  assert_same(state, make_state(1))
  shown = capfd.readouterr().err
  assert "DAMAGED CHECKPOINT" in shown and said in shown, shown


@pytest.mark.parametrize("best", [False, True])
def test_a_step_under_another_number_is_found(tmp_path, capfd, best):
  """R11: whole steps, put back under the numbers of each other."""
  folder = tmp_path / "c"
  fill(folder, [1, 2, 3], keep=3, scores={1: 0.3, 2: 0.2, 3: 0.1})
  (folder / "3").rename(folder / "other")
  (folder / "2").rename(folder / "3")
  (folder / "other").rename(folder / "2")
  with checkpointer.Checkpoints(folder, keep=3) as kept:
    assert kept.scores == {1: 0.3} and kept.best() == 1
    step, state = kept.restore(ABSTRACT, best=best)
    assert step == 1 and kept.steps() == ([1, 2, 3] if best else [1])
  assert_same(state, make_state(1))
  said = capfd.readouterr().err
  assert best or said.count("DAMAGED CHECKPOINT") == 2
  assert best or "found step 2, expected 3 as its folder" in said


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("step", "2"),
    ("step", True),
    ("score", float("nan")),
    ("score", "low"),
    ("leaves", []),
    ("files", {"state": 1}),
    ("digest", None),
  ],
)
def test_a_manifest_with_other_fields_is_damaged(tmp_path, field, value, capfd):
  """R11: also with a seal that fits."""
  folder = tmp_path / "c"
  fill(folder, [1, 2])
  manifest = checkpoint_manifest.read(folder / "2") | {field: value}
  text = checkpoint_manifest._render(manifest)
  (folder / "2" / "manifest.json").write_text(text)
  with checkpointer.Checkpoints(folder, keep=2) as kept:
    assert kept.restore(ABSTRACT)[0] == 1
  assert "manifest.json: " in capfd.readouterr().err


def test_pipes_in_a_step_do_not_block(tmp_path, capfd):
  """R11: in the place of its manifest and of an array's file."""
  folder = tmp_path / "c"
  fill(folder, [1, 2, 3], keep=3)
  replaced = folder / "3" / "manifest.json", next(folder.glob("2/state/d/*"))
  for path in replaced:
    path.unlink()
    os.mkfifo(path)
  with checkpointer.Checkpoints(folder, keep=3) as kept:
    assert kept.restore(ABSTRACT)[0] == 1
  said = capfd.readouterr().err
  assert said.count("expected a regular file") == 2


def test_all_bad_is_an_error_also_the_next_time(tmp_path):
  folder = tmp_path / "c"
  fill(folder, [1, 2])
  for step in ("1", "2"):
    flip(max((folder / step / "state" / "d").iterdir()), 1)
  for _ in range(2):
    with (
      checkpointer.Checkpoints(folder, keep=2) as kept,
      pytest.raises(errors.StorageError, match="every checkpoint is damaged"),
    ):
      kept.restore(ABSTRACT)
  assert len(os.listdir(tmp_path / "quarantine")) == 2


@pytest.mark.parametrize("seed", range(200, 206))
def test_damage_between_saves(tmp_path, seed, capfd):
  """R11: while a run goes on, its best or its newest checkpoint is damaged.

  Later saves are not disturbed, and the damaged step is never restored.
  """
  folder = tmp_path / "run" / "c"
  with checkpointer.Checkpoints(folder, keep=2) as kept:
    for step, score in ((1, 0.1), (2, 0.3)):
      kept.save(step, make_state(step), score=score)
    kept.wait()
    damage(folder / "1", seed)  # the best
    kept.save(3, make_state(3), score=0.2)
    kept.save(4, make_state(4))
    kept.wait()
    damage(folder / "4", seed + 1)  # the newest
  for best in (False, True):
    with checkpointer.Checkpoints(folder, keep=2) as kept:
      step, state = kept.restore(ABSTRACT, best=best)
    assert step == 3
    assert_same(state, make_state(3))
  assert capfd.readouterr().err.count("DAMAGED CHECKPOINT") in (1, 2)
  assert os.listdir(folder) == ["3"]


def test_best_is_damaged(tmp_path):
  folder = tmp_path / "c"
  fill(folder, range(1, 5), keep=4, scores={1: 0.3, 2: 0.1, 3: 0.2})
  shutil.rmtree(folder / "2" / "state")
  with checkpointer.Checkpoints(folder, keep=4) as kept:
    assert kept.restore(ABSTRACT, best=True)[0] == 3
    assert kept.steps() == [1, 3, 4]


def test_failure_is_raised_at_the_next_save(tmp_path):
  """R14 and the folder gone."""
  folder = tmp_path / "c"
  with pytest.raises(errors.StorageError, match="saving failed"):
    fill(folder, [])
    with checkpointer.Checkpoints(folder, keep=2) as kept:
      kept.save(1, make_state(1))
      kept.wait()
      folder.rename(tmp_path / "gone")
      kept.save(2, make_state(2))
      kept.save(3, make_state(3))
  assert not folder.exists()
  assert os.listdir(tmp_path / "gone") == ["1"]


def test_folder_gone_while_saving(tmp_path, monkeypatch):
  folder = tmp_path / "c"
  digest_of = checkpointer.host_copy.digest_of

  def and_remove(*args):
    folder.rename(tmp_path / "gone")
    return digest_of(*args)

  monkeypatch.setattr(checkpointer.host_copy, "digest_of", and_remove)
  kept = checkpointer.Checkpoints(folder, keep=2)
  kept.save(1, make_state(1))
  with pytest.raises(errors.StorageError, match="saving failed"):
    kept.wait()


def test_stalled_save_ends_at_the_time_limit(tmp_path, monkeypatch):
  """R14: the limit passes; what was the error first stays the error."""
  started, go_on = threading.Event(), threading.Event()
  save = step_folders.ocp.save_async

  class Stalled:
    def __init__(self, *args):
      self.response = save(*args)

    def result(self):
      started.set()
      assert go_on.wait(60)
      self.response.result()

  monkeypatch.setattr(step_folders.ocp, "save_async", Stalled)
  monkeypatch.setattr(checkpointer, "SAVE_TIMEOUT_S", 0.2)
  kept = checkpointer.Checkpoints(tmp_path / "c", keep=2)
  kept.save(1, make_state(1))
  assert started.wait(60)
  with pytest.raises(errors.StorageError, match=r"not done after 0\.2 s"):
    kept.save(2, make_state(2))
  with pytest.raises(KeyError), kept:
    raise KeyError("first")
  threads = [t for t in threading.enumerate() if t.name == "checkpoint"]
  go_on.set()
  for thread in threads:
    thread.join()
  assert kept.steps() == [1]


SAVES = """
import sys, jax.numpy as jnp
from signllm_jax.runs import checkpointer
with checkpointer.Checkpoints(sys.argv[1], keep=1) as kept:
  for step in range(1, 5):
    kept.save(step, {"a": jnp.arange(100.0) * step})
"""


def check_crash(folder, point, n):
  done = run(SAVES, folder, SIGNLLM_CRASH_AT=f"{point}:{n}")
  assert done.returncode == 137, done.stderr
  abstract = {"a": jax.ShapeDtypeStruct((100,), jnp.float32)}
  # old_deleted is reached from step 2 on.
  committed = point in ("step_published", "old_deleted")
  new = n + (point == "old_deleted")
  with checkpointer.Checkpoints(folder, keep=1) as kept:
    restored = kept.restore(abstract)
    if new == 1 and not committed:
      assert restored is None
    else:
      step, state = restored
      assert step == new - (not committed)
      np.testing.assert_array_equal(state["a"], np.arange(100.0) * step)
    kept.save(9, {"a": jnp.arange(100.0)})
    kept.wait()
    assert kept.steps() == [9]
  assert os.listdir(folder) == ["9"]
  assert not (folder.parent / "quarantine").exists()


RESAVES = """
import sys, jax.numpy as jnp
from signllm_jax.runs import checkpointer
with checkpointer.Checkpoints(sys.argv[1], keep=1) as kept:
  kept.save(1, {"a": jnp.arange(100.0)})
  kept.save(1, {"a": jnp.arange(100.0) + 1}, score=0.5)
"""


@pytest.mark.parametrize(
  ("point", "score"),
  [
    ("manifest_written:2", None),
    ("step_set_aside:1", None),
    ("step_published:2", 0.5),
  ],
)
def test_crash_in_a_replacement(tmp_path, point, score):
  """R5: the earlier save of the step or the new one."""
  done = run(RESAVES, tmp_path / "c", SIGNLLM_CRASH_AT=point)
  assert done.returncode == 137, done.stderr
  abstract = {"a": jax.ShapeDtypeStruct((100,), jnp.float32)}
  with checkpointer.Checkpoints(tmp_path / "c", keep=1) as kept:
    step, state = kept.restore(abstract)
    assert step == 1
    assert kept.scores.get(1) == score
    expected = np.arange(100.0) + (score is not None)
    np.testing.assert_array_equal(state["a"], expected)
  assert os.listdir(tmp_path / "c") == ["1"]
  assert not (tmp_path / "quarantine").exists()


POINTS = [
  "save_started",
  "arrays_committed",
  "manifest_half_written",
  "manifest_written",
  "step_published",
  "old_deleted",
]


@pytest.mark.parametrize("point", ["manifest_written", "step_published"])
def test_crash_in_a_save(tmp_path, point):
  """R5: the step before or the new one."""
  check_crash(tmp_path / "c", point, 2)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 3])
@pytest.mark.parametrize("point", POINTS)
def test_crash_at_every_point(tmp_path, point, n):
  check_crash(tmp_path / "c", point, n)


@pytest.mark.slow
def test_killed_at_any_time(tmp_path):
  """R4: what is restored is a step that was saved, whole."""
  rng = random.Random(4)
  code = SAVES.replace("range(1, 5)", "range(kept.steps()[-1] + 1, 10**6)")
  abstract = {"a": jax.ShapeDtypeStruct((100,), jnp.float32)}
  folder = tmp_path / "c"
  with checkpointer.Checkpoints(folder, keep=1) as kept:
    kept.save(1, {"a": jnp.arange(100.0)})
  last = 1
  for _ in range(6):
    with subprocess.Popen([sys.executable, "-c", code, folder]) as process:
      while checkpointer.Checkpoints(folder, keep=None).steps()[-1:] == [last]:
        assert process.poll() is None
        time.sleep(0.05)
      time.sleep(rng.random())
      process.kill()
    with checkpointer.Checkpoints(folder, keep=1) as kept:
      step, state = kept.restore(abstract)
    assert step > last
    np.testing.assert_array_equal(state["a"], np.float32(step) * np.arange(100))
    last = step
  assert not (tmp_path / "quarantine").exists()


def test_disk_full(tmp_path):
  """R12: an error at the next save at the latest, the older step whole."""
  if os.geteuid():
    pytest.skip("only root may mount a small file system")
  disk = tmp_path / "disk"
  disk.mkdir()
  mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]
  mounted = subprocess.run(mount, capture_output=True, text=True)
  if mounted.returncode:
    pytest.skip("cannot mount: " + mounted.stderr)
  noise = np.random.default_rng(0).random((2, 200_000), np.float32)
  small, large = ({"a": jnp.asarray(noise[:n])} for n in (1, 2))
  try:
    kept = checkpointer.Checkpoints(disk / "c", keep=2)
    kept.save(1, small)
    kept.wait()
    kept.save(2, large)
    with pytest.raises(errors.StorageError, match="saving failed"):
      kept.save(3, small)
    assert os.listdir(disk / "c") == ["1"]
    with checkpointer.Checkpoints(disk / "c", keep=2) as kept:
      step, state = kept.restore(abstract_of(small))
      assert step == 1
      assert_same(state, small)
      subprocess.run(["mount", "-o", "remount,size=30m", disk], check=True)
      kept.save(2, large)
      kept.wait()
      assert_same(kept.restore(abstract_of(large))[1], large)
  finally:
    subprocess.run(["umount", disk], check=True)
