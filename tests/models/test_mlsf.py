"""MLSF: groups side by side, independent, sharded, and one more added."""

import dataclasses
import json

import jax
import numpy as np
import pytest

import signllm_jax.train as train
from signllm_jax import config, produce
from signllm_jax.core import clips, errors
from signllm_jax.data import sizes as sizes_lib
from signllm_jax.data.batch_plan import BatchPlan
from signllm_jax.formats import npz, skels
from signllm_jax.parallel import sharding
from signllm_jax.runs import checkpointer, config_check, train_state, workdir
from signllm_jax.training import append_language, setup

CODES = ("ASL", "GSL", "TSL")


def _clip(code: str, number: int) -> clips.Clip:
  length = 6 + (number + len(code)) % 7
  t = np.arange(length)[:, None, None] / 6
  rest = np.random.default_rng(ord(code[0])).normal(0, 0.2, (1, 50, 3))
  frames = rest + 0.05 * np.sin(t * (1 + number % 4) + rest)
  frames[:, 1] = 0
  frames[:, 2], frames[:, 5] = (-1 / 6, 0, 0), (1 / 6, 0, 0)
  words = {"ASL": "abcdefg", "GSL": "äbcdefg", "TSL": "şbcdefghi"}[code]
  return clips.Clip(
    frames.astype(np.float32),
    np.ones((length, 50), bool),
    name=f"clip{number:02d}",
    text=" ".join(words[(number * k) % len(words)] for k in range(1, 4)),
  )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("languages")
  for code, count in zip(CODES, (24, 11, 9), strict=True):
    folder = root / code
    folder.mkdir()
    for split, first, end in (("train", 0, count), ("dev", 24, 27)):
      listed = [_clip(code, i) for i in range(first, end)]
      skels.write(folder / f"{split}.skels", listed)
      for kind, field in (("text", "text"), ("files", "name")):
        lines = "".join(f"{getattr(clip, field)}\n" for clip in listed)
        (folder / f"{split}.{kind}").write_text(lines)
  return root


def _experiment(folders, *codes, steps=4) -> config.Experiment:
  return config.Experiment(
    task="mlsf",
    steps=steps,
    data=config.Data(
      folder=",".join(str(folders / code) for code in codes),
      language=",".join(codes),
      batch_size=8 * len(codes),
      bucket=16,
    ),
    model=config.Model(
      width=64,
      heads=2,
      feed_forward=64,
      encoder_layers=1,
      decoder_layers=1,
      dropout=0.0,
      alignment=True,
    ),
    augment=config.Augment(noise=0.0),
    optim=config.Optim(warmup_steps=2, ema=0.5),
    evaluate=config.Evaluate(every=0, batch_size=8, clips=1),
    checkpoint=config.Checkpoint(every=4),
  )


def _steps(experiment, devices, count=4):
  planned = setup.Run(experiment, sharding.make_mesh(experiment.mesh, devices))
  losses = []
  with jax.set_mesh(planned.mesh):
    current, step = planned.create_state(), planned.make_step()
    batches = planned.batches()
    for i in range(count):
      batch = sharding.put_batch(batches[i], planned.mesh, stacked=True)
      current, metrics = step(current, batch)
      losses.append(float(metrics["loss"]))
  return losses, current, planned


def _leaves(tree):
  return [np.asarray(x) for x in jax.tree.leaves(jax.device_get(tree))]


@pytest.fixture(scope="module")
def one_device(folders):
  return _steps(_experiment(folders, "ASL", "GSL"), jax.devices()[:1])


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
  path = tmp_path_factory.mktemp("runs") / "two"
  experiment = _experiment(folders, "ASL", "GSL")
  assert train.train(experiment, str(path), dry_run=False) == 0
  return path


def test_eight_devices_equal_one_and_hold_their_groups_only(
  folders, one_device
):
  experiment = _experiment(folders, "ASL", "GSL")
  experiment.mesh = config.Mesh(data=4, language=2)
  losses, current, _ = _steps(experiment, jax.devices())
  np.testing.assert_allclose(losses, one_device[0], atol=1e-5)
  for leaf in jax.tree.leaves((current.params, current.ema)):
    assert leaf.sharding.shard_shape(leaf.shape)[0] == 1


def test_a_group_learns_as_if_it_were_alone(folders, one_device):
  _, alone, _ = _steps(_experiment(folders, "GSL"), jax.devices()[:1])
  _, both, planned = one_device
  group = train_state.take_group(both, planned.codes.index("GSL"))
  own = train_state.take_group(alone, 0)
  np.testing.assert_array_equal(group.statistics.mean, own.statistics.mean)
  for ours, expected in zip(
    _leaves((group.params, group.ema)),
    _leaves((own.params, own.ema)),
    strict=True,
  ):
    # Adam turns rounding into steps where the gradient is nothing but that.
    np.testing.assert_allclose(ours, expected, atol=2e-4)


def test_frozen_groups_stay_bit_equal(folders):
  experiment = _experiment(folders, "ASL", "GSL")
  experiment.frozen = "GSL"
  planned = setup.Run(experiment)
  with jax.set_mesh(planned.mesh):
    fresh = planned.create_state()
    before = _leaves((fresh.params, fresh.ema))
  _, current, _ = _steps(experiment, jax.devices()[:1])
  after = _leaves((current.params, current.ema))
  for old, new in zip(before, after, strict=True):
    np.testing.assert_array_equal(new[1], old[1])
  assert any(
    not np.array_equal(new[0], old[0])
    for old, new in zip(before, after, strict=True)
  )


def test_languages_side_by_side_need_little_padding():
  random = np.random.default_rng(0)
  plans = [
    BatchPlan(random.integers(10, 100, n), 8, 8, seed=0, align_lengths=True)
    for n in (400, 300, 90)
  ]
  longest = [max(plan[i][0] for plan in plans) for i in range(200)]
  own = [np.mean([plan[i][0] for plan in plans]) for i in range(200)]
  assert np.mean(own) > 0.85 * np.mean(longest)
  for plan in plans:
    epoch = [plan[i][1] for i in range(plan.batches_per_epoch)]
    np.testing.assert_array_equal(
      np.sort(np.concatenate(epoch)), np.arange(len(plan.lengths))
    )


def test_report_and_produce_by_language(trained, tmp_path):
  report = json.loads((trained / "report.json").read_text())
  assert set(report["languages"]) == {"ASL", "GSL"}
  assert report["sequences"] == 6
  each = [rows["produced"]["dtw_mje"] for rows in report["languages"].values()]
  assert report["rows"]["produced"]["dtw_mje"] == pytest.approx(np.mean(each))
  for code, text in (("ASL", "a b"), ("gsl", "ä b")):
    signed = produce.produce(
      trained,
      tmp_path / f"{code}.npz",
      produce.Request(texts=[text], language=code),
    )
    assert len(npz.read(tmp_path / f"{code}.npz")) == len(signed) == 1
  question = "How do I sign 'ä b' in German Sign Language?"
  (signed,) = produce.produce(
    trained, tmp_path / "q.npz", produce.Request(prompts=[question])
  )
  (asked,) = npz.read(tmp_path / "gsl.npz")
  assert signed.clip.text == "ä b"
  np.testing.assert_array_equal(signed.clip.frames, asked.frames)
  with pytest.raises(errors.UsageError, match="signs ASL"):
    produce.produce(
      trained,
      tmp_path / "x.npz",
      produce.Request(prompts=["How is 'a' signed in KSL?"]),
    )
  with pytest.raises(errors.UsageError, match=r"ASL .* or GSL"):
    produce.produce(trained, tmp_path / "x.npz", produce.Request(texts=["a"]))
  with pytest.raises(errors.UsageError, match="--language=KSL"):
    produce.produce(
      trained, tmp_path / "x.npz", produce.Request(texts=["a"], language="KSL")
    )


@pytest.mark.parametrize(
  "warm", [pytest.param("", marks=pytest.mark.slow), "GSL"]
)
def test_added_language_leaves_others_bit_equal(
  folders, trained, tmp_path, warm
):
  out = tmp_path / "three"
  append_language.append_language(
    trained, out, "TSL", str(folders / "TSL"), warm_start=warm, freeze=True
  )
  before, after = _restored(trained, best=True), _restored(out)
  groups = [train_state.take_group(after, i) for i in range(3)]
  for i in range(2):
    old = train_state.take_group(before, i)
    for was, now in zip(
      _leaves(old.params), _leaves(groups[i].params), strict=True
    ):
      np.testing.assert_array_equal(now[: len(was)], was)
  kernel = [g.params["frame_in"]["kernel"][...] for g in groups]
  assert not np.array_equal(kernel[2], kernel[1])
  average = [g.ema["frame_in"]["kernel"][...] for g in groups]
  assert np.array_equal(kernel[2], average[1]) == bool(warm)
  np.testing.assert_array_equal(average[2], kernel[2])
  experiment = workdir.read_config(out)
  assert experiment.frozen == "ASL,GSL"
  assert train.train(experiment, str(out), dry_run=False) == 0
  later = _restored(out)
  assert int(later.step) == 4
  for was, now in zip(
    _leaves(after.params), _leaves(later.params), strict=True
  ):
    np.testing.assert_array_equal(now[:2], was[:2])


def _restored(path, best=False) -> train_state.TrainState:
  settings, infos = workdir.read_config(path), workdir.read_corpus_infos(path)
  mesh = sharding.make_mesh(config.Mesh(), jax.devices()[:1])
  sizes = sizes_lib.sizes_of(settings, infos)
  abstract = train_state.abstract_state(settings, sizes, mesh, list(infos))
  with checkpointer.Checkpoints(path / "checkpoints", keep=None) as saved:
    return saved.restore(abstract, best=best)[1]


def test_requests_that_cannot_be_met(folders, trained, tmp_path):
  with pytest.raises(errors.UsageError, match="signs GSL already"):
    append_language.append_language(trained, tmp_path / "a", "GSL", "x")
  with pytest.raises(errors.UsageError, match="warm_start=KSL"):
    append_language.append_language(
      trained, tmp_path / "a", "TSL", "x", warm_start="KSL"
    )
  one = _experiment(folders, "ASL", "GSL")
  one.data = dataclasses.replace(one.data, language="ASL")
  with pytest.raises(errors.UsageError, match="2 folders"):
    config_check.check(one)
