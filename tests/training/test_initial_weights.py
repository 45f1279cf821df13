"""Runs that start from the weights of a trained run."""

import dataclasses
import json
import pathlib

import jax
import numpy as np
import pytest
from flax import nnx
from helpers import devices

import signllm_jax.train as train
from signllm_jax import config, export_model
from signllm_jax.core import clips, errors, vocabulary
from signllm_jax.formats import skels
from signllm_jax.parallel import sharding
from signllm_jax.runs import checkpoint_manifest, restore, train_state
from signllm_jax.training import initial_weights, parameters, setup, start


def _write(folder: pathlib.Path, letters: str, scale=1.0, hidden=()) -> None:
  """Twelve swinging skeletons with texts of these letters."""
  folder.mkdir()
  listed = []
  for number in range(12):
    t = np.arange(8 + number % 3)[:, None, None] / 6
    rest = np.random.default_rng(0).normal(0, 0.2, (1, 50, 3))
    frames = scale * (rest + 0.05 * np.sin(t + rest + number))
    frames[:, 1] = 0
    frames[:, 2], frames[:, 5] = (-1 / 6, 0, 0), (1 / 6, 0, 0)
    valid = np.ones((len(frames), 50), bool)
    valid[:, list(hidden)] = False
    word = letters[number % len(letters)] + letters[number // len(letters) % 2]
    listed += [clips.Clip(frames.astype(np.float32), valid, text=word)]
  skels.write(folder / "train.skels", listed)
  (folder / "train.text").write_text("".join(f"{c.text}\n" for c in listed))


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> pathlib.Path:
  root = tmp_path_factory.mktemp("data")
  _write(root / "ASL", "abcd", hidden=[49])
  _write(root / "GSL", "zcba", scale=2.0, hidden=[48])
  return root


def _experiment(*folders: pathlib.Path, task="text_to_pose"):
  return config.Experiment(
    task=task,
    steps=2,
    data=config.Data(
      folder=",".join(map(str, folders)),
      language=",".join(folder.name for folder in folders),
      tokens="characters",
      batch_size=8 * len(folders),
      bucket=16,
    ),
    model=config.Model(
      encoder_layers=1,
      decoder_layers=1,
      width=16,
      heads=2,
      feed_forward=16,
      dropout=0.0,
    ),
    augment=config.Augment(noise=0.0),
    optim=config.Optim(warmup_steps=1, ema=0.9),
    evaluate=config.Evaluate(batch_size=8, clips=1),
    checkpoint=config.Checkpoint(every=1),
  )


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory) -> pathlib.Path:
  """A run on the first corpus."""
  path = tmp_path_factory.mktemp("trained")
  with devices.only(1):
    run = train.train(_experiment(folders / "ASL"), str(path), dry_run=False)
  assert run == 0
  return path


def _start(experiment, path) -> tuple:
  """The plan of a run, and its state at step 0 with and without `path`."""
  prepared = start.prepare(experiment, "", str(path))
  assert prepared.initial is not None
  run = prepared.run
  with jax.set_mesh(run.mesh):
    fresh = run.create_state()
    return (
      prepared.initial,
      fresh,
      initial_weights.apply(prepared.initial, run, fresh),
    )


def _host(params: nnx.State) -> dict[str, np.ndarray]:
  return sharding.to_host(parameters.named(params))


def test_the_same_model_starts_with_the_average_and_the_units(folders, trained):
  chosen, fresh, state = _start(_experiment(folders / "ASL"), trained)
  old = restore.restore(trained).state
  assert not chosen.fresh and not chosen.unused and chosen.keeps_units
  weights, params = _host(old.group.weights), _host(state.params)
  assert set(params) == set(weights)
  for name, value in weights.items():
    np.testing.assert_array_equal(params[name], value, name)
    np.testing.assert_array_equal(_host(state.ema)[name], value, name)
  kernel = "frame_in/kernel"
  assert not np.array_equal(_host(old.params)[kernel], params[kernel])
  for leaf, same in zip(state.statistics, old.statistics, strict=True):
    np.testing.assert_array_equal(leaf, same)
  assert int(state.step) == 0 and int(state.progress.evaluated) == -1
  for leaf, same in zip(
    jax.tree.leaves(state.opt_state),
    jax.tree.leaves(fresh.opt_state),
    strict=True,
  ):
    np.testing.assert_array_equal(leaf, same)


def test_another_corpus_takes_rows_by_token_and_keeps_the_units(
  folders, trained
):
  chosen, fresh, state = _start(_experiment(folders / "GSL"), trained)
  restored = restore.restore(trained)
  old = _host(restored.state.group.weights)["encoder/embedding"]
  first, table = (_host(x.params)["encoder/embedding"] for x in (fresh, state))
  assert chosen.describe().splitlines()[1] == (
    "by token    encoder/embedding: 7 of 8 tokens"
  )
  # <pad> <unk> <s> </s>, then letters by frequency: z is the new one.
  mine = start.prepare(_experiment(folders / "GSL"), "").run.infos["GSL"]
  there = restored.infos["ASL"].vocabulary.entries
  for i, token in enumerate(mine.vocabulary.entries):
    same = first[i] if token == "z" else old[there.index(token)]
    np.testing.assert_array_equal(table[i], same, token)
  mean, kept = (
    np.asarray(x.statistics.mean).reshape(50, 3)
    for x in (restored.state, state)
  )
  np.testing.assert_array_equal(kept[:49], mean[:49])
  measured = np.asarray(fresh.statistics.mean).reshape(50, 3)
  assert measured[49].any()  # which the first corpus never shows
  np.testing.assert_array_equal(kept[49], measured[49])
  assert np.asarray(state.statistics.seen).all()
  assert float(state.statistics.scale) == float(restored.state.statistics.scale)


def test_another_decoder_lists_what_is_fresh(folders, trained):
  experiment = _experiment(folders / "ASL")
  experiment.model.decoder = "flow"
  chosen, fresh, state = _start(experiment, trained)
  taken = {"frame_in/kernel", "encoder/norm/scale", "decoder_norm/bias"}
  assert taken <= set(chosen.taken) and "encoder/embedding" in chosen.tables
  assert {"modulation/kernel", "frame_out/kernel"} <= set(chosen.fresh)
  said = chosen.describe()
  assert "modulation" in said and "modulation/kernel" not in said
  old, new, first = (
    _host(x)
    for x in (restore.restore(trained).state.ema, state.params, fresh.params)
  )
  for name in chosen.taken:
    np.testing.assert_array_equal(new[name], old[name], name)
  for name in chosen.fresh:
    np.testing.assert_array_equal(new[name], first[name], name)
  for mine, own in zip(
    state.statistics.noise, fresh.statistics.noise, strict=True
  ):
    np.testing.assert_array_equal(mine, own)


@pytest.mark.slow
def test_groups_start_from_one_model_and_a_model_from_its_group(
  folders, trained, tmp_path
):
  both = _experiment(folders / "ASL", folders / "GSL", task="mlsf")
  with devices.only(1):
    _, _, state = _start(both, trained)
    old = _host(restore.restore(trained).state.group.weights)
    params = _host(state.params)
    for group in range(2):
      np.testing.assert_array_equal(
        params["frame_in/kernel"][group], old["frame_in/kernel"]
      )
    work = tmp_path / "both"
    assert train.train(both, str(work), False, init=str(trained)) == 0
    chosen, _, single = _start(_experiment(folders / "GSL"), work)
    group = train_state.take_group(restore.restore(work).state, 1)
    assert chosen.groups == [1] and not chosen.fresh
    for name, value in _host(group.weights).items():
      if name == "encoder/embedding":  # padded to the largest vocabulary
        value = value[: len(_host(single.params)[name])]
      np.testing.assert_array_equal(_host(single.params)[name], value, name)
    unknown = _experiment(folders / "GSL")
    unknown.data.language = "KSL"
    with pytest.raises(errors.UsageError, match="one of ASL, GSL"):
      start.prepare(unknown, "", str(work))


def test_a_run_is_recorded_saved_at_once_and_goes_on_by_itself(
  folders, trained, tmp_path, capsys
):
  model = tmp_path / "model.safetensors"
  export_model.export_model(trained, model)
  experiment = _experiment(folders / "GSL")
  whole, parts = tmp_path / "whole", tmp_path / "parts"
  with devices.only(1):
    assert train.train(experiment, str(whole), False, init=str(trained)) == 0
    assert "encoder/embedding: 7 of 8 tokens" in capsys.readouterr().out
    record = json.loads((whole / "initial.json").read_text())
    assert record["path"] == str(trained) and record["step"] == 2
    assert record["by_token"] == {"encoder/embedding": [7, 8]}
    assert record["digest"] == restore.identify(trained)["digest"]
    short = dataclasses.replace(experiment, steps=1)
    assert train.train(short, str(parts), False, init=str(model)) == 0
    assert train.train(experiment, str(parts), dry_run=False) == 0
    capsys.readouterr()
    assert train.train(experiment, str(parts), False, init=str(model)) == 0
  assert "is not applied again" in capsys.readouterr().out
  digests = [
    checkpoint_manifest.read(work / "checkpoints" / "2")["digest"]
    for work in (whole, parts)
  ]
  assert digests[0] == digests[1]


def test_what_cannot_be_taken_is_refused(folders, trained, tmp_path):
  experiment = _experiment(folders / "ASL")
  for path, message in (
    (tmp_path / "nowhere", "not the work directory of a run"),
    (tmp_path / "a.safetensors", "no such file"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      train.train(experiment, "", dry_run=True, init=str(path))
  wide = _experiment(folders / "ASL")
  wide.model.width = 32
  wide.model.feed_forward = 8
  wide.model.learnt_start = False
  wide.model.alignment = wide.model.visibility = False
  with pytest.raises(errors.UsageError, match=r"there, .* here"):
    train.train(wide, str(tmp_path / "wide"), False, init=str(trained))
  assert not (tmp_path / "wide").exists()
  with pytest.raises(errors.UsageError, match="beside --memory"):
    train.train(experiment, "", dry_run=True, memory=1, init=str(trained))


def test_tokens_are_matched_by_what_they_are():
  def build(*entries):
    return vocabulary.Vocabulary((*vocabulary.SPECIALS, *entries), "words")

  ids = parameters.match_tokens(build("b", "x", "</s>"), build("</s>", "b"))
  assert ids.tolist() == [0, 1, 2, 3, 5, -1, 4]
  assert (parameters.match_tokens(build("b"), None) == -1).all()


def test_tables_have_the_vocabulary_of_their_task(folders):
  run = setup.Run(_experiment(folders / "ASL"))
  info = dataclasses.replace(
    run.infos["ASL"],
    gloss_vocabulary=vocabulary.Vocabulary(vocabulary.SPECIALS, "words"),
  )
  glosses = {
    (task, table)
    for task, table in (
      ("text_to_pose", "encoder/embedding"),
      ("text_to_gloss", "decoder/embedding"),
      ("text_to_gloss", "encoder/embedding"),
      ("text_to_gloss", "encoder/affixes/vectors"),
      ("text2langgloss", "text/encoder/embedding"),
      ("text2langgloss", "text/decoder/out/kernel"),
      ("pose_to_text", "decoder/out/bias"),
      ("pose_to_text", "gloss_out/kernel"),
    )
    if parameters.vocabulary_of(task, table, info) is info.gloss_vocabulary
  }
  assert glosses == {
    ("text_to_gloss", "decoder/embedding"),
    ("text2langgloss", "text/decoder/out/kernel"),
    ("pose_to_text", "gloss_out/kernel"),
  }
