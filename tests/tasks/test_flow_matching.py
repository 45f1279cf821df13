"""The generative decoder in training: devices, precision, tasks, doors."""

import json

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from helpers import devices, small_steps

import signllm_jax.train as train
from signllm_jax import config, export_model
from signllm_jax.core import clips, errors, vocabulary
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.formats import skels
from signllm_jax.inference import load
from signllm_jax.runs import config_check
from signllm_jax.tasks import flow_matching

CODES = ("ASL", "GSL")


def _flow() -> config.Experiment:
  experiment = small_steps.new_experiment()
  experiment.model.decoder, experiment.augment.noise = "flow", 0.0
  return experiment


@pytest.mark.slow
def test_flow_matching_learns_and_is_the_same_on_eight_devices():
  experiment = _flow()
  one, _, metrics = small_steps.run(experiment, jax.devices()[:1], 20)
  assert one[-5:].mean() < 0.8 * one[:5].mean()
  terms = ("loss_flow", "loss_bones", "loss_length", "loss_visibility")
  np.testing.assert_allclose(
    metrics["loss"], sum(metrics[name] for name in terms), rtol=1e-5
  )
  experiment.mesh = config.Mesh(data=2, fsdp=2, tensor=2)
  eight, _, _ = small_steps.run(experiment, jax.devices(), 4)
  np.testing.assert_allclose(eight, one[:4], atol=2e-5)


@pytest.mark.slow
def test_the_length_weighs_as_the_counter_of_a_regression_does():
  found = []
  for weight in (1.0, 10.0):
    experiment = _flow()
    experiment.loss.counter_weight = weight
    _, _, metrics = small_steps.run(experiment, jax.devices()[:1], 1)
    found.append(metrics)
  one, ten = found
  assert float(one["loss_length"]) != 0
  np.testing.assert_allclose(
    ten["loss_length"], 10 * one["loss_length"], rtol=1e-4
  )
  np.testing.assert_allclose(ten["loss_flow"], one["loss_flow"], rtol=1e-4)


@pytest.mark.slow
def test_micro_batches_and_bfloat16_learn_alike():
  experiment = _flow()
  experiment.model.compute_dtype = "bfloat16"
  experiment.optim.accumulate = 2
  losses, state, _ = small_steps.run(experiment, jax.devices()[:1], 20)
  assert losses[-5:].mean() < 0.8 * losses[:5].mean()
  kinds = {leaf.dtype for leaf in jax.tree.leaves(state.params)}
  assert kinds == {jnp.dtype("float32")}


@pytest.mark.parametrize(
  ("field", "value"),
  [
    ("rl.loss", "policy_gradient"),
    ("model.future", 2),
    ("augment.noise", 5.0),
  ],
)
def test_what_belongs_to_regression_is_refused(field, value):
  experiment = _flow()
  section, name = field.split(".")
  setattr(getattr(experiment, section), name, value)
  with pytest.raises(errors.UsageError, match=field):
    config_check.check(experiment)


def test_every_number_has_a_target():
  """Nothing of a hand that a clip never shows is left to chance."""
  _, fresh, _, batches = small_steps.start(_flow(), jax.devices()[:1])
  batch = {name: jnp.asarray(value) for name, value in batches[0].items()}
  hidden = batch["valid"].at[:, :, 8:29].set(False)
  made = flow_matching.targets(
    batch | {"valid": hidden}, fresh.statistics, PROMPT2SIGN50
  ).poses
  hand = made.reshape(*hidden.shape, 3)[:, :, 8:29]
  assert not np.asarray(hand).any() and np.isfinite(np.asarray(made)).all()
  gaps = flow_matching.targets(batch, fresh.statistics, PROMPT2SIGN50)
  gaps = np.asarray(gaps.poses).reshape(*hidden.shape, 3)
  missing = ~np.asarray(batch["valid"])
  inside = np.arange(missing.shape[1]) < np.asarray(batch["length"])[:, None]
  assert np.abs(gaps[missing & inside[..., None]]).min() > 0


def _clip(number: int) -> clips.Clip:
  t = np.arange(10 + number % 3)[:, None, None] / 10
  joint = np.arange(50)[None, :, None]
  frames = np.sin(t * (1 + number % 3) + joint + np.arange(3)[None, None])
  valid = np.ones(frames.shape[:2], bool)
  if number % 2:
    valid[:, 8:29] = False
  frames[~valid] = 0
  words = "abcd"[number % 4]
  return clips.Clip(frames.astype(np.float32), valid, 25.0, str(number), words)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("flow")
  for code in CODES:
    folder = root / code
    folder.mkdir()
    for split in ("train", "dev"):
      listed = [_clip(i) for i in range(8)]
      skels.write(folder / f"{split}.skels", listed)
      for kind in ("text", "gloss"):
        lines = "".join(f"{clip.text}\n" for clip in listed)
        (folder / f"{split}.{kind}").write_text(lines)
  return root


def _experiment(root, task: str) -> config.Experiment:
  codes = CODES[:1] if task == "text_to_pose" else CODES
  experiment = _flow()
  experiment.task, experiment.steps = task, 4
  experiment.data = config.Data(
    folder=",".join(str(root / code) for code in codes),
    language=",".join(codes),
    glosses=task == "text2langgloss",
    batch_size=4,
    bucket=16,
  )
  experiment.flow.steps = 2
  experiment.model.width, experiment.model.feed_forward = 16, 16
  experiment.optim.ema = 0.9
  experiment.evaluate = config.Evaluate(every=2, batch_size=4)
  experiment.checkpoint.every = 2
  return experiment


@pytest.mark.long
@pytest.mark.parametrize(
  "task",
  [
    "text_to_pose",
    pytest.param("mlsf", marks=pytest.mark.slow),
    pytest.param("text2langgloss", marks=pytest.mark.slow),
  ],
)
def test_every_task_trains_signs_and_is_exported(folders, tmp_path, task):
  work = tmp_path / "run"
  with devices.only(1):
    run = _experiment(folders, task)
    assert train.train(run, str(work), dry_run=False) == 0
    producer = load.load_producer(work, "ASL")
    assert producer.stochastic
    first, second = producer.produce(["b", "b"], seed=1)
    assert first.frames.tobytes() != second.frames.tobytes()
    out = tmp_path / "programs"
    flags = [f"--workdir={work}", f"--out={out}", "--language=ASL"]
    assert export_model.main(flags) == 0
  about = json.loads((out / "model.json").read_text())
  sign = jax.export.deserialize((out / "sign.bin").read_bytes())
  ids = np.zeros((1, about["source_length"]), np.int32)
  tokens = producer.info.vocabulary.encode(
    "<ASL> b" if task == "text2langgloss" else "b"
  )
  ids[0, : len(tokens)] = tokens
  inputs = [ids]
  if task == "text2langgloss":
    write = jax.export.deserialize((out / "gloss.bin").read_bytes())
    inputs.append(np.asarray(write.call(ids)))
  poses, shown, length = sign.call(*inputs, np.uint32(1))
  n = int(length[0])
  assert min(n, about["limit"]) == len(first)
  assert poses.shape == (1, about["limit"], PROMPT2SIGN50.num_joints, 3)
  np.testing.assert_array_equal(shown[0, :n], first.valid)
  np.testing.assert_allclose(poses[0, :n], first.frames, atol=1e-4)
  assert tokens[-1] == vocabulary.EOS
