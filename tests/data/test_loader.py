"""Batches: padding, languages, processes and resuming."""

import dataclasses
import multiprocessing
import os
import signal

import numpy as np
import pytest
from helpers.random_clips import random_clip

from signllm_jax import config
from signllm_jax.core import errors, vocabulary
from signllm_jax.data import corpus_info, datasets, loader
from signllm_jax.data.batch_plan import BatchPlan
from signllm_jax.data.pose_statistics import PoseStatistics


def test_batch_marks_padding_and_missing():
  split = [random_clip("x", 10), random_clip("y", 20, "b c")]
  settings = config.Data(batch_size=4, bucket=32)
  summary = corpus_info.summarise(split, settings)
  plan = BatchPlan(summary.lengths, 4, 32, 0)
  batch = loader.PoseBatches(split, plan, summary.info, settings, 10)[0]
  assert batch["frames"].shape == (4, 32, 150)
  assert sorted(batch["length"].tolist()) == [0, 0, 10, 20]
  row = int(np.argmax(batch["length"] == 10))
  assert not batch["valid"][row, 10:].any()
  assert not batch["valid"][row, :10, 8:29].any()
  assert batch["valid"][row, :10, 29:].all()
  assert batch["source"][row, 2] == vocabulary.EOS


def test_languages_that_share_a_model_are_normalised_each_by_its_own():
  large = [random_clip("x", 10, "b"), random_clip("y", 20, "a")]
  small = [
    dataclasses.replace(clip, frames=0.1 * clip.frames + 1, gloss="A")
    for clip in large[:1]
  ]
  large = [dataclasses.replace(clip, gloss="B") for clip in large]
  joined = datasets.MultilingualClips([("ASL", large), ("GSL", small)])
  settings = config.Data(batch_size=4, bucket=32, glosses=True)
  summary = corpus_info.summarise(joined, settings)
  for at, split in enumerate((large, small)):
    own = corpus_info.summarise(split, settings)
    np.testing.assert_allclose(summary.mean[at], own.mean, rtol=1e-6)
    np.testing.assert_allclose(summary.scale[at], own.scale, rtol=1e-6)
    np.testing.assert_array_equal(summary.seen[at], own.seen)
  plan = BatchPlan(summary.lengths, 4, 32, 0)
  batch = loader.PoseBatches(joined, plan, summary.info, settings, 10)[0]
  rows = batch["example"][:3]
  assert sorted(rows.tolist()) == [0, 1, 2]
  np.testing.assert_array_equal(batch["language"], [*(rows == 2), 0])
  known = PoseStatistics(summary.mean, summary.scale, summary.seen)
  found = known.for_languages(batch["language"]).normalise(batch["frames"])
  for row, clip in enumerate(rows):
    at = int(clip == 2)
    expected = batch["frames"][row] - summary.mean[at]
    np.testing.assert_allclose(
      found[row], expected / summary.scale[at], rtol=1e-5, atol=1e-6
    )


def test_rows_of_another_process_are_not_read():
  class Watched(list):
    def __getitem__(self, index):
      read.append(index)
      return super().__getitem__(index)

  read: list[int] = []
  listed = [
    dataclasses.replace(random_clip(str(i), 8), gloss="A") for i in range(8)
  ]
  settings = config.Data(batch_size=4, bucket=8, glosses=True)
  summary = corpus_info.summarise(listed, settings)
  plan = BatchPlan(summary.lengths, 4, 8, 0)
  arguments = Watched(listed), plan, summary.info, settings, 10
  whole = loader.PoseBatches(*arguments)[1]
  read.clear()
  fed = np.array([False, True, True, False])
  part = loader.PoseBatches(*arguments, fed)[1]
  assert read == whole["example"][fed].tolist()
  np.testing.assert_array_equal(part["example"], whole["example"])
  for name in set(whole) - {"example"}:
    assert part[name].shape == whole[name].shape
    np.testing.assert_array_equal(part[name][fed], whole[name][fed])
  assert not part["length"][~fed].any()


def test_stream_resumes_exactly():
  split = [random_clip(str(i), 5 + i) for i in range(20)]
  settings = config.Data(batch_size=4, bucket=8, threads=3)
  summary = corpus_info.summarise(split, settings)
  plan = BatchPlan(summary.lengths, 4, 8, 0)
  batches = loader.PoseBatches(split, plan, summary.info, settings, 30)
  straight = list(loader.stream(batches, 0, settings))
  resumed = list(loader.stream(batches, 11, settings))
  assert len(straight) == 30 and len(resumed) == 19
  for a, b in zip(straight[11:], resumed, strict=True):
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])


class _Batches:
  """Numbers as batches; one of them may be damaged."""

  def __init__(self, damaged: int = -1):
    self.damaged = damaged

  def __len__(self):
    return 1000

  def __getitem__(self, index):
    if index == self.damaged:
      raise errors.DataError("damaged", path="shard", line=3, expected="a clip")
    return {"number": np.array([index])}


def test_a_killed_reader_process_is_a_storage_error():
  """R24."""
  settings = config.Data(workers=2)
  batches = loader.stream(_Batches(), 5, settings)
  assert next(batches)["number"] == [5]
  readers = multiprocessing.active_children()
  assert len(readers) == 2
  os.kill(readers[0].pid or 0, signal.SIGKILL)
  with pytest.raises(errors.StorageError, match=r"exit code -9.*workers=0"):
    list(batches)


@pytest.mark.parametrize("workers", [0, 2])
def test_damage_found_by_a_reader_is_told_as_it_is(workers):
  batches = loader.stream(_Batches(9), 0, config.Data(workers=workers))
  with pytest.raises(errors.DataError, match=r"^shard:3: damaged; expected a "):
    list(batches)
