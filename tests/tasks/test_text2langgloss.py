"""Text to gloss and Text2LangGloss: one model, two languages, never mixed."""

import dataclasses
import itertools
import json

import jax
import jax.export
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from helpers import devices

import signllm_jax.evaluate as evaluate
import signllm_jax.train as train
from signllm_jax import config, export_model, produce
from signllm_jax.core import affixes, clips, errors, gloss, vocabulary
from signllm_jax.data import (
  corpus_info,
  datasets,
  text_gloss_corpus,
)
from signllm_jax.evaluation import glossed_twice, glossing
from signllm_jax.formats import skels
from signllm_jax.inference import gloss_flags, glosser, load
from signllm_jax.models import text_to_gloss as models
from signllm_jax.parallel import sharding
from signllm_jax.runs import config_check, restore
from signllm_jax.tasks import text2langgloss
from signllm_jax.training import parameters, setup

CODES = ("ASL", "GSL")
LETTERS = "abcd"
WORDS = ["".join(w) for w in itertools.product(LETTERS, repeat=4)][::7]


def _gloss(code: str, word: str) -> str:
  """Letters in capitals; GSL's from the last to the first."""
  return " ".join(word.upper() if code == "ASL" else word.upper()[::-1])


def _clip(code: str, word: str) -> clips.Clip:
  """Four frames a letter of its gloss, a pose each; GSL has its own."""
  random = np.random.default_rng(CODES.index(code))
  poses = random.normal(0, 0.2, (len(LETTERS), 50, 3))
  poses[:, 1] = 0
  poses[:, 2], poses[:, 5] = (-1 / 6, 0, 0), (1 / 6, 0, 0)
  letters = _gloss(code, word).lower().split()
  frames = poses[[LETTERS.index(letter) for letter in letters]].repeat(4, 0)
  return clips.Clip(
    frames.astype(np.float32),
    np.ones((len(frames), 50), bool),
    name=f"{code}-{word}",
    text=word,
    gloss=_gloss(code, word),
  )


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
  root = tmp_path_factory.mktemp("glosses")
  for code in CODES:
    folder = root / code
    folder.mkdir()
    for split, words in (("train", WORDS), ("dev", WORDS[::4])):
      listed = [_clip(code, word) for word in words]
      skels.write(folder / f"{split}.skels", listed)
      for kind, field in (("text", "text"), ("gloss", "gloss")):
        lines = "".join(f"{getattr(clip, field)}\n" for clip in listed)
        (folder / f"{split}.{kind}").write_text(lines)
  return root


def _experiment(folders, task: str, steps: int) -> config.Experiment:
  return config.Experiment(
    task=task,
    steps=steps,
    log_every=50,
    data=config.Data(
      folder=",".join(str(folders / code) for code in CODES),
      language=",".join(CODES),
      tokens="words+characters",
      min_count=10,
      batch_size=16,
      bucket=16,
    ),
    model=config.Model(
      encoder_layers=1,
      decoder_layers=1,
      width=32,
      heads=2,
      feed_forward=64,
      dropout=0.0,
      scale_embeddings=True,
      alignment=True,
      just_counter=True,
    ),
    augment=config.Augment(noise=0.0),
    loss=config.Loss(kind="l1", counter_weight=10, counter_unit="frames"),
    gloss=config.Gloss(label_smoothing=0.0, beam=2),
    optim=config.Optim(learning_rate=1e-2, warmup_steps=10, clip_norm=1.0),
    evaluate=config.Evaluate(every=0, batch_size=16, clips=1),
    checkpoint=config.Checkpoint(every=1000),
  )


def _train(folders, task, steps, path):
  experiment = _experiment(folders, task, steps)
  with devices.only(2):
    assert train.train(experiment, str(path), dry_run=False) == 0
  return path


@pytest.fixture(scope="module")
def writes(folders, tmp_path_factory):
  """Work directory of a model that writes glosses."""
  path = tmp_path_factory.mktemp("writes") / "run"
  return _train(folders, "text_to_gloss", 300, path)


@pytest.fixture(scope="module")
def signs(folders, tmp_path_factory):
  """Work directory of a model that writes glosses and signs them."""
  path = tmp_path_factory.mktemp("signs") / "run"
  return _train(folders, "text2langgloss", 300, path)


def _report(path):
  return json.loads((path / "report.json").read_text())


def test_targets_end_and_inputs_start():
  made = jnp.array([[7, 8, 0], [5, 6, 9], [0, 0, 0]])
  np.testing.assert_array_equal(
    text2langgloss.targets(made),
    [[7, 8, vocabulary.EOS, 0], [5, 6, 9, vocabulary.EOS], [0, 0, 0, 0]],
  )
  np.testing.assert_array_equal(
    models.prepend_bos(made)[:2],
    [[vocabulary.BOS, 7, 8, 0], [vocabulary.BOS, 5, 6, 9]],
  )
  assert int(text2langgloss.count_targets(made)) == 7
  assert int(text2langgloss.count_targets(made[2:])) == 1


def test_pairs_carry_their_language(folders):
  part = config.Data(folder=str(folders / "GSL"), language="GSL")
  (first, *_) = text_gloss_corpus.open_pairs(part, "train")
  assert first.source == "<GSL> aaaa"
  assert first.gloss == "<GSL_A> <GSL_A> <GSL_A> <GSL_A>"
  assert gloss.strip_marks(first.gloss) == "A A A A"


def test_glosses_are_cleaned_where_asked(tmp_path):
  (tmp_path / "train.text").write_text("guten abend\n")
  (tmp_path / "train.gloss").write_text("__ON__ loc-NORD ABEND ABEND\n")
  part = config.Data(folder=str(tmp_path), language="GSL")
  (raw,) = text_gloss_corpus.open_pairs(part, "train")
  assert gloss.strip_marks(raw.gloss) == "__ON__ loc-NORD ABEND ABEND"
  (clean,) = text_gloss_corpus.open_pairs(
    dataclasses.replace(part, clean_glosses="GSL"), "train"
  )
  assert gloss.strip_marks(clean.gloss) == "NORD ABEND"


def test_files_of_unequal_length_are_refused(tmp_path):
  (tmp_path / "train.text").write_text("a\nb\n")
  (tmp_path / "train.gloss").write_text("A\n")
  part = config.Data(folder=str(tmp_path), language="GSL")
  with pytest.raises(errors.DataError, match=r"train.gloss.*1 lines.*2 as in"):
    text_gloss_corpus.open_pairs(part, "train")


def test_a_batch_counts_each_pair_once_an_epoch(folders):
  experiment = _experiment(folders, "text_to_gloss", 1)
  made = setup.Run(experiment)
  (corpus,) = made.corpora
  assert isinstance(corpus, text_gloss_corpus.TextGlossCorpus)
  batches = corpus.batches(corpus.plan.batches_per_epoch)
  rows = 0
  for i in range(len(batches)):
    batch = batches[i]
    real = batch["length"] > 0
    rows += int(real.sum())
    assert not batch["gloss"][~real].any()
    assert (batch["gloss"][real, 0] >= len(vocabulary.SPECIALS)).all()
  assert rows == 2 * len(WORDS) == len(corpus.train)


def test_packed_rows_hold_every_pair_once_an_epoch(folders):
  experiment = _experiment(folders, "text_to_gloss", 1)
  experiment.data.pack, experiment.data.batch_size = 24, 8
  made = setup.Run(experiment)
  (corpus,) = made.corpora
  assert isinstance(corpus, text_gloss_corpus.TextGlossCorpus)
  steps = range(corpus.plan.batches_per_epoch)
  ids = [i for step in steps for i in corpus.examples(step)]
  assert sorted(ids) == list(range(len(corpus.train)))
  batches = corpus.batches(len(steps))
  assert len({batches[i]["source"].shape for i in steps}) == 1
  ends = sum(int((batches[i]["gloss"] == vocabulary.EOS).sum()) for i in steps)
  assert ends == len(corpus.train)
  names = {name.split("(")[1] for name in made.sample_names(0)}
  assert names == {f"{corpus.train[i].name})" for i in corpus.examples(0)}


@pytest.mark.parametrize("pack", [0, 24])
def test_joined_pairs_are_the_same_ones_eight_times_an_epoch(folders, pack):
  experiment = _experiment(folders, "text_to_gloss", 1)
  experiment.data.pack, experiment.data.joined = pack, 0.5
  made = setup.Run(experiment)
  (corpus,) = made.corpora
  assert isinstance(corpus, text_gloss_corpus.TextGlossCorpus)
  steps = range(corpus.plan.batches_per_epoch)
  ids = [i for step in steps for i in corpus.examples(step)]
  assert sorted(ids) == sorted(8 * list(range(len(corpus.train))))
  source = corpus.batches(len(steps))
  batches = [source[i] for i in steps]
  ends = sum(int((batch["gloss"] == vocabulary.EOS).sum()) for batch in batches)
  assert ends <= len(ids)  # two joined ones end once
  assert not pack or ends < 0.9 * len(ids)
  words = sum(int((batch["gloss"] > vocabulary.EOS).sum()) for batch in batches)
  assert words == 8 * sum(len(pair.gloss.split()) for pair in corpus.train)
  assert "50% joined, 8 draws an epoch" in made.describe()


def test_rare_words_are_spelt_but_rare_glosses_stay(folders):
  part = config.Data(
    folder=str(folders / "ASL"), language="ASL", glosses=True, min_count=1000
  )
  info = corpus_info.summarise(datasets.open_clips(part, "train"), part).info
  assert info.vocabulary.entries == vocabulary.SPECIALS
  assert info.gloss_vocabulary is not None
  assert set(info.gloss_vocabulary.entries) == {*vocabulary.SPECIALS, *"ABCD"}


def test_an_epoch_with_temperature_holds_every_pair(folders):
  experiment = _experiment(folders, "text_to_gloss", 1)
  experiment.data.temperature = 3.0
  (corpus,) = setup.Run(experiment).corpora
  steps = range(corpus.plan.batches_per_epoch)
  ids = [i for step in steps for i in corpus.examples(step)]
  assert set(ids) == set(range(len(corpus.train)))


def test_it_learns_the_glosses_of_both_languages(writes):
  report = _report(writes)
  for code in CODES:
    rows = report["languages"][code]
    assert rows["produced"]["bleu4"] > 90
    assert rows["produced"]["bleu4"] > rows["other"]["bleu4"]
    assert set(rows["produced"]) >= {"bleu4", "rouge_l", "wer"}


@pytest.mark.parametrize("length_limit", [1.5, 0.1])
def test_only_tokens_of_the_language_are_written(folders, length_limit):
  """Even by a model that has learnt nothing, and never nothing at all."""
  experiment = _experiment(folders, "text_to_gloss", 1)
  experiment.evaluate.length_limit = length_limit
  planned = setup.Run(experiment)
  made = planned.create_state()
  for code in CODES:
    model = planned.generator(made, code)
    assert isinstance(model, glosser.Glosser)
    found = model.write(["abc", "d", "never seen", "?"])
    assert found is not None and all(found)
    for line in found:
      assert {gloss.parse_token(token)[0] for token in line.split()} == {code}


def test_an_unknown_word_is_spelt_not_dropped(writes):
  config_, info, mesh, made = restore.restore(writes)
  model = load.generator(config_, info, made, "ASL", mesh)
  assert isinstance(model, glosser.Glosser)
  assert "▁d" in model.info.vocabulary.tokenize("dddd")
  found = model.write(["dad"])
  assert found is not None
  assert "<ASL_D>" in found[0].split()


@pytest.mark.slow
def test_affixes_are_learnt_saved_and_read_back(folders, tmp_path):
  experiment = _experiment(folders, "text_to_gloss", 2)
  experiment.data.min_count, experiment.model.affixes = 1, True
  start = setup.Run(experiment).create_state()
  with devices.only(2):
    assert train.train(experiment, str(tmp_path / "run"), dry_run=False) == 0
  *_, made = restore.restore(tmp_path / "run")
  fresh, learnt = (
    np.asarray(parameters.named(state.params)["encoder/affixes/vectors"])
    for state in (start, made)
  )
  moved = np.abs(fresh - learnt).max(-1)
  known = affixes.Affixes(setup.Run(experiment).infos["ASL"].vocabulary).known
  assert "ab-" in known.entries and len(known) == len(moved)
  assert not moved[: len(vocabulary.SPECIALS)].any()
  assert (moved[len(vocabulary.SPECIALS) :] > 0).mean() > 0.5
  written = load.load_glosser(tmp_path / "run", "ASL").write(["abad"])
  assert written is not None and written[0]


def test_a_model_together_with_itself_writes_what_it_writes_alone(writes):
  texts = ["abcd", "dad", "cab"]
  alone = load.load_glosser(writes, "GSL").write(texts)
  options = gloss_flags.GlossOptions(ensemble=[writes, writes])
  assert load.load_glosser(writes, "GSL", options).write(texts) == alone


def test_least_risk_writes_the_same_for_a_text_in_any_company(writes):
  options = gloss_flags.GlossOptions(samples=8)
  model = load.load_glosser(writes, "ASL", options)
  together = model.write(["abcd", "dad", "bb"])
  assert together is not None
  assert model.write(["dad"]) == together[1:2]
  assert together[0] == gloss.mark(_gloss("ASL", "abcd"), "ASL")


@pytest.mark.slow
def test_models_of_other_data_do_not_write_together(writes, folders, tmp_path):
  experiment = _experiment(folders, "text_to_gloss", 1)
  experiment.data.min_count = 1
  with devices.only(2):
    train.train(experiment, str(tmp_path / "other"), dry_run=False)
  options = gloss_flags.GlossOptions(ensemble=[tmp_path / "other"])
  with pytest.raises(errors.UsageError, match="other vocabularies"):
    load.load_glosser(writes, "GSL", options)


def test_a_run_of_glosses_is_scored_with_intervals(writes, tmp_path, capsys):
  arguments = [f"--workdir={writes}", "--language=ASL", "--split=dev"]
  arguments += [f"--out={tmp_path}", "--ensemble", str(writes)]
  assert evaluate.main([*arguments, "--gloss_beam=0"]) == 1
  assert "--gloss_beam=0" in capsys.readouterr().err
  assert evaluate.main([*arguments, "--seeds=3"]) == 1
  assert "--seeds=3 for a model that writes" in capsys.readouterr().err
  assert evaluate.main([*arguments, "--gloss_samples=4"]) == 0
  table = capsys.readouterr().out
  assert "all models together" in table and "mean of the models" in table
  report = json.loads((tmp_path / "report.json").read_text())
  value, low, high = report["rows"]["together"]["bleu4"]
  assert 90 < low <= value <= high
  assert report["rows"]["over_models"]["bleu4"][0] == pytest.approx(value)
  assert report["gloss"]["samples"] == 4
  made = (tmp_path / "produced.gloss").read_text().splitlines()
  assert len(made) == report["sentences"] == len(WORDS[::4])


def test_two_glosses_of_a_text_are_compared_and_texts_count_once():
  def pair(text: str, line: str) -> text_gloss_corpus.Pair:
    return text_gloss_corpus.Pair("x", text, gloss.mark(line, "GSL"))

  pairs = [pair("a", "A"), pair("b", "B"), pair("b", "B"), pair("c", "C")]
  pairs += [pair("c", line) for line in ("D", "E", "F")]
  found = glossed_twice.find(pairs)
  assert found is not None and found.texts == 2
  (recognised,) = [m for m in glossing.METRICS if m.key == "recognised"]
  assert found.score(recognised) == pytest.approx(50)
  assert glossed_twice.find(pairs[:2]) is None


def test_a_model_of_glosses_does_not_sign(writes):
  with pytest.raises(errors.UsageError, match="writes glosses"):
    load.load_producer(writes, "ASL")


def test_gloss_and_pose_come_out_of_one_model(signs):
  report = _report(signs)
  for code in CODES:
    rows = report["languages"][code]
    share = rows["produced"]["dtw_mje"] / rows["mean_pose"]["dtw_mje"]
    assert share < 0.25, (code, share)
  for code in CODES:
    producer = load.load_producer(signs, code)
    made = producer.produce(WORDS[::4])
    assert made is not None
    expected = [_gloss(code, word) for word in WORDS[::4]]
    right = [a.gloss == b for a, b in zip(made, expected, strict=True)]
    assert np.mean(right) > 0.9


def test_the_same_word_is_signed_in_the_language_asked_for(signs):
  """Each language's letters lie nearer to its own poses than to the other's."""
  for code, other in (CODES, CODES[::-1]):
    made = load.load_producer(signs, code).produce(["abcd", "dcab"])
    assert made is not None
    for clip in made:
      own, strange = (
        np.abs(
          clip.frames[:, None] - np.concatenate([_clip(c, "abcd").frames])
        ).mean((2, 3))
        for c in (code, other)
      )
      assert own.min(1).mean() < strange.min(1).mean()


def test_both_halves_take_the_average_where_there_is_one(signs):
  restored = restore.restore(signs)
  trained = restored.state.params
  nothing = jax.tree.map(jnp.zeros_like, trained)
  averaged = restored.state._replace(params=nothing, ema=trained)
  expected, found = (
    load.build_producer(restored._replace(state=state), signs, "GSL").produce(
      ["abcd"]
    )
    for state in (restored.state, averaged)
  )
  assert expected and found and found[0].gloss == expected[0].gloss
  np.testing.assert_array_equal(found[0].frames, expected[0].frames)


def test_the_command_signs_in_either_language(signs, tmp_path, capsys):
  for code in CODES:
    out = tmp_path / f"{code}.npz"
    arguments = [f"--workdir={signs}", f"--language={code}", "--text=abcd"]
    assert produce.main([*arguments, f"--out={out}"]) == 0
    assert out.exists()
  capsys.readouterr()
  assert produce.main([f"--workdir={signs}", "--text=abcd", "--out=x.npz"]) == 1
  assert "which sign language" in capsys.readouterr().err


def test_programs_write_the_gloss_and_sign_it(signs, tmp_path):
  out = tmp_path / "deployed"
  asked = [f"--workdir={signs}", "--language=GSL"]
  assert export_model.main([*asked, f"--out={out}"]) == 0
  about = json.loads((out / "model.json").read_text())
  write, encode, step = (
    jax.export.deserialize((out / f"{name}.bin").read_bytes())
    for name in ("gloss", "encode", "step")
  )
  ids = np.zeros((1, about["source_length"]), np.int32)
  # Rare words are spelt: a character a token, the mark alone is a word.
  words = (about["before"] + "abcd").split()
  listed = about["vocabulary"]
  assert words == ["<GSL>", "abcd"]
  spelt = [
    vocabulary.SPACE,
    *(vocabulary.SPACE + letter for letter in words[1]),
  ]
  tokens = [listed.index(token) for token in [words[0], *spelt]] + [
    vocabulary.EOS
  ]
  ids[0, : len(tokens)] = tokens
  (expected,) = load.load_producer(signs, "GSL").produce(["abcd"])
  written = write.call(ids)
  glosses = [about["glosses"][i] for i in np.asarray(written)[0] if i]
  assert gloss.strip_marks(" ".join(glosses)) == expected.gloss == "D C B A"
  frames, state = [], encode.call(ids, written)
  for _ in range(about["limit"]):
    pose, _, length, *state = step.call(*state)
    frames.append(np.asarray(pose)[0])
    if length[0]:
      break
  np.testing.assert_allclose(np.stack(frames), expected.frames, atol=1e-5)


def test_the_command_writes_glosses_alone(writes, signs, tmp_path, capsys):
  texts = tmp_path / "texts.txt"
  texts.write_text("abcd\nDABC\n")
  for path in (writes, signs):
    out = tmp_path / f"{path.parent.name}.gloss"
    arguments = [f"--workdir={path}", "--language=gsl", f"--file={texts}"]
    assert produce.main([*arguments, f"--out={out}"]) == 0
    first, second = out.read_text().splitlines()
    assert first == _gloss("GSL", "abcd")
    assert second and "'DABC' is read as 'dabc'" in capsys.readouterr().err


@pytest.mark.slow
def test_steps_on_eight_devices_equal_one(folders):
  experiment = _experiment(folders, "text2langgloss", 3)
  losses = []
  for chosen in (jax.devices()[:1], jax.devices()):
    planned = setup.Run(experiment, sharding.make_mesh(experiment.mesh, chosen))
    with jax.set_mesh(planned.mesh):
      made, step = planned.create_state(), planned.make_step()
      batches = planned.batches()
      each = []
      for i in range(3):
        made, metrics = step(made, sharding.put_batch(batches[i], planned.mesh))
        each.append(float(metrics["loss"]))
    losses.append(each)
  np.testing.assert_allclose(losses[0], losses[1], rtol=1e-5)


def test_poses_see_the_gloss_and_not_what_is_after_it(folders):
  """State i depends on gloss i, and not on the glosses after it."""
  experiment = _experiment(folders, "text_to_gloss", 1)
  model = models.TextToGloss(experiment.model, 20, 12, nnx.Rngs(0))
  source = jnp.array([[5, 6, 7, vocabulary.EOS]])
  first = jnp.array([[5, 6, 7]])
  for at in range(3):
    changed = first.at[0, at].set(9)
    a, b = (
      model.states(source, models.prepend_bos(g)) for g in (first, changed)
    )
    differs = np.abs(np.asarray(a - b)).max((0, 2)) > 1e-6
    np.testing.assert_array_equal(differs, np.arange(4) > at)


def test_fields_of_the_task_are_checked(folders):
  bad = _experiment(folders, "text_to_gloss", 1)
  bad.gloss.label_smoothing = 1.0
  with pytest.raises(errors.UsageError, match=r"gloss\.label_smoothing"):
    config_check.check(bad)
  bad = _experiment(folders, "text2langgloss", 1)
  bad.data.language = "ASL"
  with pytest.raises(errors.UsageError, match="2 folders"):
    config_check.check(bad)


def test_metrics_are_named_as_the_field_names_them():
  assert [m.key for m in glossing.METRICS][:5] == [
    "recognised",
    "bleu1",
    "bleu2",
    "bleu3",
    "bleu4",
  ]


def test_a_dev_split_of_another_name_is_refused(tmp_path):
  for name in ("train", "val"):
    (tmp_path / f"{name}.text").write_text("guten tag\n")
    (tmp_path / f"{name}.gloss").write_text("TAG\n")
  part = config.Data(folder=str(tmp_path), language="GSL")
  with pytest.raises(errors.DataError, match=r"val\.text: a split of another"):
    text_gloss_corpus.open_pairs(part, "train")
  for kind in ("text", "gloss"):
    (tmp_path / f"val.{kind}").rename(tmp_path / f"dev.{kind}")
  assert len(text_gloss_corpus.open_pairs(part, "dev")) == 1
