"""No command needs a network or leaves temporary files: R28."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest
from helpers import small_runs
from helpers.paths import ROOT

# Runs a module as a command; any look-up or connection ends it with a trace.
GUARDED = """
import os, runpy, sys
def refuse(event, arguments):
  if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect"):
    print("NETWORK", event, arguments, file=sys.stderr)
    os._exit(99)
sys.addaudithook(refuse)
sys.argv = sys.argv[1:]
runpy.run_module(sys.argv[0], run_name="__main__", alter_sys=True)
"""
TINY = (
  "--config=configs/gsl.py",
  "--config.model.width=16",
  "--config.model.feed_forward=16",
  "--config.model.encoder_layers=1",
  "--config.model.decoder_layers=1",
  "--config.data.bucket=16",
  "--config.data.max_frames=32",
  "--config.steps=2",
)


def _offline(temporary: pathlib.Path, *words: str) -> str:
  """Runs a command in a network namespace without an interface."""
  temporary.mkdir(exist_ok=True)
  done = subprocess.run(
    ["unshare", "-rn", sys.executable, "-c", GUARDED, *words],
    cwd=ROOT,
    env=os.environ | {"TMPDIR": str(temporary), "JAX_PLATFORMS": "cpu"},
    capture_output=True,
    text=True,
    timeout=500,
  )
  assert done.returncode == 0, done.stderr
  assert "NETWORK" not in done.stderr
  assert os.listdir(temporary) == [], words
  return done.stdout


@pytest.fixture
def source(tmp_path):
  tried = ["unshare", "-rn", "true"]
  if not shutil.which("unshare") or subprocess.run(tried).returncode:
    pytest.skip("this machine lets no one leave its network: unshare -n")
  folder = tmp_path / "in"
  for split, numbers in (("train", range(8)), ("dev", range(8, 11))):
    listed = [small_runs.clip(i) for i in numbers]
    small_runs.write_folder(folder, listed, split)
  return folder


def _build(source, tmp_path, form: str) -> str:
  said = _offline(
    tmp_path / "tmp",
    "data_pipeline",
    "build",
    "--dataset=prompt2sign/gsl",
    f"--input={source}",
    f"--output={tmp_path / form}",
    f"--file_format={form}",
  )
  assert "Records: " in said
  return f"{tmp_path / form}/prompt2sign/gsl/1.0.0"


def test_records_are_built_without_a_network(source, tmp_path):
  """R28: also nothing is left in the folder of temporary files."""
  built = _build(source, tmp_path, "array_record")
  assert pathlib.Path(built, "dataset_info.json").exists()


@pytest.mark.slow
def test_a_model_is_made_and_used_without_a_network(source, tmp_path):
  """R28: from clips to records, a model, its scores and a film."""
  built, work = _build(source, tmp_path, "tfrecord"), tmp_path / "work"
  for words in (
    (
      "signllm_jax.train",
      *TINY,
      f"--config.data.folder={built}",
      f"--workdir={work}",
    ),
    ("signllm_jax.evaluate", f"--workdir={work}", "--split=dev"),
    (
      "signllm_jax.produce",
      f"--workdir={work}",
      "--text=a b c",
      f"--out={tmp_path / 'made.mp4'}",
    ),
  ):
    _offline(tmp_path / "tmp", *words)
  assert (tmp_path / "made.mp4").stat().st_size
  assert (work / "evaluation" / "dev" / "report.json").exists()
