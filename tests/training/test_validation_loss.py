"""The loss of the dev split, and histograms beside the training step."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from helpers import devices, events, small_runs

from signllm_jax import config, tasks
from signllm_jax.parallel import sharding
from signllm_jax.runs import checkpoint_manifest
from signllm_jax.tasks.task import LossContext
from signllm_jax.training import loop, setup, validation_loss

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("skels")
  small_runs.write_folder(path, [small_runs.clip(i) for i in range(8)])
  small_runs.write_folder(
    path, [small_runs.clip(i) for i in range(8, 13)], "dev"
  )
  return path


def _experiment(folder, **others) -> config.Experiment:
  return config.Experiment(
    steps=4,
    log_every=1,
    data=config.Data(folder=str(folder), batch_size=4, bucket=16),
    model=small_runs.model(dropout=0.1),
    evaluate=config.Evaluate(every=2, batch_size=4, clips=0),
    checkpoint=config.Checkpoint(every=2),
    **others,
  )


def test_batches_count_as_one(folder):
  """Equal to the loss of one batch of all clips, without dropout and noise."""
  experiment = _experiment(folder)
  with devices.only(1):
    run = setup.Run(experiment)
    with jax.set_mesh(run.mesh):
      state = run.create_state()
      measured = validation_loss.ValidationLoss(run).measure(
        state, lambda: False
      )
      quiet = validation_loss.without_noise(experiment)
      task = tasks.get_task(quiet.task)
      batches = run.corpora[0].batches_of("dev", rows=8, multiple=1)
      (batch,) = [batches[i] for i in range(len(batches))]
      batch = sharding.put_batch(batch, run.mesh)
      model = setup.train_state.nnx.merge(
        setup.train_state.graph(quiet, run.sizes), state.params
      )
      expected, _ = task.loss(
        quiet,
        model,
        batch,
        LossContext(state.statistics, state.residuals),
        jax.random.key(1),
        task.loss_denominator(quiet, batch),
      )
  assert len(batches) == 1 and measured == pytest.approx(float(expected), 1e-5)


@pytest.mark.parametrize(
  "task",
  ["mlsf", "text2langgloss", "text_to_gloss", "pose_to_text", "flow"],
)
def test_every_task_has_one(folder, tmp_path, task):
  """Finite, and the same when it is asked again; one language lacks dev."""
  for split in ("train", "dev"):
    count = len((folder / f"{split}.text").read_text().splitlines())
    (folder / f"{split}.gloss").write_text("A B\n" * count)
  second = tmp_path / "train_only"
  second.mkdir()
  for path in folder.glob("train.*"):
    (second / path.name).write_bytes(path.read_bytes())
  several = task in ("mlsf", "text2langgloss", "text_to_gloss")
  experiment = _experiment(
    folder, task="text_to_pose" if task == "flow" else task
  )
  if several:
    experiment.data.folder = f"{folder},{second}"
    experiment.data.language = "GSL,ASL"
  if task == "flow":
    experiment.model.decoder, experiment.augment.noise = "flow", 0.0
  with devices.only(1):
    run = setup.Run(experiment)
    with jax.set_mesh(run.mesh):
      state = run.create_state()
      loss = validation_loss.ValidationLoss(run)
      values = [loss.measure(state, lambda: False) for _ in range(2)]
      assert loss.measure(state, lambda: True) is None
  assert values[0] is not None and np.isfinite(values[0])
  assert values[0] == values[1]


@pytest.mark.slow
def test_loss_and_histograms_change_nothing(folder, tmp_path):
  """R6: both are written once a step, and the run computes the same."""
  with_both = _experiment(folder, histograms_every=2)
  without = _experiment(folder)
  without.evaluate = dataclasses.replace(without.evaluate, loss=False)
  digests = []
  for name, experiment in (("both", with_both), ("none", without)):
    with devices.only(1):
      assert loop.train(experiment, str(tmp_path / name)) == 0
    folder_of_step = tmp_path / name / "checkpoints" / "4"
    digests.append(checkpoint_manifest.read(folder_of_step)["digest"])
  assert digests[0] == digests[1]
  dev = events.shown(tmp_path / "both" / "dev", "train/loss")
  report = json.loads((tmp_path / "both" / "report.json").read_text())
  assert [step for step, _ in dev] == [2, 4]
  assert np.float32(report["loss"]) == np.float32(dev[-1][1])
  assert not (tmp_path / "none" / "dev").exists()
  for tag in ("weights/frame_out/kernel", "weights_gradients/frame_out/kernel"):
    shown = events.shown(tmp_path / "both", tag)
    assert [step for step, _ in shown] == [2, 4], tag
    assert not events.shown(tmp_path / "none", tag)


def test_no_source_is_left_out():
  experiment = config.Experiment()
  experiment.flow.absent = 0.3
  assert validation_loss.without_noise(experiment).flow.absent == 0
