"""Files of older versions are read, resumed and signed with as before.

`tests/fixtures/make_version_0_1.py` wrote `tests/fixtures/version_0_1` at
version 0.1.0, from invented motion and words. Where a test fails here, runs,
records or models of users can no longer be read.
"""

import hashlib
import json
import pathlib
import tarfile
from typing import Any

import jax
import numpy as np
import pytest
from helpers.paths import ROOT

import signllm_jax.train as train
from data_pipeline.building import verify
from signllm_jax import config
from signllm_jax.data import corpus_info, datasets
from signllm_jax.evaluation.report import study
from signllm_jax.inference import load
from signllm_jax.runs import checkpoint_manifest, restore, workdir

FIXTURES = ROOT / "tests" / "fixtures" / "version_0_1"
METHODS = {  # method -> the languages of its run
  "text_to_pose": ("GSL",),
  "mlsf": ("ASL", "GSL"),
  "text2langgloss": ("ASL", "GSL"),
  "text_to_gloss": ("ASL", "GSL"),
  "pose_to_text": ("GSL",),
}
SIGNING = ("text_to_pose", "mlsf", "text2langgloss")
RECORDS = {  # folder -> language
  "data/prompt2sign/asl/1.0.0": "ASL",
  "data/prompt2sign/gsl/1.0.0": "GSL",
  "arrays/prompt2sign/gsl/1.0.0": "GSL",
}
MODELS = ("text_to_pose.safetensors", "text2langgloss.safetensors")
RENAMED = {
  "method": "task",
  "data.clean": "data.clean_glosses",
  "rl.anchor": "rl.regression_weight",
}
REMOVED = (
  "data.prefetch",
  "optim.final_share",
  "optim.plateau_patience",
  "optim.plateau_factor",
  "optim.plateau_min",
  "optim.beta1",
  "evaluate.max_sequences",
)
TEXT = "mora velt"  # what is signed and glossed


# ---- what is known of a run, a model file and records; JSON all of it


def know_parameters(state: Any) -> str:
  """SHA-256 over name, type, shape and bytes of all that signing needs."""
  arrays = {}
  for root in ("params", "statistics"):
    tree = getattr(state, root)
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
      name = jax.tree_util.keystr(path, simple=True, separator="/")
      arrays[f"{root}/{name}".removesuffix("/value")] = np.asarray(leaf)
  sha = hashlib.sha256()
  for name, array in sorted(arrays.items()):
    sha.update(f"{name} {array.dtype} {array.shape}\n".encode())
    sha.update(array.tobytes())
  return sha.hexdigest()


def know_model(path: pathlib.Path) -> dict[str, Any]:
  """Of a work directory or a model file."""
  described = restore.describe(path)
  state = restore.restore(path).state
  return {
    "step": int(state.step),
    "digest": restore.identify(path)["digest"],
    "parameters": know_parameters(state),
    "config": config.flatten(described.config),
    "facts": json.loads(corpus_info.to_json(described.infos)),
  }


def know_records(folder: pathlib.Path, language: str) -> dict[str, Any]:
  """Of each split: its clips, and a SHA-256 over all that they hold."""
  known = {}
  settings = config.Data(folder=str(folder), language=language)
  for split in ("train", "dev"):
    opened, sha = datasets.open_clips(settings, split), hashlib.sha256()
    for clip in (opened[i] for i in range(len(opened))):
      said = [clip.name, clip.text, clip.gloss, clip.prompt, clip.fps]
      sha.update(json.dumps([*said, clip.frames.shape]).encode())
      sha.update(clip.frames.astype("<f4").tobytes())
      sha.update(clip.valid.astype(np.uint8).tobytes())
    known[split] = {"clips": len(opened), "sha256": sha.hexdigest()}
  return known


def sign(path: pathlib.Path, language: str) -> np.ndarray:
  """[T, 10, 3] of TEXT: every fifth joint."""
  made = load.load_producer(path, language).produce([TEXT])
  assert made is not None
  return made[0].frames[:, ::5]


def write(path: pathlib.Path, language: str) -> str:
  """The gloss of TEXT."""
  found, facts, mesh, state = restore.restore(path)
  model: Any = load.generator(found, facts, state, language, mesh)
  (gloss,) = model.write([TEXT])
  return gloss


def read(path: pathlib.Path, folder: pathlib.Path) -> list[str]:
  """Text and gloss of the first dev clip."""
  settings = config.Data(folder=str(folder), language="GSL")
  clip = datasets.open_clips(settings, "dev")[0]
  found = load.load_reader(path).read([clip])
  assert found is not None
  return [found[0].text, found[0].gloss]


# ---- tests


def unpack(target: pathlib.Path, *names: str) -> pathlib.Path:
  for name in names:
    with tarfile.open(FIXTURES / f"{name}.tar.xz") as archive:
      archive.extractall(target, filter="data")
  return target


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
  """Where `runs`, `data` and `arrays` lay when they were made."""
  return unpack(tmp_path_factory.mktemp("home"), "records", *METHODS)


@pytest.fixture(scope="module")
def known() -> dict[str, Any]:
  return json.loads((FIXTURES / "facts.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def signed():
  with np.load(FIXTURES / "frames.npz") as arrays:
    yield arrays


def check_model(path: pathlib.Path, known: dict[str, Any]) -> None:
  found = know_model(path)
  known = {**known, "config": rename(known["config"])}
  # Later versions may add fields, but keep the values of those there were.
  for kind in ("config", "facts"):
    assert _within(known[kind], found.pop(kind)), kind
  assert found == {name: known[name] for name in found}


def rename(fields: dict[str, Any]) -> dict[str, Any]:
  """Fields of version 0.1 under the names of today, without those that went."""
  return {RENAMED.get(k, k): v for k, v in fields.items() if k not in REMOVED}


def _within(old: Any, new: Any) -> bool:
  """Whether all that was there still is, with equal values."""
  if isinstance(old, dict) and isinstance(new, dict):
    return all(name in new and _within(old[name], new[name]) for name in old)
  return old == new and type(old) is type(new)


@pytest.mark.parametrize("method", METHODS)
def test_runs_are_restored(home, known, method):
  """R29."""
  path = home / "runs" / method
  check_model(path, known["runs"][method])
  assert workdir.read_config(path).task == method
  assert list(workdir.read_corpus_infos(path)) == list(METHODS[method])
  (step,) = (path / "checkpoints").iterdir()
  kept = checkpoint_manifest.read(step)
  checkpoint_manifest.verify(step, kept["leaves"])
  assert kept["digest"] == known["runs"][method]["digest"]


@pytest.mark.parametrize("name", MODELS)
def test_model_files_are_loaded(known, name):
  check_model(FIXTURES / name, known["models"][name])
  run = known["runs"][name.split(".")[0]]
  same = known["models"][name]["parameters"] == run["parameters"]
  assert same == (name == MODELS[0])  # the other is of float16


@pytest.mark.parametrize(
  ("method", "language"), [(m, code) for m in SIGNING for code in METHODS[m]]
)
def test_runs_sign_the_same(home, signed, method, language):
  found = sign(home / "runs" / method, language)
  expected = signed[f"{method}/{language}"]
  assert len(expected) > 1
  np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("name", MODELS)
def test_model_files_sign_the_same(signed, name):
  found = sign(FIXTURES / name, "GSL")
  np.testing.assert_allclose(found, signed[f"{name}/GSL"], atol=1e-4)


def test_glosses_and_readings_are_the_same(home, known):
  runs = home / "runs"
  assert known["written"] == {
    code: write(runs / "text_to_gloss", code) for code in ("ASL", "GSL")
  }
  folder = home / "data" / "prompt2sign" / "gsl" / "1.0.0"
  assert known["read"] == read(runs / "pose_to_text", folder)


@pytest.mark.parametrize("folder", RECORDS)
def test_records_are_read(home, known, folder):
  found = know_records(home / folder, RECORDS[folder])
  assert found == known["records"][folder]
  counts = [each["clips"] for each in found.values()]
  assert verify.verify(home / folder) == sum(counts) > 0


@pytest.mark.parametrize("method", METHODS)
def test_reports_are_read(home, known, method):
  path = home / "runs" / method
  found, step = workdir.read_report(path), known["runs"][method]["step"]
  assert found is not None and found["step"] == step and found["rows"]
  assert study.is_done(path, step)
  if method in SIGNING:
    (evaluated,) = study.read_run(path).history
    assert evaluated.step == step and evaluated.score > 0


def test_the_report_of_an_evaluation_is_read(home, known):
  """It has the words of a reader in it, too."""
  found = workdir.read_report(home / "runs/text_to_pose/evaluation/dev")
  assert found is not None
  run, judge = (known["runs"][m] for m in ("text_to_pose", "pose_to_text"))
  assert found["workdir"] == "runs/text_to_pose"
  assert found["checkpoint"] == {k: run[k] for k in ("step", "digest")}
  assert judge["digest"] in json.dumps(found)


@pytest.mark.parametrize(
  "method",
  [
    "text_to_pose",
    *(pytest.param(m, marks=pytest.mark.slow) for m in list(METHODS)[1:]),
  ],
)
def test_runs_go_on(tmp_path, monkeypatch, capsys, known, method):
  """R29: on another number of devices than they were begun on."""
  unpack(tmp_path, "records", method)
  monkeypatch.chdir(tmp_path)  # the folders of the data are relative
  path, step = f"runs/{method}", known["runs"][method]["step"]
  settings = workdir.read_config(path)
  settings.steps = step + 2
  assert train.train(settings, path, dry_run=False) == 0
  assert f"resuming at step {step}" in capsys.readouterr().out
  report = workdir.read_report(path)
  assert report is not None and report["step"] == step + 2
  assert [each["step"] for each in report["history"]] == [step, step + 2]
  assert restore.restore(path).state.step in (step, step + 2)  # the better
