"""The command that trains: its defaults, what it refuses, data without dev."""

import contextlib
import fcntl
import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest
from helpers.paths import ROOT

import signllm_jax.train as train
from data_pipeline.cli import parser
from signllm_jax import config, config_files, produce
from signllm_jax.core import clips, errors
from signllm_jax.data import build_commands
from signllm_jax.formats import skels
from signllm_jax.runs import checkpointer, restore, stored_config
from signllm_jax.training import studies

CODES = ("ASL", "GSL")


def _run(folder, *arguments) -> subprocess.CompletedProcess:
  return subprocess.run(
    [sys.executable, "-m", "signllm_jax.train", *arguments],
    cwd=folder,
    env={**os.environ, "PYTHONPATH": str(ROOT), "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
  )


def test_the_command_names_what_builds_its_data(tmp_path):
  run = _run(tmp_path, "--config=configs/asl.py")
  assert run.returncode == errors.DataError.exit_code
  assert run.stdout == "work directory: runs/asl (--workdir names another)\n"
  assert run.stderr == (
    "error: data/prompt2sign/asl/1.0.0: no data for the split 'train': nothing "
    "there; expected dataset_info.json of a built data set, or train.skels "
    "with train.text. Build the data, FOLDER being your copy of the corpus "
    "(docs/data.md):\n"
    "  python -m data_pipeline build --dataset=prompt2sign/asl --input=FOLDER "
    "--output=data\n"
  )
  assert not list(tmp_path.iterdir())
  run = _run(tmp_path)
  assert run.returncode == errors.UsageError.exit_code
  assert "neither --config nor --workdir is given" in run.stderr
  run = _run(tmp_path, "--config=signllm:gsl-7b")
  assert run.returncode == errors.UsageError.exit_code
  assert "Traceback" not in run.stderr and "gsl-7b" in run.stderr
  run = _run(tmp_path, "--config=asl", "--config.model.widht=64")
  assert run.returncode == errors.UsageError.exit_code
  assert run.stderr.startswith(
    "error: no field --config.model.widht; expected --config.model.width"
  )


def test_names_of_configurations(tmp_path):
  names = {
    "quickstart": "quickstart",
    "configs/asl.py": "asl",
    "signllm:gsl-1b": "signllm-gsl-1b",
    "/somewhere/else/läuft.py:a/../b c": "läuft-a-..-b-c",
    "..py": "run",
  }
  assert {name: config_files.short_name(name) for name in names} == names
  (tmp_path / "own.py").write_text("get_config = lambda: 3\n")
  with pytest.raises(errors.DataError, match="get_config returns int"):
    config_files.load(str(tmp_path / "own.py"))
  (tmp_path / "own.py").write_text("")
  with pytest.raises(errors.DataError, match="no function get_config"):
    config_files.load(str(tmp_path / "own.py"))
  with pytest.raises(errors.UsageError, match="one of ablation, asl"):
    config_files.load("no_such")


def test_commands_that_build_a_folder():
  command = "python -m data_pipeline build --dataset="
  assert build_commands.command("data/prompt2sign/lsf_ch/1.0.0") == (
    f"{command}prompt2sign/lsf_ch --input=FOLDER --output=data"
  )
  assert build_commands.command("/a/b/fingerspelling/asl/1.0.0") == (
    f"{command}fingerspelling/asl --output=/a/b"
  )
  for other in ("data", "a/b/c", "data/prompt2sign/asl_24fps/1.0.0"):
    assert build_commands.command(other) is None


def _clip(code: str, number: int) -> clips.Clip:
  """A skeleton that swings; enough to try the plumbing on."""
  t = np.arange(8 + number % 3)[:, None, None]
  random = np.random.default_rng(CODES.index(code))
  rest = random.normal(0, 0.2, (1, 50, 3))
  frames = rest + 0.05 * np.sin(t / 3 + rest + number)
  frames[:, 1] = 0
  frames[:, 2], frames[:, 5] = (-1 / 6, 0, 0), (1 / 6, 0, 0)
  word = "abcd"[number % 4] + "abcd"[number // 4]
  return clips.Clip(
    frames.astype(np.float32),
    np.ones((len(frames), 50), bool),
    name=f"{code}-{number}",
    text=word,
    gloss=word.upper(),
  )


def _write(folder: pathlib.Path, code: str, split: str, count: int) -> None:
  folder.mkdir(exist_ok=True)
  listed = [_clip(code, number) for number in range(count)]
  skels.write(folder / f"{split}.skels", listed)
  for kind, field in (("text", "text"), ("gloss", "gloss"), ("files", "name")):
    lines = "".join(f"{getattr(clip, field)}\n" for clip in listed)
    (folder / f"{split}.{kind}").write_text(lines)


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> pathlib.Path:
  """Two languages without a split dev."""
  root = tmp_path_factory.mktemp("no_dev")
  for code in CODES:
    _write(root / code, code, "train", 12)
  return root


def _experiment(task: str, *folders: pathlib.Path) -> config.Experiment:
  return config.Experiment(
    task=task,
    steps=3,
    data=config.Data(
      folder=",".join(map(str, folders)),
      language=",".join(CODES[: len(folders)]),
      tokens="characters" if len(folders) == 1 else "words+characters",
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
    optim=config.Optim(warmup_steps=1),
    evaluate=config.Evaluate(every=2, batch_size=8, clips=1),
    checkpoint=config.Checkpoint(every=2),
  )


def _check_unscored(work: pathlib.Path, codes) -> None:
  report = json.loads((work / "report.json").read_text())
  assert report.pop("seconds")["evaluate"] == 0
  assert report == {
    "split": None,
    "sequences": 0,
    "step": 3,
    "rows": {},
    "unscored": list(codes),
    "history": [],
  }
  with checkpointer.Checkpoints(work / "checkpoints", keep=2) as saved:
    assert saved.steps()[-1] == 3 and saved.scores == {}
  restore.restore(work)


@pytest.mark.slow
@pytest.mark.parametrize(
  "task",
  [
    "text_to_pose",
    "text_to_gloss",
    "mlsf",
    "text2langgloss",
    "pose_to_text",
  ],
)
def test_data_without_dev_are_trained_and_not_scored(
  folders, tmp_path, capsys, task
):
  count = 1 if task in ("text_to_pose", "pose_to_text") else 2
  experiment = _experiment(task, *(folders / code for code in CODES[:count]))
  work = tmp_path / "work"
  assert train.train(experiment, "", dry_run=True) == 0
  assert "NOT SCORED: there is no split 'dev' of ASL" in capsys.readouterr().out
  assert train.train(experiment, str(work), dry_run=False) == 0
  out = capsys.readouterr().out
  assert "NOT SCORED: there is no split 'dev' of ASL" in out
  assert "its latest checkpoint counts as its best" in out
  _check_unscored(work, CODES[:count])
  assert train.train(experiment, str(work), dry_run=False) == 0  # it is done
  _check_unscored(work, CODES[:count])
  if task == "text_to_pose":
    arguments = [f"--workdir={work}", "--text=ab", f"--out={tmp_path}/a.npz"]
    assert produce.main(arguments) == 0 and (tmp_path / "a.npz").exists()


@pytest.mark.slow
def test_languages_without_dev_beside_one_that_has_it(tmp_path, capsys):
  for code in CODES:
    _write(tmp_path / code, code, "train", 12)
  _write(tmp_path / "GSL", "GSL", "dev", 4)
  experiment = _experiment("mlsf", *(tmp_path / code for code in CODES))
  work = tmp_path / "work"
  assert train.train(experiment, str(work), dry_run=False) == 0
  out = capsys.readouterr().out
  assert f"no split 'dev' of ASL in {tmp_path / 'ASL'}" in out
  assert "are those of GSL alone" in out
  report = json.loads((work / "report.json").read_text())
  assert report["unscored"] == ["ASL"] and report["sequences"] == 4
  assert report["split"] == "dev" and report["rows"]["produced"]


def test_records_without_dev_and_records_with_clips_set_aside(
  folders, tmp_path, capsys
):
  for name, arguments in (("none", []), ("some", ["--dev=25%"])):
    assert not parser.main(
      [
        *("build", "--dataset=prompt2sign/asl", "--file_format=array_record"),
        *(f"--input={folders / 'ASL'}", f"--output={tmp_path / name}"),
        *arguments,
      ]
    )
    built = tmp_path / name / "prompt2sign" / "asl" / "1.0.0"
    experiment = _experiment("text_to_pose", built)
    capsys.readouterr()
    assert train.train(experiment, "", dry_run=True) == 0
    assert ("NOT SCORED" in capsys.readouterr().out) == (name == "none")


def test_a_split_that_is_asked_for_must_be_there(folders, tmp_path):
  experiment = _experiment("text_to_pose", folders / "ASL")
  experiment.evaluate.split = "test"
  for dry_run in (True, False):
    with pytest.raises(errors.DataError, match="no data for the split 'test'"):
      train.train(experiment, str(tmp_path / "work"), dry_run=dry_run)
  with pytest.raises(errors.DataError, match="A study compares scores"):
    base = _experiment("text_to_pose", folders / "ASL")
    plan = studies.Plan("efficiency", base, tmp_path / "study", 1, ["base"])
    studies.train_rows(plan)
  assert not list(tmp_path.iterdir())


def test_a_trained_run_is_where_another_begins(folders, tmp_path):
  experiment = _experiment("text_to_pose", folders / "ASL")
  first, second = tmp_path / "first", tmp_path / "second"
  assert train.train(experiment, str(first), dry_run=False) == 0
  (tmp_path / "own.py").write_text(
    "from signllm_jax.runs import stored_config\n"
    f"TEXT = {stored_config.to_json(experiment)!r}\n"
    "get_config = lambda: stored_config.from_json(TEXT)\n"
  )
  arguments = ["--config=own.py", f"--workdir={second}", "--dry-run"]
  run = _run(tmp_path, *arguments, f"--init={first}")
  assert run.returncode == 0, run.stderr
  assert f"initial     {first}, step 3: " in run.stdout
  assert "0 arrays fresh" in run.stdout
  run = _run(tmp_path, *arguments, f"--init={second}")
  assert run.returncode == errors.UsageError.exit_code
  assert run.stderr.startswith(f"error: {second}: not the work directory")
  assert not second.exists()


def _spoil_data(experiment, folder):
  experiment.data.folder = str(folder / "nowhere")


def _spoil_mesh(experiment, folder):
  experiment.mesh.data = 7


def _spoil_rows(experiment, folder):
  languages = experiment.data.folder
  experiment.task = "mlsf"
  experiment.data.folder = f"{languages},{languages}"
  experiment.data.language = "ASL,GSL"


def _spoil_config(experiment, folder):
  experiment.model.width = 17


def _spoil_seed(experiment, folder):
  (folder / "work").mkdir()
  (folder / "work" / "config.json").write_text(
    stored_config.to_json(experiment)
  )
  experiment.seed = 1


def _lock(experiment, folder):
  (folder / "work").mkdir()
  lock = (folder / "work" / "lock").open("a+")
  fcntl.flock(lock, fcntl.LOCK_EX)
  return lock


def _spoil_dev(experiment, folder):
  data = folder / "data"
  _write(data, "ASL", "train", 12)
  (data / "dev.text").write_text("a\n")
  experiment.data.folder = str(data)


@pytest.mark.parametrize(
  ("spoil", "kind", "message"),
  [
    (_spoil_data, errors.DataError, "no data for the split 'train'"),
    (_spoil_mesh, errors.UsageError, "mesh"),
    (_spoil_rows, errors.UsageError, "batch_size=8; expected a multiple of 16"),
    (_spoil_config, errors.UsageError, "width=17"),
    (_spoil_seed, errors.UsageError, "another configuration: seed"),
    (_lock, errors.UsageError, "trains in this work directory"),
    (_spoil_dev, errors.DataError, "no data for the split 'dev'"),
  ],
)
def test_a_refused_start_changes_nothing_and_a_dry_run_refuses_it_too(
  folders, tmp_path, spoil, kind, message
):
  experiment = _experiment("text_to_pose", folders / "ASL")
  held = spoil(experiment, tmp_path)
  before = {
    path: path.read_bytes() if path.is_file() else None
    for path in tmp_path.rglob("*")
  }
  with held or contextlib.nullcontext():
    for dry_run in (True, False):
      with pytest.raises(kind, match=message):
        train.train(experiment, str(tmp_path / "work"), dry_run=dry_run)
  after = {
    path: path.read_bytes() if path.is_file() else None
    for path in tmp_path.rglob("*")
  }
  assert after == before
