"""Terms of the loss beside the regression of frames, and bones that hold."""

import jax
import numpy as np
import pytest
from helpers import devices, small_steps

import signllm_jax.train as train
from signllm_jax import config
from signllm_jax.core import bones, clips, errors, skeleton
from signllm_jax.data import datasets
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.formats import skels
from signllm_jax.inference import load
from signllm_jax.runs import config_check

CODES = ("ASL", "GSL")
SIZES = (1.0, 1.5)  # of the people of each language


def _clip(size: float, number: int) -> clips.Clip:
  """Limbs of constant length that turn."""
  random = np.random.default_rng(7)
  lengths = size * random.uniform(0.2, 0.5, skeleton.BONES)
  lengths[1] = 1 / 6  # shoulders are the unit of canonical poses
  vectors = random.normal(size=(1, 49, 3)) + 0.3 * np.sin(
    np.arange(8)[:, None, None] / 3 + number
  )
  vectors[:, 1], vectors[:, 4] = (-1, 0, 0), (1, 0, 0)
  vectors *= (lengths[skeleton.LIMB_BONES] / np.linalg.norm(vectors, axis=-1))[
    ..., None
  ]
  frames = skeleton.ancestor_matrix() @ vectors
  frames -= frames[:, skeleton.NECK : skeleton.NECK + 1]
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
    loss=config.Loss(bones=0.1),
    evaluate=config.Evaluate(every=0, batch_size=8, clips=0),
  )


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
    means = bones.limb_lengths(poses).mean(0)
    sides = [
      means[b == skeleton.LIMB_BONES].mean() for b in skeleton.LIMB_BONES
    ]
    expected = np.array(sides)
    found = bones.limb_lengths(made.frames)
    np.testing.assert_allclose(
      found, np.broadcast_to(expected, found.shape), rtol=1e-3
    )


def test_statistics_of_each_row_hold_their_own_bones():
  random = np.random.default_rng(0)
  mean, scale, lengths = (
    random.uniform(0.5, 1, shape).astype(np.float32)
    for shape in ((2, 150), (2,), (2, skeleton.BONES))
  )
  every = PoseStatistics(mean, scale, np.ones((2, 50), bool), lengths)
  poses = random.normal(size=(3, 4, 150)).astype(np.float32)
  language = np.array([1, 0, 1])
  rows = every.for_languages(language).hold_bones(poses)
  for row, at in enumerate(language):
    own = jax.tree.map(lambda x, at=at: x[at], every)
    np.testing.assert_allclose(rows[row], own.hold_bones(poses[row]), atol=1e-5)
  free = every._replace(bones=None)
  assert free.hold_bones(poses) is poses


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
    metrics["loss_regression"] + 0.5 * metrics["loss_bones"],
    rtol=1e-5,
  )


@pytest.mark.parametrize(
  ("section", "field", "value", "said"),
  [
    ("model", "bones", "fixed", "bones='fixed' with task pose_to_text"),
    ("loss", "bones", 0.1, "bones=0.1 with task pose_to_text"),
  ],
)
def test_settings_without_effect_are_refused(section, field, value, said):
  experiment = small_steps.new_experiment()
  experiment.task = "pose_to_text"
  setattr(getattr(experiment, section), field, value)
  with pytest.raises(errors.UsageError, match=said):
    config_check.check(experiment)
