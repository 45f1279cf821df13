"""The audit: productions that cheat in each way are named, honest ones not."""

import dataclasses

import numpy as np
import pytest
from helpers.random_clips import signing

from signllm_jax.core import clips
from signllm_jax.evaluation import audit, evaluate_clips
from signllm_jax.evaluation.metrics import text as text_metrics
from signllm_jax.evaluation.report import bootstrap
from signllm_jax.evaluation.report.findings import CLEAR, FOUND, UNKNOWN


def _named(clip: clips.Clip, name: str, text: str = "") -> clips.Clip:
  return dataclasses.replace(clip, name=name, text=text or name)


def _joined(first: clips.Clip, second: clips.Clip) -> clips.Clip:
  return dataclasses.replace(
    first,
    frames=np.concatenate([first.frames, second.frames]),
    valid=np.concatenate([first.valid, second.valid]),
  )


TRAINING = [_named(signing(s, 20 + s % 7), f"train{s}") for s in range(20, 32)]
TRUE = [_named(signing(s, 30 + 3 * s), f"clip{s}") for s in range(8)]
# Another signing of each text, of its own length.
HONEST = [
  _named(signing(s + 100, 32 + 3 * s + s % 3), f"clip{s}") for s in range(8)
]


def _audit(produced, training=TRAINING) -> dict:
  found = evaluate_clips.evaluate(
    [produced], TRUE, name="made", place="test", training=training, resamples=5
  )
  return {finding.key: finding for finding in found.audit}


def _expect(found: dict, *keys: str) -> None:
  named = {key for key, finding in found.items() if finding.verdict == FOUND}
  assert named == set(keys), {key: found[key].said for key in named}


def _with_length(clip: clips.Clip, frames: int) -> clips.Clip:
  return clips.with_frames(clip, frames)


@pytest.fixture(scope="module", autouse=True)
def _few_metrics():
  """The audit does not depend on the columns; two keep the tests quick."""
  patch = pytest.MonkeyPatch()
  catalogue = evaluate_clips.catalogue
  real = catalogue.pose_metrics
  patch.setattr(catalogue, "pose_metrics", lambda skeleton: real(skeleton)[1:2])
  yield
  patch.undo()


def test_honest_productions_are_clear():
  found = _audit(HONEST)
  _expect(found)
  assert found["lengths"].verdict == found["training"].verdict == CLEAR
  assert found["above_truth"].verdict == UNKNOWN


def test_true_lengths_are_found():
  cheat = [_with_length(a, len(b)) for a, b in zip(HONEST, TRUE, strict=True)]
  found = _audit(cheat)
  _expect(found, "lengths")
  assert found["lengths"].clips == [clip.name for clip in TRUE]


def test_a_model_that_is_given_texts_only_may_know_lengths():
  frames = [len(clip) for clip in TRUE]
  assert audit.lengths(frames, TRUE).verdict == FOUND
  known = audit.lengths(frames, TRUE, texts_only=True)
  assert known.verdict == CLEAR and "texts only" in known.said


def test_equal_true_lengths_show_nothing():
  true = [_with_length(clip, 30) for clip in TRUE]
  found = audit.lengths([30] * 8, true)
  assert found.verdict == UNKNOWN and "hardly differ" in found.said


def test_a_given_first_frame_is_found():
  cheat = []
  for made, true in zip(HONEST, TRUE, strict=True):
    frames = made.frames.copy()
    frames[0] = true.frames[0]
    cheat.append(dataclasses.replace(made, frames=frames))
  _expect(_audit(cheat), "first_frame")


def test_frames_of_the_truth_are_found():
  cheat = [
    dataclasses.replace(c, frames=c.frames[3::2], valid=c.valid[3::2])
    for c in TRUE
  ]
  found = _audit(cheat)
  _expect(found, "truth_frames")
  assert len(found["truth_frames"].clips) == 8


@pytest.mark.parametrize("how", ["exact", "another rate", "noisy"])
def test_poses_copied_from_training_are_found(how):
  """Two training clips joined, as by retrieval, for three of eight texts."""
  random = np.random.default_rng(0)
  cheat = list(HONEST)
  for i in (1, 4, 6):
    copy = _joined(TRAINING[i], TRAINING[i + 2])
    if how == "another rate":
      copy = clips.with_frames(copy, round(1.3 * len(copy)))
    elif how == "noisy":
      noise = random.normal(0, 5e-4, copy.frames.shape)
      copy = dataclasses.replace(
        copy, frames=(copy.frames + noise).astype(np.float32)
      )
    cheat[i] = _named(copy, f"clip{i}")
  found = _audit(cheat)
  _expect(found, "training")
  assert found["training"].clips == ["clip1", "clip4", "clip6"]
  assert "clip4" in found["training"].named


def test_truth_that_shares_frames_with_training_excuses_copies():
  """Words spelt from the same letter recordings are no cheat."""
  found = audit.training_frames(TRUE, TRUE, [*TRAINING, *TRUE])
  assert found.verdict == CLEAR
  assert audit.training_frames(HONEST, TRUE, None).verdict == UNKNOWN


def test_a_row_above_the_truth_is_found():
  exact = next(m for m in text_metrics.TEXT if m.key == "recognised")
  texts = [f"text {i}" for i in range(20)]
  half = [text if i % 2 else "wrong" for i, text in enumerate(texts)]
  rows = {"all": exact.sums(texts, texts), "half": exact.sums(half, texts)}
  weights = bootstrap.resample(20, 100)

  def finding(produced: str, truth: str) -> audit.Finding:
    sums = {
      row: {"recognised": rows[name][None]}
      for row, name in (("produced", produced), ("truth", truth))
    }
    return audit.above_truth([exact], sums, weights)

  assert finding("all", "half").verdict == FOUND
  assert finding("half", "all").verdict == CLEAR
  assert finding("all", "all").verdict == CLEAR
