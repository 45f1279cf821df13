"""Pose to text: model, losses, searches, and a reader that reads."""

import dataclasses
import functools
import itertools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx
from helpers import devices

import signllm_jax.train as train
from signllm_jax import config
from signllm_jax.api import validation
from signllm_jax.core import clips, common_skeleton, errors, vocabulary
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import augmentation, corpus_info
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.evaluation import reading
from signllm_jax.evaluation.metrics import catalogue
from signllm_jax.evaluation.report import bootstrap, report
from signllm_jax.formats import skels
from signllm_jax.inference import beam_search, ctc_decoding, load
from signllm_jax.models import back_translation
from signllm_jax.runs import stored_config
from signllm_jax.tasks import pose_to_text, task

LETTERS = "abcd"
WORDS = ("dab", "cab", "add", "bad", "abba", "caca")
V, G, U = 9, 7, 6  # text tokens, gloss tokens, inputs of the decoder


def _experiment() -> config.Experiment:
  return config.Experiment(
    task="pose_to_text",
    steps=120,
    log_every=50,
    data=config.Data(
      batch_size=8, bucket=16, tokens="characters", glosses=True
    ),
    model=config.Model(
      encoder_layers=1,
      decoder_layers=1,
      width=32,
      heads=2,
      feed_forward=64,
      dropout=0.0,
    ),
    read=config.Read(subsample=2, beam=2, length_penalty=0.0),
    optim=config.Optim(learning_rate=1e-2, warmup_steps=10, clip_norm=1.0),
    evaluate=config.Evaluate(split="train", every=0, batch_size=8, clips=2),
    checkpoint=config.Checkpoint(every=100),
  )


@pytest.fixture(scope="module")
def model():
  return back_translation.PoseToText(_experiment(), V, G, nnx.Rngs(0))


def _batch(t: int = 12) -> dict[str, jax.Array]:
  random = np.random.default_rng(0)
  return {
    "frames": jnp.asarray(random.normal(size=(3, t, 150)), jnp.float32),
    "valid": jnp.asarray(random.random((3, t, 50)) > 0.2),
    "length": jnp.array([t, t - 3, 5]),
  }


@nnx.jit
def _logits(model, frames, valid, length, tokens):
  encoded = model.encode(frames, valid, length)
  gloss = model.gloss_logits(encoded)
  return encoded, gloss, model.decoder(tokens, model.project_memory(encoded))


TOKENS = jnp.array([[2, 4, 5, 6, 7, 8], [2, 4, 4, 4, 4, 4], [2, 8, 7, 6, 5, 4]])


def test_shapes_of_states_and_heads(model):
  batch = _batch()
  encoded, gloss, logits = _logits(model, *batch.values(), TOKENS)
  assert encoded.states.shape == (3, 6, 32)
  np.testing.assert_array_equal(encoded.length, [6, 5, 3])
  assert gloss.shape == (3, 6, G) and logits.shape == (3, U, V)


def test_padding_and_missing_joints_change_nothing(model):
  batch = _batch()
  encoded, gloss, logits = _logits(model, *batch.values(), TOKENS)
  garbage = jnp.full((3, 8, 150), 7.0)
  frames = jnp.concatenate([batch["frames"], garbage], 1)
  valid = jnp.concatenate([batch["valid"], jnp.ones((3, 8, 50), bool)], 1)
  past = jnp.arange(20) >= batch["length"][:, None]
  unseen = jnp.repeat(~valid, 3, -1)
  frames = jnp.where(past[..., None] | unseen, jnp.nan, frames)
  again, more, same = _logits(model, frames, valid, batch["length"], TOKENS)
  real = np.asarray(encoded.mask)
  for short, long in ((encoded.states, again.states), (gloss, more)):
    np.testing.assert_allclose(
      np.asarray(short)[real], np.asarray(long)[:, :6][real], atol=1e-5
    )
  np.testing.assert_allclose(logits, same, atol=1e-5)


def test_a_missing_joint_is_not_a_joint_at_the_mean(model):
  batch = _batch()
  batch["frames"] = batch["frames"].at[:, :, :3].set(0)
  shown = {**batch, "valid": batch["valid"].at[:, :, 0].set(True)}
  hidden = {**batch, "valid": batch["valid"].at[:, :, 0].set(False)}
  a, b = (
    _logits(model, *clip.values(), TOKENS)[0].states for clip in (shown, hidden)
  )
  assert np.abs(np.asarray(a - b)).max() > 1e-3


@nnx.jit
def _stepped(model, encoded, tokens):
  seen = model.project_memory(encoded)

  def step(cache, item):
    at, token = item
    logits, cache = model.decoder.step(token, at, cache, seen)
    return cache, logits

  start = model.decoder.empty_cache(len(tokens), U)
  return jax.lax.scan(step, start, (jnp.arange(U), tokens.T))[1].swapaxes(0, 1)


def test_cached_decoding_equals_full_pass(model):
  batch = _batch()
  encoded, _, logits = _logits(model, *batch.values(), TOKENS)
  stepped = _stepped(model, encoded, TOKENS)
  np.testing.assert_allclose(stepped, logits, atol=1e-5)


# ---- losses


def _ctc_by_hand(log_p: np.ndarray, labels: tuple[int, ...]) -> float:
  """Sum over all paths."""
  s, v = log_p.shape
  total = -np.inf
  for path in itertools.product(range(v), repeat=s):
    merged = [a for a, _ in itertools.groupby(path)]
    if tuple(a for a in merged if a != ctc_decoding.BLANK) == labels:
      total = np.logaddexp(total, log_p[range(s), path].sum())
  return float(total)


def _log_p(seed: int, *shape: int) -> np.ndarray:
  logits = 2 * np.random.default_rng(seed).normal(size=shape)
  return np.asarray(jax.nn.log_softmax(jnp.asarray(logits, jnp.float32)))


def test_ctc_loss_counts_all_paths_and_no_padding():
  log_p = _log_p(0, 2, 6, 3)
  labels = np.array([[1, 1, 0, 0], [2, 1, 2, 0]])
  steps = np.array([4, 5])
  found = optax.ctc_loss(
    jnp.asarray(log_p),
    jnp.arange(6) >= jnp.asarray(steps)[:, None],
    labels,
    labels == 0,
    blank_id=ctc_decoding.BLANK,
  )
  expected = [
    -_ctc_by_hand(row[:n], tuple(ids[ids > 0].tolist()))
    for row, n, ids in zip(log_p, steps, labels, strict=True)
  ]
  np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_a_label_needs_a_step_and_a_repeat_one_more():
  labels = jnp.array([[5, 5, 0], [5, 6, 0], [5, 6, 5]])
  fits = pose_to_text.ctc_fits(labels, jnp.array([2, 2, 2]))
  assert fits.tolist() == [False, True, False]


def test_loss_ignores_empty_rows_and_counts_clips_without_room(model):
  settings = _experiment()
  settings.read = config.Read(
    stretch=0,
    jitter=0,
    smooth=0,
    token_dropout=0,
    subsample=2,
    translation_weight=0.5,
    ctc_weight=2.0,
  )
  source = vocabulary.pad([np.array([4, 5, 3]), np.array([6, 3]), [3]], 4)
  gloss = vocabulary.pad([np.array([4, 5]), np.array([6, 6, 6]), []], 4)
  batch = _batch() | {"source": source, "gloss": gloss}
  batch["length"] = jnp.array([12, 6, 0])
  statistics = jnp.zeros(150), jnp.float32(1), jnp.ones(50, bool)
  context = task.LossContext(PoseStatistics(*statistics), None)

  @nnx.jit
  def loss(model, batch):
    denominator = pose_to_text.loss_denominator(settings, batch)
    return pose_to_text.loss(
      settings, model, batch, context, jax.random.key(0), denominator
    )

  cost, output = loss(model, batch)
  assert output.terms["ctc_too_short"] == 1
  spoilt = batch | {"source": source.copy()}
  spoilt["source"][2] = 5
  spoilt["frames"] = batch["frames"].at[2].set(9.0)
  again, _ = loss(model, spoilt)
  assert float(again) == float(cost)
  terms = {name: float(term) for name, term in output.terms.items()}
  joint = 0.5 * terms["translation"] + 2.0 * terms["ctc"]
  np.testing.assert_allclose(cost, joint, rtol=1e-6)
  uniform = np.log(V)
  assert 0.5 * uniform < float(output.terms["translation"]) < 2 * uniform


# ---- augmentation


def test_stretched_clips_keep_their_ends():
  batch = _batch()
  length = jnp.array([8, 5, 0])
  settings = config.Read(stretch=0.5, jitter=0, smooth=0)
  valid = jnp.ones_like(batch["valid"])
  poses, _, new = jax.jit(
    lambda key: augmentation.augment_clips(
      batch["frames"], valid, length, settings, key
    )
  )(jax.random.key(3))
  assert new[2] == 0
  for row in (0, 1):
    n = int(new[row])
    assert n <= 12 and n != length[row]
    np.testing.assert_allclose(poses[row, 0], batch["frames"][row, 0])
    last = batch["frames"][row, int(length[row]) - 1]
    np.testing.assert_allclose(poses[row, n - 1], last, atol=1e-5)


# ---- searches


def _table_step(table: jax.Array):
  """A decoder whose next token depends on the row and all tokens before."""

  def step(tokens, at, cache):
    state = cache * 7 + tokens + 1
    log_p = jax.nn.log_softmax(table[state % len(table)])
    return log_p, state

  return step


@functools.partial(jax.jit, static_argnames=("width", "limit"))
def _search(table, alpha, *, width, limit):
  cache = jnp.repeat(jnp.arange(4), width)
  return beam_search.search(
    _table_step(table), cache, rows=4, width=width, limit=limit, alpha=alpha
  )


def _all_texts(table, row, limit, alpha):
  """Score of every text, </s> included, by its definition."""
  letters = [i for i in range(table.shape[1]) if i not in (0, 2, 3)]
  for n in range(limit):
    for body in itertools.product(letters, repeat=n):
      tokens, state, last, total = (
        [*body, vocabulary.EOS],
        row,
        vocabulary.BOS,
        0.0,
      )
      for token in tokens:
        state = state * 7 + last + 1
        logits = table[state % len(table)]
        total += float(logits[token] - np.logaddexp.reduce(logits))
        last = token
      yield total / ((5 + len(tokens)) / 6) ** alpha, tokens


@pytest.mark.parametrize("alpha", [0.0, 1.5])
def test_wide_beam_finds_what_exhaustive_search_finds(alpha):
  table = np.random.default_rng(1).normal(size=(97, 6)) * 1.5
  limit = 4
  tokens, scores, _ = _search(table, alpha, width=64, limit=limit)
  for row in range(4):
    best, expected = max(_all_texts(table, row, limit, alpha))
    assert [int(i) for i in tokens[row] if i] == expected
    assert scores[row] == pytest.approx(best, abs=1e-4)


def test_beam_of_one_is_greedy_and_a_wider_one_is_no_worse():
  table = np.random.default_rng(2).normal(size=(97, 6))
  tokens, narrow, _ = _search(table, 0.0, width=1, limit=6)
  for row in range(4):
    state, last, expected = row, vocabulary.BOS, []
    while last != vocabulary.EOS:
      state = state * 7 + last + 1
      logits = table[state % len(table)].copy()
      logits[[vocabulary.PAD, vocabulary.BOS]] = -np.inf
      last = int(logits.argmax()) if len(expected) < 5 else vocabulary.EOS
      expected.append(last)
    assert [int(i) for i in tokens[row] if i] == expected
  wide = _search(table, 0.0, width=64, limit=6).score
  assert (np.asarray(wide) >= np.asarray(narrow) - 1e-5).all()


def test_length_penalty_makes_texts_longer():
  table = np.random.default_rng(3).normal(size=(97, 6))
  lengths = [
    int((_search(table, alpha, width=64, limit=6).tokens != 0).sum())
    for alpha in (0.0, 3.0)
  ]
  assert lengths[1] > lengths[0]


def test_prefix_search_finds_the_likeliest_labels():
  log_p = _log_p(5, 6, 5, 3)
  length = np.array([5, 5, 4, 3, 1, 5])
  found = jax.jit(
    lambda x, n: ctc_decoding.prefix_search(x, n, width=40, limit=5)
  )(log_p, length)
  for row, n in enumerate(length):
    best = max(
      (_ctc_by_hand(log_p[row, :n], labels), labels)
      for size in range(n + 1)
      for labels in itertools.product((1, 2), repeat=size)
    )
    assert tuple(int(i) for i in found.tokens[row] if i) == best[1]
    assert found.score[row] == pytest.approx(best[0], abs=1e-4)


# ---- a run


def _spelt(word: str, name: str) -> clips.Clip:
  """Four frames a letter, each a hand shape of its own."""
  rest = np.random.default_rng(0).normal(0, 0.2, (50, 3))
  rest[1], rest[2], rest[5] = 0, (-1 / 6, 0, 0), (1 / 6, 0, 0)
  shapes = np.random.default_rng(1).normal(0, 0.1, (len(LETTERS), 21, 3))
  frames = np.repeat(rest[None], 4 * len(word), 0)
  for i, letter in enumerate(word):
    frames[4 * i : 4 * i + 4, 29:] += shapes[LETTERS.index(letter)]
    frames[4 * i, 29:] = rest[29:]  # between letters the hand rests
  return clips.Clip(
    frames.astype(np.float32),
    np.ones((len(frames), 50), bool),
    name=name,
    text=word,
    gloss=" ".join(word.upper()),
  )


def _write(folder, split: str, listed) -> None:
  skels.write(folder / f"{split}.skels", listed)
  for suffix, field in (
    ("text", "text"),
    ("files", "name"),
    ("gloss", "gloss"),
  ):
    lines = "".join(f"{getattr(clip, field)}\n" for clip in listed)
    (folder / f"{split}.{suffix}").write_text(lines)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
  """A work directory of a reader that was overfitted to six words."""
  folder = tmp_path_factory.mktemp("spelt")
  _write(folder, "train", [_spelt(w, f"w{i}") for i, w in enumerate(WORDS)])
  experiment = _experiment()
  experiment.data.folder = str(folder)
  work = tmp_path_factory.mktemp("work")
  with devices.only(2):
    assert train.train(experiment, str(work), dry_run=False) == 0
  return work


def test_a_run_reads_its_training_words(trained):
  rows = json.loads((trained / "report.json").read_text())["rows"]
  assert list(rows) == ["read", "gloss", "other_clip"]
  assert rows["read"]["letter_error_rate"] == 0
  assert rows["gloss"]["wer"] == 0
  assert rows["other_clip"]["letter_error_rate"] > 30
  assert list(trained.glob("events*"))


@pytest.fixture(scope="module")
def loaded(trained):
  return load.load_reader(trained)


def test_a_reader_reads_any_number_of_clips_in_order(loaded):
  words = [*WORDS, *WORDS[1::-1], *WORDS]  # a full batch of 8, and a short one
  read = loaded.read([_spelt(word, word) for word in words])
  assert read is not None
  assert [each.text for each in read] == words
  assert [each.gloss for each in read] == [" ".join(w.upper()) for w in words]
  assert loaded.read([_spelt("dab", "x")], lambda: True) is None
  slow = dataclasses.replace(_spelt("dab", "x"), fps=12.5)
  with pytest.raises(errors.UsageError, match=r"12\.5 frames a second"):
    loaded.read([slow])


def test_a_reader_finds_the_true_text_likeliest(loaded):
  listed = [_spelt(word, word) for word in WORDS]
  scores = [loaded.likelihoods(listed, [w] * len(WORDS)) for w in WORDS]
  assert np.argmax(scores, 0).tolist() == list(range(len(WORDS)))
  true = loaded.likelihoods(listed, WORDS)
  # Alone and beside clips of other lengths.
  alone = [
    loaded.likelihoods([clip], [word])[0]
    for clip, word in zip(listed, WORDS, strict=True)
  ]
  np.testing.assert_allclose(true, alone, rtol=1e-3, atol=1e-5)
  np.testing.assert_allclose(true, np.diag(scores), rtol=1e-3, atol=1e-5)


def test_a_reader_does_not_sign(trained):
  with pytest.raises(errors.UsageError, match="a model that reads poses"):
    load.load_producer(trained)


def test_clips_without_gloss_are_refused_by_name(tmp_path):
  without = dataclasses.replace(_spelt("dab", "w7"), gloss="")
  with pytest.raises(errors.DataError, match=r"w7.*no gloss"):
    corpus_info.summarise([without], _experiment().data)


def test_columns_of_a_report_say_what_was_read(trained, loaded):
  true = [_spelt(word, word) for word in WORDS]
  rows = {"produced": true[::-1], "truth": true, "nearest_train": true}
  weights = bootstrap.resample(len(true), 20)
  length = [
    m for m in catalogue.pose_metrics(PROMPT2SIGN50) if m.key == "length_ratio"
  ]
  facts = {"protocol": "free"}
  poses = report.build(facts, length, true, rows, weights)
  settings = stored_config.from_json((trained / "config.json").read_text()).data
  judge = {"name": "judge", "checkpoint": {"step": 1, "digest": "f" * 64}}
  made = reading.add_columns(poses, loaded, settings, judge, weights)
  assert made.texts["truth"] == list(WORDS)
  assert made.texts["produced"] == list(WORDS[::-1])
  assert made.scores["truth"]["letter_error_rate"].value == 0
  assert made.scores["produced"]["letter_error_rate"].value > 50
  assert made.scores["truth"]["length_ratio"].value == 1
  assert [m.key for m in made.metrics][2:] == ["letter_error_rate", "wer"]
  assert made.scores["truth"]["recognised"].value == 100
  assert "read by ffffffffffff" in made.signatures()[1]
  values = report.to_json(made)
  assert values["back_translation"] == judge
  assert values["produced"][0]["read_of_truth"] == WORDS[0]
  assert values["produced"][0]["read_of_produced"] == WORDS[-1]


def test_metrics_go_with_the_tokens():
  assert reading.score_key("characters") == "letter_error_rate"
  assert [m.key for m in reading.metrics_of("words")][1:5] == [
    "bleu_1",
    "bleu_2",
    "bleu_3",
    "bleu_4",
  ]


def test_likelihood_and_encoder_distance_are_columns(trained, loaded):
  true = [_spelt(word, word) for word in WORDS]
  settings = stored_config.from_json((trained / "config.json").read_text()).data
  likelihood, distance = reading.reader_metrics(loaded, settings, "f" * 12)
  assert likelihood.score(true, true) > likelihood.score(true[::-1], true)
  assert distance.score(true, true) == pytest.approx(0, abs=1e-6)
  apart = reading.encoder_distance(loaded, true[::-1], true)
  assert apart[0] > 0.01 and apart.shape == (len(WORDS),)
  alone = reading.encoder_distance(loaded, true[-1:], true[:1])
  assert alone[0] == pytest.approx(apart[0], rel=1e-3)
  assert "read by ffffffffffff" in distance.signature("free", 3)


def test_a_reader_is_tried_as_a_metric(loaded):
  """On clips from the front, lifted as the reader needs them."""
  listed = [common_skeleton.to_front(_spelt(w, w)) for w in WORDS[:2]]
  lifted = validation._lifted(listed, loaded.info.fps)
  assert [c.skeleton for c in lifted] == [PROMPT2SIGN50] * 2
  assert lifted[0].fps == loaded.info.fps and lifted[0].text == WORDS[0]
  for measure in validation._of_reader(loaded):
    same = measure.distance(lifted, lifted)
    other = measure.distance(lifted[::-1], lifted)
    assert same.shape == (2,), measure.key
    # By a reader of few steps, so not for every clip on every processor.
    assert same.mean() < other.mean(), measure.key
