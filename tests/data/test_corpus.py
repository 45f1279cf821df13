"""The order of examples, and what is read from where."""

import dataclasses

import numpy as np
import pytest

from signllm_jax import config
from signllm_jax.core import clips, errors, vocabulary
from signllm_jax.data import corpus_info, datasets, loader, records
from signllm_jax.data.batch_plan import BatchPlan
from signllm_jax.data.pose_statistics import PoseStatistics
from signllm_jax.formats import skels, splits


class _Clips(list):
  pass


def _clip(name, length, words="a b", fps=25.0):
  random = np.random.default_rng(length)
  frames = random.random((length, 50, 3)).astype(np.float32)
  valid = np.ones((length, 50), bool)
  valid[:, 8:29] = False
  frames[~valid] = 0
  return clips.Clip(frames, valid, fps, name, words)


def _plan(n=103, batch=8, seed=0):
  lengths = np.random.default_rng(1).integers(5, 90, n).astype(np.int32)
  return BatchPlan(lengths, batch, bucket=32, seed=seed)


def test_every_example_once_an_epoch():
  plan = _plan()
  for epoch in range(3):
    start = epoch * plan.batches_per_epoch
    ids = np.concatenate(
      [plan[start + i][1] for i in range(plan.batches_per_epoch)]
    )
    np.testing.assert_array_equal(np.sort(ids), np.arange(103))


def test_order_is_a_function_of_seed_and_index():
  first, second = _plan(), _plan()
  # Read in another order: nothing may depend on what was read before.
  later = [first[i] for i in (40, 3, 17)]
  for (t, ids), index in zip(later, (40, 3, 17), strict=True):
    assert second[index][0] == t
    np.testing.assert_array_equal(second[index][1], ids)
  other = _plan(seed=1)
  assert any(not np.array_equal(first[i][1], other[i][1]) for i in range(10))
  epochs = [first[i][1].tolist() for i in range(first.batches_per_epoch)]
  later = [
    first[i + first.batches_per_epoch][1].tolist()
    for i in range(first.batches_per_epoch)
  ]
  assert epochs != later


def test_batches_hold_one_bucket():
  plan = _plan()
  for i in range(plan.batches_per_epoch):
    t, ids = plan[i]
    assert set(-(-plan.lengths[ids] // 32) * 32) == {t}
  cells = sum(8 * plan[i][0] for i in range(plan.batches_per_epoch))
  assert plan.padding == pytest.approx(1 - plan.lengths.sum() / cells)


def test_batch_marks_padding_and_missing():
  split = _Clips([_clip("x", 10), _clip("y", 20, "b c")])
  settings = config.Data(batch_size=4, bucket=32)
  summary = corpus_info.summarise(split, settings)
  plan = BatchPlan(summary.lengths, 4, 32, 0)
  batch = loader.PoseBatches(split, plan, summary.info, settings, 10)[0]
  assert batch["frames"].shape == (4, 32, 150)
  assert sorted(batch["length"].tolist()) == [0, 0, 10, 20]
  row = int(np.argmax(batch["length"] == 10))
  assert not batch["valid"][row, 10:].any()
  assert not batch["valid"][row, :10, 8:29].any()
  assert batch["valid"][row, :10, 29:].all()
  assert batch["source"][row, 2] == vocabulary.EOS


def test_statistics_count_true_cells_only():
  split = _Clips([_clip("x", 10), _clip("y", 20)])
  summary = corpus_info.summarise(split, config.Data())
  cells = np.concatenate([c.frames for c in split])
  mean = cells[:, 29:].mean(0).reshape(-1)
  np.testing.assert_allclose(summary.mean[87:], mean, rtol=1e-5)
  np.testing.assert_array_equal(summary.mean[24:87], 0)
  shown = np.concatenate([cells[:, :8], cells[:, 29:]], 1)
  assert summary.scale == pytest.approx(
    np.sqrt(((shown - shown.mean(0)) ** 2).mean()), rel=1e-4
  )
  assert summary.seen.sum() == 29


def test_languages_that_share_a_model_are_normalised_each_by_its_own():
  large = [_clip("x", 10, "b"), _clip("y", 20, "a")]
  small = [
    dataclasses.replace(clip, frames=0.1 * clip.frames + 1, gloss="A")
    for clip in large[:1]
  ]
  large = [dataclasses.replace(clip, gloss="B") for clip in large]
  joined = datasets.MultilingualClips([("ASL", large), ("GSL", small)])
  settings = config.Data(batch_size=4, bucket=32, glosses=True)
  summary = corpus_info.summarise(joined, settings)
  for at, split in enumerate((large, small)):
    own = corpus_info.summarise(split, settings)
    np.testing.assert_allclose(summary.mean[at], own.mean, rtol=1e-6)
    np.testing.assert_allclose(summary.scale[at], own.scale, rtol=1e-6)
    np.testing.assert_array_equal(summary.seen[at], own.seen)
  plan = BatchPlan(summary.lengths, 4, 32, 0)
  batch = loader.PoseBatches(joined, plan, summary.info, settings, 10)[0]
  rows = batch["example"][:3]
  assert sorted(rows.tolist()) == [0, 1, 2]
  np.testing.assert_array_equal(batch["language"], [*(rows == 2), 0])
  known = PoseStatistics(summary.mean, summary.scale, summary.seen)
  found = known.for_languages(batch["language"]).normalise(batch["frames"])
  for row, clip in enumerate(rows):
    at = int(clip == 2)
    expected = batch["frames"][row] - summary.mean[at]
    np.testing.assert_allclose(
      found[row], expected / summary.scale[at], rtol=1e-5, atol=1e-6
    )


def test_rows_of_another_process_are_not_read():
  class Watched(_Clips):
    def __getitem__(self, index):
      read.append(index)
      return super().__getitem__(index)

  read: list[int] = []
  listed = [dataclasses.replace(_clip(str(i), 8), gloss="A") for i in range(8)]
  settings = config.Data(batch_size=4, bucket=8, glosses=True)
  summary = corpus_info.summarise(_Clips(listed), settings)
  plan = BatchPlan(summary.lengths, 4, 8, 0)
  arguments = Watched(listed), plan, summary.info, settings, 10
  whole = loader.PoseBatches(*arguments)[1]
  read.clear()
  fed = np.array([False, True, True, False])
  part = loader.PoseBatches(*arguments, fed)[1]
  assert read == whole["example"][fed].tolist()
  np.testing.assert_array_equal(part["example"], whole["example"])
  for name in set(whole) - {"example"}:
    assert part[name].shape == whole[name].shape
    np.testing.assert_array_equal(part[name][fed], whole[name][fed])
  assert not part["length"][~fed].any()


def test_stream_resumes_exactly():
  split = _Clips([_clip(str(i), 5 + i) for i in range(20)])
  settings = config.Data(batch_size=4, bucket=8, threads=3)
  summary = corpus_info.summarise(split, settings)
  plan = BatchPlan(summary.lengths, 4, 8, 0)
  batches = loader.PoseBatches(split, plan, summary.info, settings, 30)
  straight = list(loader.stream(batches, 0, settings))
  resumed = list(loader.stream(batches, 11, settings))
  assert len(straight) == 30 and len(resumed) == 19
  for a, b in zip(straight[11:], resumed, strict=True):
    for name in a:
      np.testing.assert_array_equal(a[name], b[name])


def test_mixed_frame_rates_are_refused():
  split = _Clips([_clip("x", 10), _clip("y", 20, fps=30.0)])
  with pytest.raises(errors.DataError, match=r"25\.0, 30\.0"):
    corpus_info.summarise(split, config.Data(folder="somewhere"))


def test_missing_gloss_names_the_clip():
  with pytest.raises(errors.DataError, match="'x' has no gloss"):
    datasets.source_text(_clip("x", 3), config.Data(source="gloss"))


def test_no_data_says_what_was_expected(tmp_path):
  settings = config.Data(folder=str(tmp_path / "none"))
  with pytest.raises(errors.DataError, match=r"train\.skels"):
    datasets.open_clips(settings, "train")


def test_facts_survive_json():
  info = corpus_info.CorpusInfo(
    vocabulary.build_vocabulary(["ä b", "b"], "words"), 3, 9, 12.5
  )
  both = corpus_info.from_json(corpus_info.to_json({"GSL": info, "ASL": info}))
  assert list(both) == ["GSL", "ASL"]
  again = both["ASL"]
  assert again.vocabulary.entries == ("<pad>", "<unk>", "<s>", "</s>", "b", "ä")
  assert (again.longest_source, again.longest_clip, again.fps) == (3, 9, 12.5)
  with pytest.raises(errors.DataError):
    corpus_info.from_json('{"fps": 3}')


def test_prompts_are_a_source(tmp_path):
  clip = dataclasses.replace(_clip("x", 3), prompt="How do I sign 'x'?")
  settings = config.Data(source="prompt")
  assert datasets.source_text(clip, settings) == "How do I sign 'x'?"
  with pytest.raises(errors.DataError, match="'y' has no prompt"):
    datasets.source_text(_clip("y", 3), settings)
  asked = datasets.MultilingualClips(
    [("GSL", [dataclasses.replace(clip, gloss="X")])]
  )[0]
  assert asked.prompt == "<GSL> How do I sign 'x'?"
  assert asked.text == f"<GSL> {clip.text}"
  record = records.from_clip(clip, language="GSL")
  assert records.to_clip(record).prompt == clip.prompt

  skels.write(tmp_path / "dev.skels", [clip])
  (tmp_path / "dev.text").write_text("x\n")
  (tmp_path / "dev.prompt").write_text("Wie gebärdet man „x“?\n")
  (read,) = splits.read_split(tmp_path, "dev")
  assert read.prompt == "Wie gebärdet man „x“?"
