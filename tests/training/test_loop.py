"""Whole runs on small folders: faults, resuming, and learning real signing."""

import gzip
import json
import os
import pathlib
import shutil
import signal
import struct
import time

import jax
import numpy as np
import pytest
from helpers import devices, events, small_runs
from helpers.paths import DATA

import signllm_jax.train as train
from configs import asl, gsl
from data_pipeline.building import build, build_plan
from signllm_jax import config
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.data import datasets, loader, records
from signllm_jax.evaluation import signing
from signllm_jax.formats import splits, tfrecord
from signllm_jax.inference import load
from signllm_jax.runs import checkpoint_manifest, restore, stored_config

needs_data = pytest.mark.skipif(
  not DATA.exists(), reason="../shared/data is not there"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
  path = tmp_path_factory.mktemp("skels")
  small_runs.write_folder(path, [small_runs.clip(i) for i in range(20)])
  small_runs.write_folder(
    path, [small_runs.clip(i) for i in range(20, 24)], "dev"
  )
  return path


def _experiment(folder, steps=12) -> config.Experiment:
  return config.Experiment(
    steps=steps,
    log_every=1,
    data=config.Data(folder=str(folder), batch_size=8, bucket=16),
    model=small_runs.model(dropout=0.1),
    # The table of rewards and the average must resume too (R6).
    plc=config.Priority(pool=2),
    optim=config.Optim(warmup_steps=5, ema=0.9),
    evaluate=config.Evaluate(every=5, batch_size=8, clips=1),
    checkpoint=config.Checkpoint(every=4),
  )


def _digest(workdir: pathlib.Path, step: int) -> str:
  return checkpoint_manifest.read(workdir / "checkpoints" / str(step))["digest"]


@pytest.fixture(scope="module")
def straight(folder, tmp_path_factory):
  """An undisturbed run of 12 steps."""
  path = tmp_path_factory.mktemp("straight")
  assert train.train(_experiment(folder), str(path), dry_run=False) == 0
  return path


def test_report_and_files_of_a_run(straight):
  report = json.loads((straight / "report.json").read_text())
  assert report["split"] == "dev" and report["sequences"] == 4
  rows = report["rows"]
  assert list(rows) == [
    "produced",
    "truth",
    "mean_pose",
    "frozen",
    "other_clip",
  ]
  assert rows["truth"]["dtw_mje"] == 0
  assert rows["truth"]["motion_share"] == 1 == rows["truth"]["length_ratio"]
  assert (
    rows["mean_pose"]["motion_share"] == 0 == rows["frozen"]["motion_share"]
  )
  assert rows["mean_pose"]["dtw_mje"] > 0
  assert set(report["seconds"]) >= {"data", "train"}
  assert list(straight.glob("events*"))
  stored = stored_config.from_json((straight / "config.json").read_text())
  assert stored.model.width == 32


@pytest.mark.slow
def test_muon_goes_on_bit_for_bit(folder, tmp_path):
  whole, part = tmp_path / "whole", tmp_path / "part"
  experiment = _experiment(folder, steps=3)
  experiment.plc = config.Priority()
  experiment.optim.kind = "muon"
  experiment.checkpoint = config.Checkpoint(every=1)
  with devices.only(1):
    assert train.train(experiment, str(whole), dry_run=False) == 0
    shutil.copytree(whole, part)
    for step in (2, 3):
      shutil.rmtree(part / "checkpoints" / str(step), ignore_errors=True)
    assert train.train(experiment, str(part), dry_run=False) == 0
    assert _digest(part, 3) == _digest(whole, 3)
    experiment.optim.kind = "adam"
    with pytest.raises(errors.UsageError, match=r"optim\.kind"):
      train.train(experiment, str(part), dry_run=False)


def test_the_average_is_evaluated_and_not_the_parameters(straight):
  """Scores of the report are those of the average alone."""
  restored = restore.restore(straight)
  state = restored.state
  assert state.ema is not None
  evaluation = signing.Evaluation(
    datasets.open_clips(restored.config.data, "dev"),
    restored.config,
    np.zeros(PROMPT2SIGN50.num_values),
  )

  def score(state) -> float:
    result = evaluation.run(
      load.build_producer(restored._replace(state=state), straight, ""),
      lambda: False,
    )
    assert result is not None
    return result[0]["produced"]["dtw_mje"]

  history = json.loads((straight / "report.json").read_text())["history"]
  (entry,) = [each for each in history if each["step"] == int(state.step)]
  averaged = score(state)
  assert averaged == score(state._replace(params=state.ema, ema=None))
  assert averaged != score(state._replace(ema=None))
  assert entry["score"] == pytest.approx(averaged, rel=1e-5)


@pytest.mark.slow
def test_profiled_steps_are_traced_and_change_nothing(
  folder, straight, tmp_path, capsys
):
  code = train.train(
    _experiment(folder), str(tmp_path), dry_run=False, profile="9:11"
  )
  assert code == 0
  assert _digest(tmp_path, 12) == _digest(straight, 12)
  profiles = tmp_path / "profile"
  assert f"profile of steps 9 to 10: {profiles}" in capsys.readouterr().out
  (trace,) = profiles.glob("plugins/profile/*/*.trace.json.gz")
  events = json.loads(gzip.decompress(trace.read_bytes()))["traceEvents"]
  steps = [e["args"]["step_num"] for e in events if e.get("name") == "train"]
  assert sorted(steps) == ["10", "9"]


@pytest.mark.parametrize(
  "asked", ["5", "5:5", "9:3", "-1:4", "1:2:3", "a:b", "9:13"]
)
def test_a_range_of_no_steps_is_refused(folder, tmp_path, asked):
  with pytest.raises(errors.UsageError, match=f"--profile={asked}.*START:STOP"):
    train.train(
      _experiment(folder), str(tmp_path / "run"), dry_run=False, profile=asked
    )
  assert not (tmp_path / "run").exists()


def test_rerun_is_bitwise_equal(folder, straight, tmp_path):
  """R7."""
  assert train.train(_experiment(folder), str(tmp_path), dry_run=False) == 0
  assert _digest(tmp_path, 12) == _digest(straight, 12)


@pytest.mark.parametrize(
  "stop_after",
  [
    pytest.param(3, marks=pytest.mark.slow),
    5,
    pytest.param(8, marks=pytest.mark.slow),
  ],
)
def test_stopped_and_resumed_equals_straight(
  folder, straight, tmp_path, stop_after
):
  """R6: mid-epoch, at an evaluation, and at a save."""
  # 20 clips in pools of 16 make an epoch of 2 to 4 steps.
  with _StopAt(stop_after):
    assert train.train(_experiment(folder), str(tmp_path), dry_run=False) == 42
  assert train.train(_experiment(folder), str(tmp_path), dry_run=False) == 0
  _check_same_run(tmp_path, straight)


@pytest.mark.parametrize(
  "evaluation",
  [
    pytest.param(1, marks=pytest.mark.slow),
    pytest.param(2, marks=pytest.mark.slow),
    3,
  ],
)
def test_stopped_inside_an_evaluation(folder, straight, tmp_path, evaluation):
  """R6: at steps 5, 10 and 12; the score is not lost."""
  step = (5, 10, 12)[evaluation - 1]
  with _StopInEvaluation(evaluation):
    assert train.train(_experiment(folder), str(tmp_path), dry_run=False) == 42
  saved = tmp_path / "checkpoints"
  assert checkpoint_manifest.read(saved / str(step))["score"] is None
  assert train.train(_experiment(folder), str(tmp_path), dry_run=False) == 0
  _check_same_run(tmp_path, straight)
  if (saved / str(step)).exists():  # not yet deleted as an old one
    score = checkpoint_manifest.read(saved / str(step))["score"]
    (entry,) = [e for e in _history(tmp_path) if e["step"] == step]
    assert score == np.float32(entry["score"])


def _norms(workdir: pathlib.Path, step: int) -> dict[str, float]:
  manifest = checkpoint_manifest.read(workdir / "checkpoints" / str(step))
  return manifest["gradient_norms"]


@pytest.mark.slow
def test_a_far_too_large_batch_is_named(folder, tmp_path, monkeypatch, capsys):
  """R17: by its step and samples; the history survives a resume."""
  stream = loader.stream

  def spoiled(batches, first, data):
    for step, batch in enumerate(stream(batches, first, data), first):
      if step in (12, 26):  # the first one is within the steps without a rule
        batch["frames"] = batch["frames"] * 1000
      yield batch

  monkeypatch.setattr(loader, "stream", spoiled)
  experiment = _experiment(folder, steps=30)
  experiment.evaluate.every, experiment.log_every = 30, 7
  experiment.checkpoint.keep = 4
  whole, part = tmp_path / "whole", tmp_path / "part"
  assert train.train(experiment, str(whole), dry_run=False) == 0
  straight = capsys.readouterr().out
  assert _norms(whole, 24)["spikes"] == 0 and _norms(whole, 30)["spikes"] == 1
  (line,) = [x for x in straight.splitlines() if "gradient norm" in x]
  assert "step 26: gradient norm " in line and "samples: " in line
  with _StopAt(23):
    assert train.train(experiment, str(part), dry_run=False) == 42
  assert "gradient norm" not in capsys.readouterr().out
  assert train.train(experiment, str(part), dry_run=False) == 0
  assert line in capsys.readouterr().out
  assert _norms(part, 30) == _norms(whole, 30)
  assert events.shown(part, "train/steps/spikes")[-1] == (30, 1)


def _history(workdir: pathlib.Path) -> list[dict[str, float]]:
  return json.loads((workdir / "report.json").read_text())["history"]


def _check_same_run(found: pathlib.Path, expected: pathlib.Path) -> None:
  """Losses, scores and the state, with its table, noise and average."""
  assert _digest(found, 12) == _digest(expected, 12)
  losses = events.shown(found, "train/loss")
  assert losses == events.shown(expected, "train/loss")
  assert [step for step, _ in losses] == list(range(1, 13))
  scores = [(entry["step"], entry["score"]) for entry in _history(found)]
  assert [step for step, _ in scores] == [5, 10, 12]
  assert scores == [(e["step"], e["score"]) for e in _history(expected)]


class _StopInEvaluation:
  """Sends SIGTERM to this process before a batch of the n-th evaluation."""

  def __init__(self, number: int):
    self.number = number

  def __enter__(self):
    self._run, seen = signing.Evaluation.run, []

    def run(evaluation, model, should_stop):
      seen.append(evaluation)

      def stops() -> bool:
        if len(seen) == self.number:
          os.kill(os.getpid(), signal.SIGTERM)
        return should_stop()

      return self._run(evaluation, model, stops)

    signing.Evaluation.run = run

  def __exit__(self, *_):
    signing.Evaluation.run = self._run


class _StopAt:
  """Sends SIGTERM to this process while the batch of a step is read."""

  def __init__(self, step: int):
    self.step = step

  def __enter__(self):
    self._read = loader.PoseBatches.__getitem__
    self._seen = set()

    def read(batches, index):
      if index == self.step and index not in self._seen:
        self._seen.add(index)
        os.kill(os.getpid(), signal.SIGTERM)
      return self._read(batches, index)

    loader.PoseBatches.__getitem__ = read

  def __exit__(self, *_):
    loader.PoseBatches.__getitem__ = self._read


def test_sigterm_saves_and_a_second_trainer_is_refused(folder, tmp_path):
  """R1 and R15, with real processes."""
  first = small_runs.start(folder, tmp_path)
  try:
    small_runs.wait_for_training(first)
    with small_runs.start(folder, tmp_path) as second:
      said, _ = second.communicate(timeout=120)
    assert second.returncode == 1
    assert f"process {first.pid} " in said and "Traceback" not in said
    first.send_signal(signal.SIGTERM)
    time.sleep(0.05)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=120)
  finally:
    first.kill()
    first.communicate()
  assert first.returncode == 42
  saved = sorted(int(p.name) for p in (tmp_path / "checkpoints").iterdir())
  assert saved and saved[-1] > 0
  newest = tmp_path / "checkpoints" / str(saved[-1])
  checkpoint_manifest.verify(newest, checkpoint_manifest.read(newest)["leaves"])


def test_another_configuration_is_refused(folder, straight):
  other = _experiment(folder)
  other.model.width = 64
  with pytest.raises(errors.UsageError, match=r"model\.width: 32 -> 64"):
    train.train(other, str(straight), dry_run=False)


def test_other_data_are_refused(straight, tmp_path):
  small_runs.write_folder(tmp_path, [small_runs.clip(i) for i in range(3)])
  with pytest.raises(errors.UsageError, match="not those this run"):
    train.train(_experiment(tmp_path), str(straight), dry_run=False)


def test_damaged_checkpoint_falls_back(folder, straight, tmp_path, capsys):
  """R11."""
  import shutil

  work = tmp_path / "copy"
  shutil.copytree(straight, work)
  newest = work / "checkpoints" / "12"
  victim = max(
    newest.rglob("*"), key=lambda p: p.is_file() and p.stat().st_size
  )
  content = bytearray(victim.read_bytes())
  content[len(content) // 2] ^= 1
  victim.write_bytes(content)
  assert train.train(_experiment(folder), str(work), dry_run=False) == 0
  assert "resuming at step 8" in capsys.readouterr().out
  assert _digest(work, 12) == _digest(straight, 12)
  assert len(list((work / "quarantine").iterdir())) == 1


def _bad_line(folder, text):
  lines = (folder / "train.skels").read_text().splitlines()
  lines[2] = text(lines[2])
  (folder / "train.skels").write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize(
  "spoil, message",
  [
    (
      lambda f: _bad_line(f, lambda line: line.rsplit(maxsplit=1)[0]),
      r"train\.skels:3",
    ),
    (
      lambda f: _bad_line(f, lambda x: x.replace(x.split()[7], "nan", 1)),
      r"train\.skels:3",
    ),
    (
      lambda f: (f / "train.text").write_text("a\nb\n"),
      r"train\.text",
    ),
    (lambda f: (f / "train.text").unlink(), r"train\.text"),
  ],
  ids=["150 numbers", "NaN", "missing line", "no text"],
)
def test_bad_input_names_file_and_line(tmp_path, spoil, message):
  small_runs.write_folder(
    tmp_path / "in", [small_runs.clip(i) for i in range(5)]
  )
  spoil(tmp_path / "in")
  with pytest.raises(errors.DataError, match=message):
    train.train(
      _experiment(tmp_path / "in"), str(tmp_path / "work"), dry_run=False
    )


def test_wrong_language_is_refused(folder, tmp_path):
  built = build.build_dataset(
    build_plan.make_plan("prompt2sign/gsl", str(tmp_path), input=str(folder))
  )
  experiment = _experiment(built)
  experiment.data.language = "TSL"
  with pytest.raises(errors.DataError, match=r"is in GSL; expected TSL"):
    train.train(experiment, str(tmp_path / "work"), dry_run=True)


def _write_records(path: pathlib.Path, listed: list[bytes]) -> None:
  with path.open("wb") as file:
    for record in listed:
      size = struct.pack("<Q", len(record))
      file.write(size + struct.pack("<I", tfrecord.masked_crc(size)))
      file.write(record + struct.pack("<I", tfrecord.masked_crc(record)))


def test_nan_in_a_record_ends_with_its_name(folder, tmp_path):
  """R16: exit 66, step and examples named, nothing applied."""
  built = build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl", str(tmp_path), input=str(folder), shards=1
    )
  )
  shard = next(built.glob("*train*"))
  listed = [bytes(r) for r in tfrecord.TFRecordFiles([str(shard)])]
  frames = _canonical_bytes(folder, 7)
  spoilt = frames[:40] + struct.pack("<f", float("nan")) + frames[44:]
  assert sum(frames in record for record in listed) == 1
  _write_records(shard, [r.replace(frames, spoilt) for r in listed])
  with pytest.raises(errors.SignLLMError, match="clip07") as caught:
    train.train(_experiment(built), str(tmp_path / "work"), dry_run=False)
  assert caught.value.exit_code in (65, 66)
  assert not list((tmp_path / "work" / "checkpoints").glob("[0-9]*"))


def _canonical_bytes(folder, number: int) -> bytes:
  found = list(splits.read_split(folder, "train"))[number]
  record = records.from_clip(clips.canonical(found), language="GSL")
  return record["frames"].tobytes()


def test_dry_run_prints_and_allocates_nothing(folder, tmp_path, capsys):
  work = tmp_path / "work"
  assert train.train(_experiment(folder), str(work), dry_run=True) == 0
  said = capsys.readouterr().out
  assert "parameters" in said and "P('fsdp', None)" in said
  assert '"width": 32' in said
  assert not work.exists()


def _overfit(experiment: config.Experiment, folder, workdir, steps) -> dict:
  experiment.data.folder = str(folder)
  experiment.steps = steps
  experiment.evaluate = config.Evaluate(split="train", every=0, clips=0)
  experiment.checkpoint.every = 100_000
  experiment.model.width, experiment.model.feed_forward = 128, 512
  experiment.model.dropout = 0.0
  experiment.optim.learning_rate = 2e-3
  assert train.train(experiment, str(workdir), dry_run=False) == 0
  return json.loads((workdir / "report.json").read_text())["rows"]["produced"]


@needs_data
@pytest.mark.slow
def test_overfits_five_real_sentences(tmp_path):
  produced = _overfit(
    gsl.get_config(), DATA / "phoenix14t_mini", tmp_path, steps=3000
  )
  assert produced["share_of_floor"] < 0.05
  assert produced["motion_share"] == pytest.approx(1, abs=0.1)
  assert produced["length_ratio"] == pytest.approx(1, abs=0.05)


@needs_data
@pytest.mark.slow
def test_overfits_three_lifted_clips(tmp_path):
  source = tmp_path / "clips"
  source.mkdir()
  mini = DATA / "how2sign_mini"
  for name, path in (
    ("train.skels", DATA / "golden/lift/clips.skels"),
    ("train.text", mini / "clips.text"),
    ("train.files", mini / "clips.files"),
  ):
    (source / name).write_bytes(path.read_bytes())
  produced = _overfit(asl.get_config(), source, tmp_path / "work", steps=3000)
  assert produced["share_of_floor"] < 0.05


def test_devices_are_simulated():
  assert jax.device_count() == 8
