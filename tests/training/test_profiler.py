"""Traces of a range of steps."""

import pytest
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server

from signllm_jax.core import errors, paths
from signllm_jax.training import profiler


@pytest.mark.parametrize("fails", [False, True])
def test_a_trace_of_a_bucket_leaves_nothing_here(bucket, monkeypatch, fails):
  before = set(paths.scratch().iterdir())
  if fails:

    def refuse(source, target):
      raise errors.StorageError("cannot be written", path=target)

    monkeypatch.setattr(profiler, "_upload", refuse)
  told: list[str] = []
  folder = paths.resolve(bucket.url, "run", "profile")
  trace = profiler.Profiler(folder, profiler.StepRange(3, 4), told.append)
  try:
    with trace as profile, profile.step(3):
      pass
  except errors.StorageError as error:
    assert fails and "cannot be written" in str(error)
  else:
    assert told == [f"profile of steps 3 to 3: {folder}"]
    assert any(entry.size for entry in folder.files())
  assert set(paths.scratch().iterdir()) == before
