"""Terms of the loss beside the regression of frames, and bones that hold."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers import devices, small_steps

import signllm_jax.train as train
from signllm_jax import config
from signllm_jax.core import bones, clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import datasets
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.formats import skels
from signllm_jax.inference import compiled_model, decoding, load
from signllm_jax.models.text_to_pose import TextToPose
from signllm_jax.runs import config_check
from signllm_jax.tasks import free_running

CODES = ("ASL", "GSL")
SIZES = (1.0, 1.5)  # of the people of each language


def _clip(size: float, number: int) -> clips.Clip:
  """Limbs of constant length that turn."""
  random = np.random.default_rng(7)
  lengths = size * random.uniform(0.2, 0.5, PROMPT2SIGN50.num_bones)
  lengths[1] = 1 / 6  # shoulders are the unit of canonical poses
  vectors = random.normal(size=(1, 49, 3)) + 0.3 * np.sin(
    np.arange(8)[:, None, None] / 3 + number
  )
  vectors[:, 1], vectors[:, 4] = (-1, 0, 0), (1, 0, 0)
  vectors *= (
    lengths[PROMPT2SIGN50.limb_bones] / np.linalg.norm(vectors, axis=-1)
  )[..., None]
  frames = PROMPT2SIGN50.ancestor_matrix() @ vectors
  frames -= frames[
    :, PROMPT2SIGN50.joint("neck") : PROMPT2SIGN50.joint("neck") + 1
  ]
  valid = np.ones((8, 50), bool)
  valid[2, 20] = False
  frames[~valid] = 0
  return clips.Clip(
    frames.astype(np.float32), valid, name=str(number), text="abcd"[number % 4]
  )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("bones")
  for code, size in zip(CODES, SIZES, strict=True):
    folder = root / code
    folder.mkdir()
    for split in ("train", "dev"):
      listed = [_clip(size, i) for i in range(8)]
      skels.write(folder / f"{split}.skels", listed)
      for kind in ("text", "gloss"):
        lines = "".join(f"{clip.text}\n" for clip in listed)
        (folder / f"{split}.{kind}").write_text(lines)
  return root


def _experiment(folders, task: str) -> config.Experiment:
  return config.Experiment(
    task=task,
    steps=2,
    data=config.Data(
      folder=",".join(str(folders / code) for code in CODES),
      language=",".join(CODES),
      batch_size=8,
      bucket=8,
    ),
    model=config.Model(
      encoder_layers=1,
      decoder_layers=1,
      width=16,
      heads=2,
      feed_forward=16,
      just_counter=True,
      alignment=True,
      bones="fixed",
    ),
    loss=config.Loss(bones=0.1, dtw=0.5),
    evaluate=config.Evaluate(every=0, batch_size=8, clips=0),
  )


@pytest.mark.slow
@pytest.mark.parametrize("task", ["mlsf", "text2langgloss"])
def test_produced_bones_have_the_lengths_of_their_language(
  task, folders, tmp_path
):
  """After a run, its checkpoint and free running; whatever the steps."""
  with devices.only(2):
    path = str(tmp_path / "run")
    assert train.train(_experiment(folders, task), path, dry_run=False) == 0
  for code in CODES:
    (made,) = load.load_producer(path, code).produce(["a"]) or ()
    part = config.Data(folder=str(folders / code), language=code)
    train_split = datasets.open_clips(part, "train")
    poses = np.concatenate([clip.frames for clip in train_split])
    poses = poses[poses[:, 20].any(-1)]
    means = bones.limb_lengths(poses, PROMPT2SIGN50).mean(0)
    sides = [
      means[b == PROMPT2SIGN50.limb_bones].mean()
      for b in PROMPT2SIGN50.limb_bones
    ]
    expected = np.array(sides)
    found = bones.limb_lengths(made.frames, PROMPT2SIGN50)
    np.testing.assert_allclose(
      found, np.broadcast_to(expected, found.shape), rtol=1e-3
    )


def test_statistics_of_each_row_hold_their_own_bones():
  random = np.random.default_rng(0)
  mean, scale, lengths = (
    random.uniform(0.5, 1, shape).astype(np.float32)
    for shape in ((2, 150), (2,), (2, PROMPT2SIGN50.num_bones))
  )
  every = PoseStatistics(mean, scale, np.ones((2, 50), bool), lengths)
  poses = random.normal(size=(3, 4, 150)).astype(np.float32)
  language = np.array([1, 0, 1])
  rows = every.for_languages(language).hold_bones(poses, PROMPT2SIGN50)
  for row, at in enumerate(language):
    own = jax.tree.map(lambda x, at=at: x[at], every)
    np.testing.assert_allclose(
      rows[row], own.hold_bones(poses[row], PROMPT2SIGN50), atol=1e-5
    )
  free = every._replace(bones=None)
  assert free.hold_bones(poses, PROMPT2SIGN50) is poses


@pytest.mark.slow
def test_bones_on_eight_devices_equal_one():
  experiment = small_steps.new_experiment()
  experiment.model.bones, experiment.model.future = "fixed", 2
  experiment.loss.bones = 0.5
  one, _, metrics = small_steps.run(experiment, jax.devices()[:1], 6)
  experiment.mesh = config.Mesh(data=2, fsdp=2, tensor=2)
  eight, _, _ = small_steps.run(experiment, jax.devices(), 6)
  np.testing.assert_allclose(one, eight, atol=1e-5)
  np.testing.assert_allclose(
    metrics["loss"],
    metrics["loss_regression"]
    + metrics["loss_visibility"]
    + 0.5 * metrics["loss_bones"],
    rtol=1e-5,
  )


def _with_dtw() -> config.Experiment:
  experiment = small_steps.new_experiment()
  experiment.model.just_counter = True
  experiment.loss = config.Loss(dtw=2.0, frames=0.0, dtw_window=4)
  return experiment


@pytest.mark.slow
def test_dtw_in_place_of_frames_learns_and_is_the_same_on_eight_devices():
  experiment = _with_dtw()
  one, _, metrics = small_steps.run(experiment, jax.devices()[:1], 12)
  assert one[-3:].mean() < 0.8 * one[:3].mean()
  np.testing.assert_allclose(
    metrics["loss"],
    metrics["loss_regression"]
    + metrics["loss_visibility"]
    + 2 * metrics["loss_dtw"],
    rtol=1e-5,
  )
  experiment.mesh = config.Mesh(data=2, fsdp=2, tensor=2)
  eight, _, _ = small_steps.run(experiment, jax.devices(), 4)
  np.testing.assert_allclose(eight, one[:4], atol=2e-5)


def test_the_clock_covers_the_clip_within_the_limit():
  total = np.array([0.2, 3.4, 5.0, 11.7], np.float32)
  counters, length = free_running.clock(total, 5)
  np.testing.assert_array_equal(length, [1, 3, 5, 5])
  np.testing.assert_allclose(counters[1], [0, 1 / 3, 2 / 3, 1, 1], rtol=1e-6)
  np.testing.assert_allclose(counters[3], np.arange(5) / 5, rtol=1e-6)


def test_the_clock_is_that_of_free_running():
  """Poses of the pass that the loss uses equal those that are produced."""
  shape = _with_dtw().model
  shape.dropout, shape.visibility = 0.0, False
  model = TextToPose(shape, 9, PROMPT2SIGN50, nnx.Rngs(0))
  ids = jnp.array([[5, 6, 3], [7, 3, 0]])
  poses = _own_poses(model, ids, 40)
  graphdef, params = nnx.split(model)
  seen = np.ones(50, bool)
  statistics = PoseStatistics(np.zeros(150), np.float32(1), seen)
  produced = compiled_model.Model(graphdef, params, statistics)
  *_, last = chunks = list(decoding.decode(produced, (ids,), 40))
  frames = np.concatenate([chunk.frames for chunk in chunks], 1)
  for row, length in enumerate(np.asarray(last.length)):
    assert length == poses[1][row]
    np.testing.assert_allclose(
      frames[row, :length].reshape(length, -1),
      poses[0][row, :length],
      atol=1e-4,
    )


def _own_poses(model, ids, limit):
  source = model.project_memory(*model.encode(ids))
  counters, length = free_running.clock(source.timeline.total, limit)
  inputs = jnp.zeros((len(ids), limit, 151)).at[..., -1].set(counters)
  return model.decode(inputs, source).frames[..., :150], length


def test_durations_learn_from_dtw_and_empty_rows_cost_nothing():
  experiment = _with_dtw()
  experiment.model.dropout = 0.0
  model = TextToPose(experiment.model, 9, PROMPT2SIGN50, nnx.Rngs(0))
  random = np.random.default_rng(0)
  target = jnp.asarray(random.normal(size=(2, 12, 151)), jnp.float32)
  statistics = PoseStatistics(np.zeros(150), np.float32(1), np.ones(50, bool))

  @nnx.jit
  @nnx.value_and_grad
  def value(model, lengths):
    source = model.project_memory(*model.encode(jnp.array([[5, 6, 3]] * 2)))
    batch = {"length": lengths, "valid": jnp.ones((2, 12, 50), bool)}
    return free_running.soft_dtw_distance(
      experiment, model, source, target, batch, statistics, jax.random.key(0)
    )

  both, gradient = value(model, jnp.array([12, 9]))
  first, _ = value(model, jnp.array([12, 0]))
  none, zero = value(model, jnp.array([0, 0]))
  assert 0 < first < both and none == 0
  assert np.abs(gradient["alignment"]["duration"]["kernel"][...]).max() > 1e-6
  assert not any(np.any(leaf) for leaf in jax.tree.leaves(zero))


@pytest.mark.parametrize(
  ("section", "field", "value", "said"),
  [
    ("model", "bones", "fixed", "bones='fixed' with task pose_to_text"),
    ("loss", "bones", 0.1, "bones=0.1 with task pose_to_text"),
    ("loss", "dtw", 0.1, "dtw=0.1 with task pose_to_text"),
  ],
)
def test_settings_without_effect_are_refused(section, field, value, said):
  experiment = small_steps.new_experiment()
  experiment.task = "pose_to_text"
  setattr(getattr(experiment, section), field, value)
  with pytest.raises(errors.UsageError, match=said):
    config_check.check(experiment)


@pytest.mark.parametrize(
  ("section", "field", "value", "said"),
  [
    ("model", "alignment", False, "dtw=2.0 with model.alignment=False"),
    ("model", "just_counter", False, "dtw=2.0 with model.just_counter=False"),
    ("loss", "dtw", 0, "frames=0 without loss.dtw"),
  ],
)
def test_dtw_needs_own_durations_and_poses_a_loss(section, field, value, said):
  experiment = _with_dtw()
  setattr(getattr(experiment, section), field, value)
  with pytest.raises(errors.UsageError, match=said):
    config_check.check(experiment)
