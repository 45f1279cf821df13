"""Clips with their quality, by each policy."""

import pathlib

import numpy as np
import pytest
from helpers.real_data import golden_lift

from data_pipeline.keypoints import clip_source
from data_pipeline.lifting import clip_lifting, lifted_folder, quality
from signllm_jax.core import clips


@pytest.fixture(scope="module")
def seen() -> clips.Keypoints:
  """The first frames of a real clip."""
  frames = golden_lift()[0]["keypoints"][:30].astype(np.float32)
  return clips.Keypoints(frames, 24.0, name="clip", text="text")


def test_a_clip_is_measured_once_by_any_policy(seen, monkeypatch):
  calls = []
  measure = quality.measure

  def count(clip):
    calls.append(clip.name)
    return measure(clip)

  monkeypatch.setattr(quality, "measure", count)
  source = clip_source.Source("clip", "openpose", pathlib.Path("clip"))
  results = []
  for policy in ("keep", "trim", "drop"):
    options = lifted_folder.Options(policy=policy)
    results += clip_lifting.lift([(source, seen)], options)
  assert calls == ["clip"] * 3
  assert len({repr(each.measured) for each in results}) == 1
  assert results[0].measured.objective and results[0].measured.bone_ratios
  for each in results:
    np.testing.assert_array_equal(each.clip.frames, results[0].clip.frames)


def test_a_dropped_clip_has_the_quality_it_was_dropped_for(seen):
  frames = seen.frames.copy()
  frames[:20] = 0
  hidden = clips.Keypoints(frames, 24.0, name="clip", text="text")
  source = clip_source.Source("clip", "openpose", pathlib.Path("clip"))
  options = lifted_folder.Options(policy="drop")
  (result,) = clip_lifting.lift([(source, hidden)], options)
  assert result.clip is None and result.fault is None
  assert "pruned" in quality.faults(result.measured)
