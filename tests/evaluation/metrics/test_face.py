"""Metrics of faces: mouth, brows and eyes apart, and their Frechet distance."""

import dataclasses

import numpy as np
import pytest
from helpers.paths import DATA

from signllm_jax.core import clips
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178, PROMPT2SIGN50
from signllm_jax.evaluation.metrics import catalogue, frechet
from signllm_jax.formats import dwpose

REAL = DATA / "prompt2sign_2025/dwpose/human_signer_480/json"
FEATURES = ("mouth", "brows", "eyes")


@pytest.fixture(scope="module")
def clip() -> clips.Clip:
  if not REAL.exists():
    pytest.skip("no such real data")
  return clips.canonical(dwpose.read(REAL, skeleton=DWPOSE128).as_clip())


def _moved(clip: clips.Clip, joints: tuple[int, ...], by: float) -> clips.Clip:
  frames = clip.frames.copy()
  frames[:, list(joints), 1] += by
  frames[~clip.valid] = 0
  return dataclasses.replace(clip, frames=frames)


def _score(key: str, made: clips.Clip, true: clips.Clip) -> float:
  (metric,) = (m for m in catalogue.pose_metrics(true.skeleton) if m.key == key)
  return metric.score([made], [true])


@pytest.mark.parametrize("feature", FEATURES)
def test_each_feature_is_scored_by_itself(clip, feature):
  made = _moved(clip, clip.skeleton.feature(feature), 0.01)
  for other in FEATURES:
    score = _score(f"dtw_mje_{other}", made, clip)
    if other == feature:  # frames may align with others: less than the shift
      assert 0.005 < score < 0.011
    else:
      assert score == pytest.approx(0, abs=1e-5)


def test_frechet_of_the_face_sees_expressions_and_not_the_head(clip):
  assert _score("frechet_face", clip, clip) == pytest.approx(0, abs=1e-3)
  nod = _moved(clip, clip.skeleton.face, 0.05)
  assert _score("frechet_face", nod, clip) == pytest.approx(0, abs=1e-2)
  raised = _moved(clip, clip.skeleton.feature("brows"), -0.01)
  assert _score("frechet_face", raised, clip) > 1
  still = clip.frames.copy()
  face = list(clip.skeleton.face)
  still[:, face] = clip.frames[:, face].mean(0)
  still = dataclasses.replace(clip, frames=still)
  assert _score("frechet_face", still, clip) > 1
  # The other distance is of arms and hands.
  assert _score("frechet", raised, clip) == pytest.approx(0, abs=1e-3)


def test_skeletons_without_a_face_have_no_such_metrics():
  keys = [m.key for m in catalogue.pose_metrics(PROMPT2SIGN50)]
  assert not [key for key in keys if "face" in key or "mouth" in key]
  for skeleton in (DWPOSE128, HOLISTIC178):
    keys = {m.key for m in catalogue.pose_metrics(skeleton)}
    assert {"frechet_face", *(f"dtw_mje_{name}" for name in FEATURES)} <= keys
    assert len(frechet._face_joints(skeleton)) <= 28


def test_a_flat_depth_is_no_distance():
  random = np.random.default_rng(0)
  frames = random.normal(0, 0.1, (60, 178, 3)).astype(np.float32)
  frames[..., 2] *= 1e-4
  valid = np.ones((60, 178), bool)
  true = clips.Clip(frames, valid, skeleton=HOLISTIC178)
  noisy = frames + [0, 0, 0.01] * random.normal(size=frames.shape)
  made = dataclasses.replace(true, frames=noisy.astype(np.float32))
  for key in ("frechet", "frechet_face"):
    assert _score(key, made, true) == pytest.approx(0, abs=1e-2)
  deep = frames * np.array([1, 1, 1e4], np.float32)
  true = dataclasses.replace(true, frames=deep)
  made = dataclasses.replace(true, frames=deep * np.float32(0.5))
  for key in ("frechet", "frechet_face"):
    assert _score(key, made, true) > 1
