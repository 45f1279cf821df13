"""Streams, passages and finishes, with a small model."""

import dataclasses
import time

import jax
import numpy as np
import pytest
from flax import nnx
from helpers import small_runs
from helpers.flow_models import write_flow_model

from signllm_jax import config, tasks
from signllm_jax.core import clips, errors
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import corpus_info
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.data.sizes import Sizes
from signllm_jax.inference import (
  decoding,
  flow_sampling,
  long_text,
  pose_reader,
  postprocess,
  rerank,
  sequences,
  signer,
  text_signer,
)
from signllm_jax.inference import producer as producer_lib
from signllm_jax.models import back_translation
from signllm_jax.parallel import sharding

LIMIT = 100  # frames; two sizes of the cache


def build(
  dtype: str = "float32", patience: float = 0.0
) -> producer_lib.Producer:
  """A model that was never trained; its tokens last 8 softplus(patience)."""
  experiment = config.Experiment()
  experiment.model = small_runs.model(alignment=True, compute_dtype=dtype)
  vocabulary = vocabulary_lib.build_vocabulary(
    ["regen sonne wind norden"], "characters"
  )
  task = tasks.get_task(experiment.task)
  model = task.build_model(experiment, Sizes(len(vocabulary)), nnx.Rngs(0))
  model.alignment.duration.kernel[...] *= 0
  model.alignment.duration.bias[...] += patience
  statistics = PoseStatistics(
    np.zeros(PROMPT2SIGN50.num_values, np.float32),
    np.float32(1),
    np.ones(PROMPT2SIGN50.num_joints, bool),
  )
  return producer_lib.Producer(
    *nnx.split(model),
    statistics,
    corpus_info.CorpusInfo(vocabulary, 7, 20, 25.0),
    skeleton=PROMPT2SIGN50,
    limit=LIMIT,
    batch_size=8,
    mesh=sharding.make_mesh(config.Mesh(), jax.devices()[:1]),
  )


@pytest.fixture(scope="module")
def producer() -> producer_lib.Producer:
  return build()


@pytest.fixture(scope="module")
def endless() -> producer_lib.Producer:
  return build(patience=50.0)


def wave(t: int, fps: float = 25) -> clips.Clip:
  """A figure whose joints turn at half a turn a second."""
  still = np.random.default_rng(0).normal(0, 0.2, (PROMPT2SIGN50.num_joints, 3))
  angle = np.arange(t)[:, None, None] / fps * np.pi
  frames = still * (1 + 0.1 * np.sin(angle + np.arange(50)[:, None]))
  valid = np.ones((t, PROMPT2SIGN50.num_joints), bool)
  return clips.Clip(frames.astype(np.float32), valid, fps)


def test_streamed_frames_are_those_of_a_whole_pass_bit_for_bit(endless):
  texts = ["wind", "norden", "regen"]
  whole = [one for batch in endless.batches(texts) for one in batch]
  assert [len(one.clip) for one in whole] == [LIMIT] * 3
  parts = list(endless.stream(texts))
  assert [len(row[0].frames) for row in parts] == [32, 32, 32, 4]
  for i, one in enumerate(whole):
    joined = np.concatenate([row[i].frames for row in parts])
    assert joined.tobytes() == one.clip.frames.tobytes()
    (last,) = [row[i].sequence for row in parts if row[i].sequence]
    assert last.clip.frames.tobytes() == joined.tobytes()
    assert not last.finished


def test_sequences_of_a_batch_end_each_by_its_own_counter(producer):
  texts = ["w", "norden", "regen sonne"]
  streamed = list(producer.stream(texts))
  for i, line in enumerate(texts):
    (signed,) = [row[i].sequence for row in streamed if row[i].sequence]
    assert signed.finished and len(signed.clip) < LIMIT
    (alone,) = producer.produce([line])
    assert len(alone) == len(signed.clip)
    assert sum(len(row[i].frames) for row in streamed) == len(alone)


def test_growing_the_cache_changes_nothing(endless, monkeypatch):
  (grown,) = endless.produce(["wind"])
  monkeypatch.setattr(decoding, "CACHE_FRAMES", 512)
  decoding.encode.clear_cache()
  (fixed,) = endless.produce(["wind"])
  decoding.encode.clear_cache()
  np.testing.assert_allclose(grown.frames, fixed.frames, atol=1e-5)


def test_first_frames_come_within_50_ms_after_warm_up(producer):
  producer.warm_up(["norden"])
  times = []
  for _ in range(5):
    began = time.perf_counter()
    next(producer.stream(["norden"]))
    times.append(time.perf_counter() - began)
  assert min(times) < 0.05


def test_an_empty_text_is_refused(producer):
  with pytest.raises(errors.UsageError, match="an empty text"):
    producer.produce(["wind", " "])


def test_bfloat16_is_near_and_not_the_same(producer):
  (exact,) = producer.produce(["norden"])
  (near,) = build("bfloat16").produce(["norden"])
  assert len(near) == len(exact)
  # Of a model without training, which strays: its first frame.
  difference = np.abs(near.frames[0] - exact.frames[0]).max()
  assert 0 < difference < 0.05


# Passages


def test_passage_of_one_part_is_the_model_s_own(producer):
  (clip,) = producer.produce(["wind"])
  (one,) = long_text.sign(producer, [["wind"]], postprocess.UNCHANGED)
  assert one.clip.frames.tobytes() == clip.frames.tobytes()
  assert one.segments == (("wind", 0, len(clip)),)
  assert one.spans[-1].end <= len(clip)


def test_passage_joins_its_parts_and_says_where(producer):
  ticks = []
  first, second = long_text.sign(
    producer,
    [["wind", "regen"], ["sonne"]],
    postprocess.UNCHANGED,
    ticks.append,
  )
  alone = producer.produce(["wind", "regen", "sonne"])
  for section, clip in zip(first.segments, alone, strict=False):
    part = first.clip.frames[int(section.start) : int(section.end)]
    np.testing.assert_array_equal(part, clip.frames)
  assert [section.text for section in first.segments] == ["wind", "regen"]
  joint = first.segments[1].start - first.segments[0].end
  assert joint == 6  # 0.24 s
  assert len(first.clip) == len(alone[0]) + joint + len(alone[1])
  assert first.clip.text == "wind regen"
  assert [span.token for span in first.spans if span.token.strip()] == list(
    "windregen"
  )
  assert len(second.clip) == len(alone[2])
  assert ticks == [sum(map(len, alone))]


@pytest.mark.parametrize("lengths", [(50, 30, 40), (40, 1, 33), (1, 1), (5,)])
def test_parts_that_grow_side_by_side_are_the_passage(lengths):
  frames = np.random.default_rng(0).normal(size=(sum(lengths), 50, 3))
  shown = np.random.default_rng(1).random(frames.shape[:2]) < 0.7
  frames[~shown] = 0
  borders = np.cumsum(lengths)[:-1]
  made = [
    clips.Clip(part.astype(np.float32), valid, 25.0)
    for part, valid in zip(
      np.split(frames, borders), np.split(shown, borders), strict=True
    )
  ]
  whole = long_text.join(
    [sequences.ProducedSequence(clip, True, None) for clip in made]
  )
  growing = long_text.IncrementalJoin(len(made), 25.0, PROMPT2SIGN50)
  came, known = [], 0
  for start in range(0, max(lengths), 16):
    for number, clip in enumerate(made):
      stretch = slice(start, start + 16)
      part = clips.Clip(clip.frames[stretch], clip.valid[stretch], 25.0)
      if start < len(clip):
        ended = start + 16 >= len(clip)
        came.append(growing.add(number, part, ended))
    if start == 0:
      known = sum(map(len, came))
  assert known >= min(16, lengths[0])  # the first frames do not wait
  joined = np.concatenate([part.frames for part in came])
  assert joined.tobytes() == whole.clip.frames.tobytes()
  valid = np.concatenate([part.valid for part in came])
  np.testing.assert_array_equal(valid, whole.clip.valid)


def test_joint_goes_on_with_the_velocities_of_both_sides():
  before, after = wave(20), wave(30)
  after = dataclasses.replace(after, frames=after.frames + 0.1)
  made = long_text.join(
    [sequences.ProducedSequence(clip, True, None) for clip in (before, after)]
  )
  # Second differences: no kick where a clip meets the joint.
  bends = np.abs(np.diff(made.clip.frames, 2, axis=0)).max((1, 2))
  hard = np.abs(np.diff(np.concatenate([before.frames, after.frames]), 2, 0))
  assert bends.max() < 0.35 * hard.max()
  assert made.spans is None
  missing = dataclasses.replace(after, valid=after.valid.copy())
  missing.valid[0, 8] = False
  made = long_text.join(
    [sequences.ProducedSequence(clip, True, None) for clip in (before, missing)]
  )
  assert made.clip.valid[20:26, 8].sum() == 0
  assert (made.clip.frames[20:26, 8] == 0).all()


def test_spans_and_sections_follow_the_speed():
  clip = wave(41)
  spans = (sequences.Span("a", 0.0, 20.0), sequences.Span("", 20.0, 41.0))
  made = long_text.join(
    [sequences.ProducedSequence(clip, True, spans)], postprocess.Options(2.0)
  )
  assert len(made.clip) == 21
  assert [span.start for span in made.spans] == [0, 10]
  assert made.spans[-1].end == 20.5
  assert made.segments[0].end == 20.5


# Finishes


def test_speed_changes_time_and_nothing_else():
  clip = wave(41)
  slow, fast = postprocess.at_speed(clip, 0.5), postprocess.at_speed(clip, 2)
  assert (len(slow), len(fast), slow.fps) == (81, 21, clip.fps)
  np.testing.assert_allclose(slow.frames[::2], clip.frames, atol=1e-6)
  np.testing.assert_allclose(fast.frames, clip.frames[::2], atol=1e-6)


def lengths(clip: clips.Clip) -> np.ndarray:
  ends = (
    clip.frames[:, PROMPT2SIGN50.children]
    - clip.frames[:, PROMPT2SIGN50.parents]
  )
  return np.linalg.norm(ends, axis=-1)


def test_constant_bones_have_the_median_length_and_keep_directions():
  clip = clips.canonical(wave(30))
  clip.valid[3, 20] = False
  clip.frames[3, 20] = 0
  made = postprocess.with_constant_bones(clip)
  found, before = lengths(made), lengths(clip)
  touched = np.ones(found.shape, bool)
  for limb, (parent, child, _) in enumerate(PROMPT2SIGN50.limbs):
    touched[3, limb] = 20 not in (parent, child)
  for bone in range(PROMPT2SIGN50.num_bones):
    own = bone == PROMPT2SIGN50.limb_bones
    median = np.median(before[:, own][touched[:, own]])
    np.testing.assert_allclose(
      found[:, own][touched[:, own]], median, rtol=1e-4
    )
  assert (made.frames[3, 20] == 0).all()
  np.testing.assert_allclose(
    made.frames[:, PROMPT2SIGN50.joint("neck")], 0, atol=1e-7
  )

  def directions(clip):
    ends = (
      clip.frames[:, PROMPT2SIGN50.children]
      - clip.frames[:, PROMPT2SIGN50.parents]
    )
    return ends / lengths(clip)[..., None]

  np.testing.assert_allclose(
    directions(made)[touched], directions(clip)[touched], atol=1e-3
  )


def test_one_euro_takes_noise_of_what_rests_and_follows_what_moves():
  t = 200
  rest = np.zeros((t, PROMPT2SIGN50.num_joints, 3), np.float32)
  noise = np.random.default_rng(0).normal(0, 0.003, rest.shape)
  valid = np.ones(rest.shape[:2], bool)
  noisy = clips.Clip((rest + noise).astype(np.float32), valid)
  assert postprocess.smoothed(noisy).frames[50:].std() < 0.7 * noise.std()
  moved = rest.copy()
  moved[100:] = 1.0  # a jump: followed within a tenth of a second
  made = postprocess.smoothed(clips.Clip(moved, valid))
  assert (made.frames[103] > 0.9).all()


def test_one_euro_equals_the_published_recurrence():
  """Casiez et al. 2012, algorithm 1, one number at a time."""
  clip = wave(40)
  place = float(clip.frames[0, 9, 0])
  x, v = clip.frames[0, 9].astype(float), np.zeros(3)
  for raw in clip.frames[1:, 9].astype(float):

    def alpha(cutoff):
      tau = 1 / (2 * np.pi * cutoff)
      return 1 / (1 + tau * clip.fps)

    a = alpha(1.0)
    v = a * (raw - x) * clip.fps + (1 - a) * v
    a = alpha(postprocess._CUTOFF + postprocess._BETA * np.linalg.norm(v))
    x = a * raw + (1 - a) * x
  made = postprocess.smoothed(clip)
  np.testing.assert_allclose(made.frames[-1, 9], x, atol=1e-6)
  assert made.frames[0, 9, 0] == np.float32(place)


def test_one_euro_starts_anew_where_a_joint_was_missing():
  clip = wave(20)
  clip.valid[5:8, 3] = False
  clip.frames[5:8, 3] = 0
  made = postprocess.smoothed(clip)
  assert (made.frames[5:8, 3] == 0).all()
  np.testing.assert_array_equal(made.frames[8, 3], clip.frames[8, 3])


# Sentences


@pytest.fixture(scope="module")
def judge(producer) -> pose_reader.Reader:
  """A reader that was never taught: it likes some clips better than others."""
  experiment = config.Experiment(task="pose_to_text")
  experiment.model = config.Model(
    encoder_layers=1, decoder_layers=1, width=16, heads=2, feed_forward=16
  )
  words = len(producer.info.vocabulary)
  model = back_translation.PoseToText(experiment, words, 0, nnx.Rngs(0))
  return pose_reader.Reader(
    *nnx.split(model),
    producer.model.statistics,
    producer.info,
    experiment,
    sharding.make_mesh(config.Mesh(), jax.devices()[:1]),
  )


def frames_of(batches) -> list[np.ndarray]:
  return [one.clip.frames for batch in batches for one in batch]


def samples_of(producer, texts, count, std, seed) -> list[list[np.ndarray]]:
  """Frames [sample][text]; the model's own come first."""
  batches = producer.samples(texts, count, std, seed)
  rows = [row for batch in batches for row in batch]
  return [
    [one.clip.frames for one in sample] for sample in zip(*rows, strict=True)
  ]


def test_samples_lie_around_the_models_own_and_follow_their_key(producer):
  texts = ["wind", "wind", "regen"]
  own, first, moved = samples_of(producer, texts, 3, 0.1, 0)
  again = samples_of(producer, texts, 3, 0.1, 0)[1]
  for a, b in zip(own, frames_of(producer.batches(texts)), strict=True):
    assert a.tobytes() == b.tobytes()
  for a, b, c in zip(first, again, moved, strict=True):
    assert a.tobytes() == b.tobytes() != c.tobytes()
  assert first[0].tobytes() != first[1].tobytes()
  # The first frame follows no drawn one: it is the own and a tenth of noise.
  noise = np.stack([made[0] - own[0][0] for made in first[:2]])
  assert np.std(noise[noise != 0]) == pytest.approx(0.1, rel=0.15)
  _, near = samples_of(producer, texts, 2, 1e-6, 0)
  for a, b in zip(near, own, strict=True):
    np.testing.assert_allclose(a, b, atol=1e-4)


def test_the_sample_is_kept_that_the_reader_understands_best(producer, judge):
  texts, samples = ["wind", "regen sonne"], 4
  signer = rerank.BestOf(producer, judge, samples, 0.3, seed=5)
  kept = [one for batch in signer.batches(texts) for one in batch]
  (drawn,) = producer.samples(texts, samples, 0.3, 5)
  for i, line in enumerate(texts):
    made = drawn[i]
    assert all(one.finished for one in made)
    scores = judge.likelihoods([one.clip for one in made], [line] * samples)
    assert len(set(scores.tolist())) == samples
    best = int(np.argmax(scores))
    np.testing.assert_array_equal(kept[i].clip.frames, made[best].clip.frames)
    np.testing.assert_array_equal(signer.ranked[i].scores, scores)
    assert signer.ranked[i].kept == best
  assert signer.table().count("\n") == len(texts)


def test_what_came_to_no_end_is_kept_only_if_nothing_did(endless, judge):
  signer = rerank.BestOf(endless, judge, 2, 0.1)
  ((one,),) = signer.batches(["wind"])
  assert not one.finished and len(one.clip) == LIMIT


@pytest.mark.parametrize(
  ("samples", "std"), [(1, 0.1), (65, 0.1), (2, 0.0), (2, 1.5)]
)
def test_useless_samples_are_refused(producer, judge, samples, std):
  with pytest.raises(errors.UsageError):
    rerank.BestOf(producer, judge, samples, std)


# Seeds of a generative decoder


@pytest.fixture(scope="module")
def generative(tmp_path_factory) -> signer.Signer:
  folder = tmp_path_factory.mktemp("flow")
  return signer.Signer(write_flow_model(folder / "flow.safetensors"))


def differ(a: clips.Clip, b: clips.Clip) -> bool:
  length = min(len(a), len(b))
  return len(a) != len(b) or not np.allclose(
    a.frames[:length], b.frames[:length], atol=1e-3
  )


def assert_near(a: clips.Clip, b: clips.Clip) -> None:
  assert len(a) == len(b)
  np.testing.assert_allclose(a.frames, b.frames, atol=1e-4)


def test_a_clip_follows_its_seed_and_its_place_in_the_call(generative):
  assert generative.stochastic
  first, twin = generative(["wind", "wind"], seed=3)
  again, _ = generative(["wind", "wind"], seed=3)
  other, _ = generative(["wind", "wind"], seed=4)
  assert first.frames.tobytes() == again.frames.tobytes()
  assert differ(first, other)
  assert differ(first, twin)
  default, zero = generative("wind"), generative("wind", seed=0)
  assert default.frames.tobytes() == zero.frames.tobytes()


def test_seeded_clips_do_not_depend_on_the_batch(generative):
  """Five parts in batches of four, numbered through the call."""
  texts = [["wind", "regen"], ["nacht"], ["wind"], ["norden"]]
  signed = list(generative.sign(texts, "GSL", seed=3))
  draws = [flow_sampling.Draw(3, index) for index in range(5)]
  producer = generative.producer("GSL")
  parts = [
    sequences.collect(producer.stream([part], [draw]), 1)[0]
    for part, draw in zip(
      [part for text in texts for part in text], draws, strict=True
    )
  ]
  for made, own in zip(
    signed, (parts[:2], parts[2:3], parts[3:4], parts[4:]), strict=True
  ):
    assert_near(made.clip, long_text.join(own).clip)


def test_streams_of_one_text_and_of_several_give_the_clips_of_calls(generative):
  (alone,) = generative.sign([["wind", "regen"]], "GSL", seed=7)
  seeds, texts = [7, 7, 8], [["wind", "regen"]] * 3
  made = [
    long_text.join(chunk.parts)
    for chunk in long_text.stream(
      generative.producer("GSL"), texts, 4, seeds, full_batches=True
    )
    if chunk.parts
  ]
  assert_near(made[0].clip, alone.clip)
  assert_near(made[1].clip, alone.clip)  # each text has its own numbers
  assert differ(made[2].clip, alone.clip)
  streamed = np.stack(list(generative.stream("wind", seed=7)))
  called = generative("wind", seed=7)
  assert streamed.tobytes() == called.frames.tobytes()


def test_seeds_out_of_range_are_refused(generative):
  for seed in (-1, 2**32):
    with pytest.raises(errors.UsageError, match="expected 0 to 4294967295"):
      generative("wind", seed=seed)
  text_signer.check_seed(text_signer.MAX_SEED)


def test_warm_up_compiles_what_a_generative_decoder_needs(generative):
  producer = generative.producer("GSL")
  producer.warm_up(["norden"])
  before = flow_sampling.sample._cache_size()
  for seed in range(4):
    list(producer.stream(["norden"], [flow_sampling.Draw(seed)]))
  assert flow_sampling.sample._cache_size() == before
