"""Work directories with odd names: R13."""

import contextlib
import os
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from signllm_jax import config as config_lib
from signllm_jax.core import errors
from signllm_jax.runs import checkpointer, literal_paths, workdir

ABSTRACT = {"a": jax.ShapeDtypeStruct((64,), jnp.float32)}


def _open_files() -> set[str]:
  """Paths of the descriptors of this process."""
  found = set()
  for name in os.listdir("/proc/self/fd"):
    with contextlib.suppress(FileNotFoundError):
      found.add(os.readlink(f"/proc/self/fd/{name}"))
  return found


@pytest.mark.parametrize(
  "name",
  ["run[1]", "[a-z]", "a*b", "wh?", "back\\slash", "a\\[1]\\", "{1}, %2"],
)
def test_what_is_saved_is_restored(tmp_path, name):
  """R13: the work directory works, and no other folder is touched."""
  # Folders that the name would mean if it were a pattern or had a slash.
  for other in ("run1", "a", "axb", "why", "back/slash", "a/[1]"):
    (tmp_path / "runs" / other / "checkpoints").mkdir(parents=True)
  before = sorted(os.walk(tmp_path / "runs"))
  work_path = tmp_path / "runs" / name
  with (
    workdir.open_workdir(work_path, config_lib.Experiment()) as work,
    checkpointer.Checkpoints(work.checkpoints, keep=1) as kept,
  ):
    for step in (3, 4):
      kept.save(step, {"a": jnp.arange(64.0) * step + len(name)})
  with checkpointer.Checkpoints(work_path / "checkpoints", keep=None) as kept:
    step, state = kept.restore(ABSTRACT)
  assert os.fspath(work_path / "checkpoints") not in _open_files()
  assert step == 4
  np.testing.assert_array_equal(state["a"], np.arange(64) * 4 + len(name))
  assert os.listdir(work_path / "checkpoints") == ["4"]
  os.rename(work_path, tmp_path / "moved")
  assert sorted(os.walk(tmp_path / "runs")) == before


def test_a_name_that_is_not_utf_8_is_refused_at_once(tmp_path):
  """R13: the error comes before anything is made."""
  path = os.path.join(tmp_path, os.fsdecode(b"run\xff"))
  began = time.monotonic()
  for enter in (
    lambda: workdir.check_workdir(path, config_lib.Experiment()),
    lambda: workdir.open_workdir(path, config_lib.Experiment()).__enter__(),
  ):
    with pytest.raises(errors.UsageError, match=r"run\\udcff.*must be UTF-8"):
      enter()
  assert time.monotonic() - began < 5
  assert not os.listdir(tmp_path)


def test_a_system_without_descriptors_refuses_such_names(tmp_path, monkeypatch):
  monkeypatch.setattr(literal_paths, "_DESCRIPTORS", "/absent")
  literal_paths.check(tmp_path / "run 1")
  with pytest.raises(errors.UsageError, match=r"has '\['.*Name another"):
    literal_paths.check(tmp_path / "run[1]")
