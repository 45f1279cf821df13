"""Samples of a generative decoder, with a small model."""

import jax
import numpy as np
import pytest
from flax import nnx
from helpers.flow_models import SHAPE, moved, unit_noise

from signllm_jax import config, tasks
from signllm_jax.core import bones, errors
from signllm_jax.core import vocabulary as vocabulary_lib
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import corpus_info
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.data.sizes import Sizes
from signllm_jax.inference import flow_sampling, flow_solver
from signllm_jax.inference import producer as producer_lib
from signllm_jax.parallel import sharding

TEXTS = ["wind", "norden", "wind"]
SOLVER = flow_solver.Solver(steps=3, solver="euler", guidance=1.0)


def build(solver=SOLVER, lengths=None, limit=100) -> producer_lib.Producer:
  vocabulary = vocabulary_lib.build_vocabulary(
    ["regen sonne wind norden"], "characters"
  )
  experiment = config.Experiment(model=SHAPE)
  task = tasks.get_task(experiment.task)
  model = moved(
    task.build_model(experiment, Sizes(len(vocabulary)), nnx.Rngs(0))
  )
  seen = np.ones(PROMPT2SIGN50.num_joints, bool)
  model.spread.bias[...] -= 1.5  # most lengths lie between 1 and the limit
  seen[10] = False
  return producer_lib.Producer(
    *nnx.split(model),
    PoseStatistics(
      np.zeros(PROMPT2SIGN50.num_values, np.float32),
      np.float32(1),
      seen,
      lengths,
      unit_noise(PROMPT2SIGN50),
    ),
    corpus_info.CorpusInfo(vocabulary, 7, 20, 25.0),
    skeleton=PROMPT2SIGN50,
    limit=limit,
    batch_size=4,
    mesh=sharding.make_mesh(config.Mesh(), jax.devices()[:1]),
    solver=solver,
  )


@pytest.fixture(scope="module")
def producer() -> producer_lib.Producer:
  return build()


def test_a_clip_is_a_function_of_seed_and_place(producer):
  first, again = (producer.produce(TEXTS, seed=3) for _ in range(2))
  other = producer.produce(TEXTS, seed=4)
  for a, b, c in zip(first, again, other, strict=True):
    assert a.frames.tobytes() == b.frames.tobytes()
    assert a.frames.tobytes() != c.frames.tobytes()
  assert first[0].frames.tobytes() != first[2].frames.tobytes()


def test_the_batch_around_a_clip_does_not_change_it(producer):
  whole = producer.produce([*TEXTS, "sonne", "regen"], seed=5)
  draws = [flow_sampling.Draw(5, 4)]
  ((chunk,),) = producer.stream(["regen"], draws)
  alone = chunk.sequence.clip
  np.testing.assert_array_equal(alone.valid, whole[4].valid)
  np.testing.assert_allclose(alone.frames, whole[4].frames, atol=1e-4)


def test_lengths_vary_around_the_durations(producer):
  lengths = [
    len(clip)
    for seed in range(30)
    for clip in producer.produce(["wind"] * 4, seed=seed)
  ]
  model = producer.model.structure.merge(producer.model.leaves)
  ids = np.array([producer.info.vocabulary.encode("wind")], np.int32)
  source = model.project_memory(*model.encode(ids))
  ratio = np.log(np.array(lengths) / float(source.timeline.total[0]))
  assert (
    abs(ratio.mean()) < 4 * float(source.spread[0]) / len(lengths) ** 0.5 + 0.02
  )
  assert ratio.std() == pytest.approx(float(source.spread[0]), rel=0.3)


def test_the_limit_ends_a_clip():
  short = build(limit=3)
  ((sequence,),) = short.batches(["norden"])
  assert len(sequence.clip) == 3 and not sequence.finished


def test_joints_that_no_clip_shows_stay_hidden(producer):
  for clip in producer.produce(TEXTS):
    assert not clip.valid[:, 10].any()
    assert not clip.frames[~clip.valid].any()


@pytest.mark.parametrize(
  "solver",
  [
    flow_solver.Solver(3, "multistep", 1.0),
    flow_solver.Solver(3, "heun", 1.0),
    flow_solver.Solver(3, "euler", 2.0),
    flow_solver.Solver(1, "euler", 1.0),
  ],
)
def test_other_solvers_give_other_clips_of_the_same_lengths(producer, solver):
  expected = producer.produce(TEXTS)
  found = build(solver).produce(TEXTS)
  for a, b in zip(expected, found, strict=True):
    assert len(a) == len(b)
    assert not np.array_equal(a.frames, b.frames)
    assert np.isfinite(b.frames).all()


def test_fixed_bones_keep_their_length_within_a_clip(producer):
  fixed = build(lengths=np.ones(PROMPT2SIGN50.num_bones, np.float32))
  means = []
  for free, clip in zip(
    producer.produce(TEXTS), fixed.produce(TEXTS), strict=True
  ):
    both = bones.limbs_visible(clip.valid, PROMPT2SIGN50)
    lengths = np.where(
      both, bones.limb_lengths(clip.frames, PROMPT2SIGN50), np.nan
    )
    shown = np.flatnonzero(both.sum(0) > 1)
    assert len(shown)
    change = np.nanstd(lengths[:, shown], 0) / np.nanmean(lengths[:, shown], 0)
    assert change.max() < 1e-3
    means.append(np.nanmean(lengths[:, shown], 0))
    before = np.where(
      both, bones.limb_lengths(free.frames, PROMPT2SIGN50), np.nan
    )
    assert np.nanmax(np.nanstd(before[:, shown], 0)) > 1e-2
  # Signers differ: each clip has lengths of its own.
  assert np.abs(means[0] / means[2] - 1).max() > 0.1


def test_samples_of_a_text_begin_with_its_own(producer):
  rows = [row for batch in producer.samples(TEXTS, 3, 0.1, 7) for row in batch]
  own = producer.produce(TEXTS, seed=7)
  for row, clip in zip(rows, own, strict=True):
    frames = [one.clip.frames.tobytes() for one in row]
    assert frames[0] == clip.frames.tobytes() and len(set(frames)) == 3


def test_pts_protocol_is_refused(producer):
  with pytest.raises(errors.UsageError, match="flow"):
    producer.produce_pt_protocol(["wind"], producer.produce(["wind"]))


def test_few_programs_hold_all_lengths():
  counts = flow_sampling.frame_counts(300)
  assert counts[0] == 24 and counts[-1] >= 300 and len(counts) <= 8
