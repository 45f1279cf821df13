"""Whole runs in a bucket: trained, stopped, resumed, evaluated, signed."""

import json
import random
import signal
import threading
import time

import pytest
from helpers import devices, events, serving, small_runs
from helpers.bucket_server import bucket as bucket
from helpers.bucket_server import bucket_server as bucket_server

import signllm_jax.evaluate as evaluate
import signllm_jax.export_model as export_model
import signllm_jax.produce as produce
import signllm_jax.train as train
from data_pipeline.building import build, build_plan, verify
from signllm_jax import config
from signllm_jax.core import buckets, errors, paths
from signllm_jax.formats import npz
from signllm_jax.runs import checkpointer, restore, workdir
from signllm_jax.training import studies


@pytest.fixture(scope="module")
def built(tmp_path_factory):
  """Sixteen clips of train and four of dev, as records."""
  folder = tmp_path_factory.mktemp("built")
  for split, numbers in (("train", range(16)), ("dev", range(16, 20))):
    clips = [small_runs.clip(i) for i in numbers]
    small_runs.write_folder(folder / "clips", clips, split)
  return build.build_dataset(
    build_plan.make_plan(
      "prompt2sign/gsl",
      folder / "data",
      input=folder / "clips",
      file_format="array_record",
      shards=2,
    )
  )


def experiment(folder, steps) -> config.Experiment:
  return config.Experiment(
    steps=steps,
    log_every=1,
    data=config.Data(folder=str(folder), batch_size=8, bucket=16),
    model=small_runs.model(dropout=0.1),
    optim=config.Optim(warmup_steps=5, ema=0.9),
    evaluate=config.Evaluate(every=4, batch_size=8, clips=1),
    checkpoint=config.Checkpoint(every=2, keep=9),
  )


def digests(path) -> dict[int, str]:
  with checkpointer.Checkpoints(path, keep=None) as saved:
    return {step: saved.verify(step)["digest"] for step in saved.steps()}


def check_produced_in_the_bucket(bucket, arguments, local) -> None:
  """`--out=gs://...` has the bytes of the local file, and files beside it."""
  for name in ("clips/a.npz", "clips/a.skels"):
    out = f"--out={bucket.url}/{name}"
    assert produce.main([*arguments, out]) == 0
  (there,) = npz.read(paths.local_copy(f"{bucket.url}/clips/a.npz"))
  (here,) = npz.read(local)
  assert there.frames.tobytes() == here.frames.tobytes()
  names = [f"clips/a.{x}" for x in ("files", "npz", "skels", "text")]
  assert bucket.names("clips/") == names
  assert bucket.content("clips/a.text") == b"a b\n"


def count_downloads(monkeypatch) -> list[str]:
  """Names of the objects that are copied from now on."""
  copied, download = [], buckets.BucketPath.download

  def counted(path, target) -> None:
    copied.append(str(path))
    download(path, target)

  monkeypatch.setattr(buckets.BucketPath, "download", counted)
  return copied


def check_copied_once(copied: list[str]) -> None:
  """No object of a checkpoint is copied twice."""
  states = [name for name in copied if "/checkpoints/" in name]
  assert len(states) == len(set(states)) > 0, states


@pytest.mark.slow
def test_a_run_equals_that_on_the_disk(
  bucket, built, tmp_path, capsys, monkeypatch
):
  """R6: built data, work directory and model file in a bucket."""
  data, run = bucket.upload(built, "data"), f"{bucket.url}/run"
  assert verify.verify(data) == 20
  local, steps = tmp_path / "run", 8
  with devices.only(1):
    settings = experiment(built, steps)
    assert train.train(settings, str(local), dry_run=False) == 0
    # Stopped by SIGTERM after its first save, then resumed.
    sender = threading.Thread(target=_stop_after_a_save, args=(bucket,))
    sender.start()
    code = train.train(experiment(data, steps), run, dry_run=False)
    sender.join()
    if code == errors.EXIT_INTERRUPTED:
      code = train.train(experiment(data, steps), run, dry_run=False)
    assert code == 0
    expected = digests(local / "checkpoints")
    found = digests(f"{run}/checkpoints")
    assert found == found | expected and list(expected) == [2, 4, 6, 8]
    reports = [workdir.read_report(path) for path in (local, run)]
    assert reports[0] and reports[1]
    assert reports[0]["rows"] == reports[1]["rows"]
    folder = tmp_path / "tensorboard"
    folder.mkdir()
    for name in bucket.names("run/events"):
      (folder / name.split("/")[-1]).write_bytes(bucket.content(name))
    shown = [step for step, _ in events.shown(folder, "train/loss")]
    assert shown == [*range(1, steps + 1)]
    # What reads it.
    model = f"{bucket.url}/models/gsl.safetensors"
    export_model.export_model(run, model)
    for source in (run, model):
      out = tmp_path / f"{len(source)}.npz"
      arguments = [f"--workdir={source}", "--text=a b", f"--out={out}"]
      assert produce.main(arguments) == 0, capsys.readouterr().err
      assert out.stat().st_size
      check_produced_in_the_bucket(bucket, arguments[:2], out)
    copied = count_downloads(monkeypatch)
    arguments = [f"--workdir={run}", "--split=dev", "--resamples=10"]
    assert evaluate.main(arguments) == 0, capsys.readouterr().err
    check_copied_once(copied)
    started = str(tmp_path / "started")
    copied.clear()
    assert train.train(experiment(data, 2), started, False, init=run) == 0
    check_copied_once(copied)
  (name,) = bucket.names("run/evaluation/dev/report.json")
  assert json.loads(bucket.content(name))["split"] == "dev"


def _stop_after_a_save(bucket) -> None:
  deadline = time.monotonic() + 60
  while time.monotonic() < deadline:
    if bucket.names("run/checkpoints/2/manifest.json"):
      signal.raise_signal(signal.SIGTERM)
      return
    time.sleep(0.01)


FLAGS = (
  "--config.steps=40",
  "--config.checkpoint.every=5",
  "--config.checkpoint.keep=100",
  "--config.data.batch_size=8",
)


def finish(folder, work, *flags, **environment) -> int:
  with small_runs.start(folder, work, *flags, **environment) as process:
    process.communicate(timeout=500)
  return process.returncode


@pytest.mark.slow
def test_killed_again_and_again(bucket, built, tmp_path):
  """R4: SIGKILL at every crash point and SIGTERM at any time; R15."""
  data, run = bucket.upload(built, "data"), f"{bucket.url}/run"
  assert finish(built, tmp_path / "run", *FLAGS) == 0
  for number, point in enumerate(
    (
      "save_started",
      "arrays_committed",
      "manifest_half_written",
      "manifest_written",
      "object_uploaded",
      "objects_uploaded",
      "step_published",
    )
  ):
    crash = {"SIGNLLM_CRASH_AT": f"{point}:{1 + number % 2}"}
    assert finish(data, run, *FLAGS, **bucket.environment, **crash) == 137
  process = small_runs.start(data, run, *FLAGS, **bucket.environment)
  small_runs.wait_for_training(process)
  second = finish(data, run, *FLAGS, **bucket.environment)
  time.sleep(random.random())
  process.send_signal(signal.SIGTERM)
  process.communicate(timeout=300)
  # It may have ended already, or be ending.
  assert second == 1 and process.returncode in (0, 42, -signal.SIGTERM)
  assert finish(data, run, *FLAGS, **bucket.environment) == 0
  found = digests(f"{run}/checkpoints")
  assert found == found | digests(tmp_path / "run" / "checkpoints")
  assert list(found)[-1] == 40
  assert not paths.resolve(run, "quarantine").exists()


@pytest.mark.slow
def test_an_outage_of_a_minute(bucket, built, tmp_path):
  """R12: the training ends with 74, or goes on; its steps are those without."""
  data, run = bucket.upload(built, "data"), f"{bucket.url}/run"
  flags = ("--config.steps=400", "--config.checkpoint.every=20", *FLAGS[2:])
  assert finish(built, tmp_path / "run", *flags) == 0
  process = small_runs.start(data, run, *flags, **bucket.environment)
  small_runs.wait_for_training(process)
  bucket.outage = True
  began = time.monotonic()
  time.sleep(60)
  bucket.outage = False
  said, _ = process.communicate(timeout=300)
  print(f"{process.returncode} after {time.monotonic() - began:.0f} s", said)
  assert process.returncode in (0, 74)
  if process.returncode:
    assert f"{bucket.url}/" in said and "Traceback" not in said
  assert finish(data, run, *flags, **bucket.environment) == 0
  found = digests(f"{run}/checkpoints")
  assert found == found | digests(tmp_path / "run" / "checkpoints")
  assert list(found)[-1] == 400


@pytest.mark.slow
def test_served_and_started_from_a_bucket(bucket, tmp_path, capsys):
  """The page's API, `--init` and a study."""
  serving.make_home(tmp_path)
  url = f"{bucket.url}/trained"
  base = restore.describe(tmp_path / "run").config
  with devices.only(1):
    assert train.train(base, url, False) == 0
  answers = []
  for source in (tmp_path / "run", url):
    with serving.serving(source) as server:
      answers.append(server.post("/v1/sign", {"text": "Wind"})[2])
  frames = [json.loads(answer)["frames"] for answer in answers]
  assert frames[0] == frames[1]
  base.evaluate = config.Evaluate(every=3, batch_size=8, clips=1)
  with devices.only(1):
    for source in (tmp_path / "run", url):
      run = f"{bucket.url}/{len(str(source))}"
      assert train.train(base, run, False, init=str(source)) == 0
      answers.append(digests(f"{run}/checkpoints"))
    assert answers[2] == answers[3]
    assert "initial" in capsys.readouterr().out
    for folder in (tmp_path / "study", paths.resolve(bucket.url, "study")):
      plan = studies.Plan("components", base, folder, 1, ["base", "GN"])
      assert studies.train_rows(plan) == 0
      studies.write_report(plan, "dev", "")
      capsys.readouterr()
      assert studies.train_rows(plan) == 0  # which are done
      assert "== run" not in capsys.readouterr().out
  scores = [
    json.loads(content)["runs"]["base"][0]["scores"]
    for content in (
      (tmp_path / "study" / "study.json").read_bytes(),
      bucket.content("study/study.json"),
    )
  ]
  assert scores[0] == scores[1]
  assert {"study/study.md", "study/study.svg"} <= set(bucket.names("study/"))
