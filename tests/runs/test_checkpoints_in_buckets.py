"""Checkpoints in a bucket: R4, R5, R11, R12, R15 there."""

import os
import random

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server
from helpers.checkpoint_states import (
  ABSTRACT,
  assert_same,
  fill,
  make_state,
  run,
)

from signllm_jax.core import errors, paths
from signllm_jax.runs import checkpointer


def steps_of(folder):
  with checkpointer.Checkpoints(folder, keep=None) as kept:
    return kept.steps()


def test_saved_kept_and_replaced_as_on_the_disk(bucket, tmp_path):
  """R6: and equal to the disk's, byte for byte."""
  folder = f"{bucket.url}/run/checkpoints"
  scores = {2: 0.5, 3: 0.2, 4: 0.3, 6: 0.2}
  fill(folder, range(1, 8), keep=2, scores=scores)
  fill(tmp_path / "c", range(1, 8), keep=2, scores=scores)
  with (
    checkpointer.Checkpoints(folder, keep=2) as kept,
    checkpointer.Checkpoints(tmp_path / "c", keep=None) as local,
  ):
    assert kept.steps() == local.steps() == [3, 6, 7]
    assert kept.scores == local.scores and kept.best() == 3
    for step in kept.steps():
      ours, theirs = kept.verify(step), local.verify(step)
      assert ours["digest"] == theirs["digest"]
      assert ours["leaves"] == theirs["leaves"]
    for each in (kept, local):  # the earliest of equals, as `best` says
      step, state = each.restore(ABSTRACT, best=True)
      assert step == each.best() == 3
      assert_same(state, make_state(3))
    kept.save(7, make_state(8), score=0.1)  # replaces one without a score
    kept.save(7, make_state(9))  # there already
    kept.wait()
    step, state = kept.restore(ABSTRACT)
  assert step == 7
  assert_same(state, make_state(8))
  # A copy on the disk is a work directory as well.
  for name in bucket.names():
    copy = tmp_path / "copy" / name
    copy.parent.mkdir(parents=True, exist_ok=True)
    copy.write_bytes(bucket.content(name))
  copied = tmp_path / "copy" / "run" / "checkpoints"
  with checkpointer.Checkpoints(copied, keep=1) as kept:
    assert_same(kept.restore(ABSTRACT)[1], make_state(8))


def damage(url, seed):
  """Flips, cuts, removes or adds an object of step 2; returns its name."""
  rng = random.Random(seed)
  step = paths.resolve(url, "2")
  entries = [e for e in step.files() if e.size]
  kind = ("flip", "cut", "remove", "add", "number")[seed % 5]
  files = [e for e in entries if e.name != "manifest.json" or kind == "flip"]
  path = step / rng.choice(files).name
  content = bytearray(path.read_bytes())
  if kind == "flip":
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    path.write_bytes(bytes(content))
  elif kind == "cut":
    path.write_bytes(bytes(content[: rng.randrange(len(content))]))
  elif kind == "remove":
    path.unlink()
  elif kind == "add":
    path = path.with_name("extra")
    path.write_bytes(b"x")
  else:
    other = paths.resolve(url, "1", "manifest.json")
    other.copy_to(path := step / "manifest.json")
  return path.name


def check_damage(bucket, good, seeds):
  for seed in seeds:
    bucket.storage.wipe(keep_buckets=True)
    bucket.upload(good, "run")
    url = f"{bucket.url}/run/checkpoints"
    name = damage(url, seed)
    with checkpointer.Checkpoints(url, keep=2) as kept:
      step, state = kept.restore(ABSTRACT)
      assert step == 1, (seed, name)
      assert_same(state, make_state(1))
      assert kept.steps() == [1]
    assert bucket.names("run/quarantine/2-20")


@pytest.fixture
def good(bucket, tmp_path):
  """The objects of two steps, as files."""
  fill(f"{bucket.url}/run/checkpoints", [1, 2])
  for name in bucket.names("run/"):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bucket.content(name))
  return tmp_path / "run"


def test_damaged_objects_are_found(bucket, good, capfd):
  """R11: and copied aside; the step before is restored."""
  check_damage(bucket, good, range(5))
  assert capfd.readouterr().err.count("DAMAGED CHECKPOINT gs://") == 5


@pytest.mark.slow
def test_sixty_damaged_objects_are_found(bucket, good):
  check_damage(bucket, good, range(100, 160))


def test_a_reader_changes_nothing(bucket, good):
  url = f"{bucket.url}/run/checkpoints"
  paths.resolve(url, "2", "save-0123456789ab", "left").write_bytes(b"x")
  paths.resolve(url, "3", "save-0123456789ab", "left").write_bytes(b"x")
  before = bucket.names()
  with checkpointer.Checkpoints(url, keep=None) as kept:
    assert kept.restore(ABSTRACT)[0] == 2
  assert bucket.names() == before
  with checkpointer.Checkpoints(url, keep=2) as kept:
    assert kept.restore(ABSTRACT)[0] == 2
  assert not [name for name in bucket.names() if name.endswith("left")]


SAVES = """
import sys, jax.numpy as jnp
from signllm_jax.runs import checkpointer
with checkpointer.Checkpoints(sys.argv[1], keep=1) as kept:
  for step in range(1, 5):
    kept.save(step, {"a": jnp.arange(100.0) * step})
  kept.save(4, {"a": jnp.arange(100.0) * 4}, score=0.5)
"""
SMALL = {"a": jax.ShapeDtypeStruct((100,), jnp.float32)}


def check_crash(bucket, point):
  """After a crash a step that was saved, and the next save goes on."""
  folder = f"{bucket.url}/{point.replace(':', '-')}/checkpoints"
  done = run(SAVES, folder, SIGNLLM_CRASH_AT=point, **bucket.environment)
  assert done.returncode == 137, done.stderr
  with checkpointer.Checkpoints(folder, keep=1) as kept:
    restored = kept.restore(SMALL)
    if restored is not None:
      np.testing.assert_array_equal(
        restored[1]["a"], np.arange(100.0) * restored[0]
      )
    kept.save(9, {"a": jnp.arange(100.0)})
    kept.wait()
    assert kept.steps() in ([9], [4, 9])  # 4 is the best where it has a score
  left = bucket.names(f"{point.replace(':', '-')}/")
  saves = {tuple(name.split("/")[2:4]) for name in left}
  assert not [name for name in left if "quarantine" in name]
  committed = {step for step, name in saves if name == "manifest.json"}
  assert len(saves) == 2 * len(committed), left  # one save each, whole
  return restored[0] if restored else None


@pytest.mark.parametrize(
  ("point", "step"), [("objects_uploaded:2", 1), ("step_published:5", 4)]
)
def test_crash_in_a_save(bucket, point, step):
  """R5: the step before or the new one."""
  assert check_crash(bucket, point) == step


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 2, 5])
@pytest.mark.parametrize(
  ("point", "committed"),
  [
    ("save_started", False),
    ("arrays_committed", False),
    ("manifest_half_written", False),
    ("manifest_written", False),
    ("objects_uploaded", False),
    ("step_published", True),
  ],
)
def test_crash_at_every_point(bucket, point, committed, n):
  """R5: n = 5 is the replacement of step 4."""
  expected = min(n, 4) if committed or n == 5 else n - 1
  assert check_crash(bucket, f"{point}:{n}") == (expected or None)


def test_a_bucket_that_refuses_writes_in_a_save(bucket):
  """R12: an error at the next save; older steps whole; goes on later."""
  folder = f"{bucket.url}/c"
  fill(folder, [1])
  with (
    pytest.raises(errors.StorageError, match="Forbidden"),
    checkpointer.Checkpoints(folder, keep=2) as kept,
  ):
    bucket.writes_left = 1
    kept.save(2, make_state(2))
    kept.wait()
  bucket.writes_left = None
  assert steps_of(folder) == [1]
  fill(folder, [2])
  with checkpointer.Checkpoints(folder, keep=2) as kept:
    assert_same(kept.restore(ABSTRACT)[1], make_state(2))
    assert kept.steps() == [1, 2]


def test_lists_that_lag(bucket):
  """What a list still shows is asked for; what it lacks is not deleted."""
  folder = f"{bucket.url}/c"
  fill(folder, [1])
  with bucket.lists_lag():
    fill(folder, [2], keep=1)
    assert steps_of(folder) == [1]
  with bucket.lists_lag():
    fill(folder, [3], keep=1)  # takes 2 for the newest and deletes 1
    assert steps_of(folder) == [2]
  with checkpointer.Checkpoints(folder, keep=1) as kept:
    step, state = kept.restore(ABSTRACT)
  assert step == 3
  assert_same(state, make_state(3))


def test_a_bucket_without_an_answer_damages_nothing(bucket, monkeypatch):
  folder = f"{bucket.url}/c"
  fill(folder, [1])
  before = bucket.names()

  def fail(path, target):
    raise OSError("no route")

  monkeypatch.setattr("signllm_jax.core.buckets.BucketPath.download", fail)
  with (
    checkpointer.Checkpoints(folder, keep=2) as kept,
    pytest.raises(errors.StorageError, match="no route"),
  ):
    kept.restore(ABSTRACT)
  assert bucket.names() == before


def test_nothing_stays_on_this_machine(bucket):
  fill(f"{bucket.url}/c", [1, 2])
  before = set(os.listdir(paths.scratch()))
  with checkpointer.Checkpoints(f"{bucket.url}/c", keep=2) as kept:
    kept.restore(ABSTRACT)
    kept.verify(1)
    kept.save(3, make_state(3))
  assert set(os.listdir(paths.scratch())) <= before
