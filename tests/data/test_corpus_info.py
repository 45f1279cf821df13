"""Vocabulary, lengths and statistics of a training split."""

import dataclasses

import numpy as np
import pytest
from helpers.random_clips import random_clip

from signllm_jax import config
from signllm_jax.core import clips as clips_lib
from signllm_jax.core import errors, hand_space, vocabulary
from signllm_jax.core.skeleton import SIDES
from signllm_jax.data import corpus_info
from signllm_jax.data.noise_moments import POSITIONS


def test_statistics_count_true_cells_only():
  split = [random_clip("x", 10), random_clip("y", 20)]
  summary = corpus_info.summarise(split, config.Data())
  cells = np.concatenate([c.frames for c in split])
  mean = cells[:, 29:].mean(0).reshape(-1)
  np.testing.assert_allclose(summary.mean[87:], mean, rtol=1e-5)
  np.testing.assert_array_equal(summary.mean[24:87], 0)
  shown = np.concatenate([cells[:, :8], cells[:, 29:]], 1)
  assert summary.scale == pytest.approx(
    np.sqrt(((shown - shown.mean(0)) ** 2).mean()), rel=1e-4
  )
  assert summary.seen.sum() == 29


def test_mixed_frame_rates_are_refused():
  split = [random_clip("x", 10), random_clip("y", 20, fps=30.0)]
  with pytest.raises(errors.DataError, match=r"25\.0, 30\.0"):
    corpus_info.summarise(split, config.Data(folder="somewhere"))


def test_infos_survive_json():
  info = corpus_info.CorpusInfo(
    vocabulary.build_vocabulary(["ä b", "b"], "words"), 3, 9, 12.5
  )
  both = corpus_info.from_json(corpus_info.to_json({"GSL": info, "ASL": info}))
  assert list(both) == ["GSL", "ASL"]
  again = both["ASL"]
  assert again.vocabulary.entries == ("<pad>", "<unk>", "<s>", "</s>", "b", "ä")
  assert (again.longest_source, again.longest_clip, again.fps) == (3, 9, 12.5)
  with pytest.raises(errors.DataError):
    corpus_info.from_json('{"fps": 3}')


def test_bone_lengths_vary_from_clip_to_clip():
  first = random_clip("x", 10)
  valid = first.valid.copy()
  valid[:, [first.skeleton.hand(side) + 4 for side in SIDES]] = False
  first = dataclasses.replace(first, valid=valid)
  second = dataclasses.replace(
    first, name="y", frames=first.frames * np.float32(np.e)
  )
  summary = corpus_info.summarise([first, second], config.Data(), noise=True)
  assert summary.noise is not None
  centre, deviation = summary.noise.log_lengths
  shown = summary.bones > 0
  assert shown.sum() == len(shown) - 1
  np.testing.assert_allclose(deviation[shown], 0.5, rtol=1e-4)
  assert not centre[~shown].any() and not deviation[~shown].any()
  longer = corpus_info.summarise([second], config.Data(), noise=True).noise
  assert longer is not None
  np.testing.assert_allclose(
    longer.log_lengths[0][shown], centre[shown] + 0.5, rtol=1e-4
  )


def test_correlations_are_those_of_vectors_whatever_a_clip_shows():
  random = np.random.default_rng(0)
  clips = [random_clip(str(n), n) for n in range(12, 20)]
  seen = []
  for clip in clips:  # a hand, in some clips, where the wrist is far away
    valid = np.ones_like(clip.valid)
    hand = list(clip.skeleton.parts["left_hand"])
    far = random.random() < 0.5
    valid[:, hand] = far
    frames = random.random(clip.frames.shape).astype(np.float32)
    frames[:, [clip.skeleton.joint("left_wrist"), *hand]] += 5 * far
    seen.append(dataclasses.replace(clip, valid=valid, frames=frames))
  found = corpus_info.summarise(seen, config.Data(), noise=True).noise
  assert found is not None
  values, _ = np.linalg.eigh(found.covariance.astype(np.float64))
  assert values.min() > -1e-5
  # Clips without the hand do not count in its mean and deviation.
  skeleton = clips[0].skeleton
  shown = [clip for clip in seen if clip.valid.all()]
  assert 0 < len(shown) < len(seen)
  own = np.concatenate(
    [hand_space.to_hand_space(clip.frames, skeleton) for clip in shown]
  )[:, skeleton.parts["left_hand"]]
  first = np.array(skeleton.parts["left_hand"]) * 3
  cells = (first[:, None] + np.arange(3)).ravel()
  np.testing.assert_allclose(
    found.mean[cells], own.mean(0).ravel(), rtol=1e-3, atol=1e-5
  )
  np.testing.assert_allclose(
    found.deviation[cells], own.std(0).ravel(), rtol=1e-3, atol=1e-5
  )


def _repeated(texts: int, times: int, seed: int = 0) -> list[clips_lib.Clip]:
  """Clips of a few texts: far apart, and each moved a little as a whole."""
  random = np.random.default_rng(seed)
  made = []
  for number in range(texts * times):
    clip = random_clip(str(number), 16)
    place = 5 * (number % texts) + random.normal(0, 0.1, clip.frames.shape[1:])
    moving = random.normal(0, 0.03, clip.frames.shape)
    made.append(
      dataclasses.replace(
        clip,
        text=f"text {number % texts}",
        frames=(place + moving).astype(np.float32),
        valid=np.ones_like(clip.valid),
      )
    )
  return made


def test_deviations_are_those_from_the_mean_of_a_text():
  settings = config.Data()
  found = corpus_info.summarise(_repeated(2, 100), settings, noise=True).noise
  assert found is not None
  nose = slice(0, 3)  # no hand's coordinate
  of_clips, of_frames = (
    np.sqrt(np.diag(x))[nose] * found.deviation[nose] for x in found.covariance
  )
  np.testing.assert_allclose(of_clips, 0.1, rtol=0.25)
  np.testing.assert_allclose(of_frames, 0.03, rtol=0.1)
  assert (found.memory < 0.2).all()
  pooled = np.sqrt(np.mean(found.amplitude**2, 1))
  np.testing.assert_allclose(pooled, 1, atol=0.15)
  np.testing.assert_allclose(found.amplitude, 1, atol=0.25)
  assert (found.deviation[nose] > 2).all()  # the texts are far apart


def test_without_repeated_texts_clips_deviate_from_the_mean_of_all():
  settings = config.Data()
  found = corpus_info.summarise(_repeated(20, 2), settings, noise=True).noise
  assert found is not None
  share = np.diag(found.covariance[0])[:3]
  np.testing.assert_allclose(share, 1, rtol=0.1)


def test_frames_that_stay_have_a_memory():
  settings = config.Data()
  found = []
  for step in (1, 4):
    clips = _repeated(1, 160)
    held = [
      dataclasses.replace(clip, frames=clip.frames[::step].repeat(step, 0))
      for clip in clips
    ]
    noise = corpus_info.summarise(held, settings, noise=True).noise
    assert noise is not None
    found.append(noise.memory)
  assert (found[0] < 0.2).all()
  moved = np.arange(1, POSITIONS) % 4 == 0
  assert (found[1][moved] < 0.2).all()
  np.testing.assert_allclose(found[1][~moved], 1, atol=1e-5)


def test_clips_that_begin_elsewhere_have_a_larger_amplitude_there():
  settings = config.Data()
  random = np.random.default_rng(1)
  clips = []
  for clip in _repeated(2, 100):
    frames = clip.frames.copy()
    frames[0, 0] += random.normal(0, 0.09, frames.shape[2:])
    clips.append(dataclasses.replace(clip, frames=frames))
  noise = corpus_info.summarise(clips, settings, noise=True).noise
  assert noise is not None
  np.testing.assert_allclose(np.mean(noise.amplitude**2, 0), 1, rtol=1e-3)
  shares = noise.amplitude[0] / noise.amplitude[1:].mean(0)
  # sqrt(0.03^2 + 0.09^2) / 0.03 of the nose.
  assert shares[:3] == pytest.approx(np.sqrt(10), rel=0.25)
  assert np.delete(shares, range(6)) == pytest.approx(1, abs=0.3)


def test_memory_is_of_frames_however_long_the_clips_are():
  settings = config.Data()
  random = np.random.default_rng(2)
  made = []
  for number, length in enumerate(random.integers(120, 200, 160)):
    clip = random_clip(str(number), int(length))
    frames = np.empty_like(clip.frames)
    frames[0] = random.normal(0, 0.1, frames.shape[1:])
    for i in range(1, len(frames)):
      step = random.normal(0, 0.1 * np.sqrt(1 - 0.95**2), frames.shape[1:])
      frames[i] = 0.95 * frames[i - 1] + step
    shown = np.ones_like(clip.valid)
    made.append(dataclasses.replace(clip, frames=frames, valid=shown, text="a"))
  noise = corpus_info.summarise(made, settings, noise=True).noise
  assert noise is not None
  # The mean of the clip takes a part of it away.
  np.testing.assert_allclose(noise.memory, 0.94, atol=0.03)
