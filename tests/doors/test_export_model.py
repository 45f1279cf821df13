"""A model file signs what its checkpoint signs; programs sign it too."""

import json
import pathlib
import shutil
import struct

import jax
import jax.export
import numpy as np
import pytest
import safetensors.numpy as safetensors
import yaml
from helpers.serving import make_home

import signllm_jax as slp
import signllm_jax.evaluate as evaluate
from signllm_jax import export_model, produce
from signllm_jax.core import errors
from signllm_jax.formats import npz
from signllm_jax.inference import load
from signllm_jax.parallel import compilation_cache
from signllm_jax.runs import model_file, restore

TEXTS = ["wind", "norden"]


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
  home = make_home(tmp_path_factory.mktemp("home"))
  assert export(home / "run", home / "model.safetensors") == 0
  return home


def export(path, out, *arguments: str) -> int:
  return export_model.main([f"--workdir={path}", f"--out={out}", *arguments])


def test_file_signs_the_bits_of_the_checkpoint(home, tmp_path, monkeypatch):
  expected = load.load_producer(home / "run").produce(TEXTS)
  found = load.load_producer(home / "model.safetensors").produce(TEXTS)
  for a, b in zip(expected, found, strict=True):
    assert a.frames.tobytes() == b.frames.tobytes()
  tensors = safetensors.load_file(home / "model.safetensors")
  state = restore.restore(home / "run").state
  kernels = [tree["frame_out"]["kernel"] for tree in (state.params, state.ema)]
  params, average = (np.asarray(each[...]) for each in kernels)
  np.testing.assert_array_equal(tensors["params/frame_out/kernel"], average)
  assert not np.array_equal(params, average)
  monkeypatch.setattr(compilation_cache, "enable", lambda: None)
  arguments = [f"--model={home / 'model.safetensors'}", "--text=wind"]
  assert produce.main([*arguments, f"--out={tmp_path / 'a.npz'}"]) == 0
  (clip,) = npz.read(tmp_path / "a.npz")
  assert len(clip) == len(expected[0])


def test_files_are_small_and_the_same_each_time(home, tmp_path):
  file, again = home / "model.safetensors", tmp_path / "again.safetensors"
  assert export(file, again) == 0  # of a file, too
  assert again.read_bytes() == file.read_bytes()
  half = tmp_path / "half.safetensors"
  assert export(home / "run", half, "--dtype=float16") == 0
  tensors = safetensors.load_file(file)
  assert half.stat().st_size < 0.6 * file.stat().st_size
  assert sum(t.nbytes for t in tensors.values()) < file.stat().st_size
  (near,) = load.load_producer(half).produce(["wind"])
  (exact,) = load.load_producer(file).produce(["wind"])
  np.testing.assert_allclose(near.frames[0], exact.frames[0], atol=5e-3)
  assert restore.identify(file)["step"] == 3
  assert restore.identify(file) != restore.identify(half)


def test_a_folder_of_the_hub_signs_and_has_a_card(home, tmp_path, capsys):
  folder = tmp_path / "signs"
  assert export(home / "run", folder, "--hub") == 0
  assert "model.safetensors, config.json, README.md" in capsys.readouterr().out
  weights = (folder / "model.safetensors").read_bytes()
  assert weights == (home / "model.safetensors").read_bytes()
  about = json.loads((folder / "config.json").read_text())
  assert about["library_name"] == "signllm-jax"
  assert about["skeleton"] == "prompt2sign50" and about["step"] == 3
  card = (folder / "README.md").read_text()
  matter = yaml.safe_load(card.split("---")[1])
  assert matter["library_name"] == "signllm-jax"
  assert matter["language"] == ["de", "gsg"]
  report = json.loads((home / "run" / "report.json").read_text())
  for score in report["rows"]["produced"].values():
    assert f"| {score:.4g} |" in card
  assert "Terms: not stated beside the data" in card
  assert "not a checked translation" in card
  # Loading reads one file: nothing else of the folder matters, and none runs.
  (folder / "modeling_signllm.py").write_text("raise SystemExit(7)")
  (folder / "pytorch_model.bin").write_bytes(b"cposix\nsystem\n(S'false'\ntR.")
  (folder / "config.json").write_text("not JSON")
  assert restore.identify(folder) == restore.identify(
    home / "model.safetensors"
  )
  with pytest.warns(UserWarning, match="cut off"):  # trained for 3 steps
    signed = slp.load(folder)("wind")
    expected = slp.load(home / "model.safetensors")("wind")
  assert signed.frames.tobytes() == expected.frames.tobytes()
  assert export(home / "run", folder, "--hub") == 1  # it exists
  assert export(home / "run", tmp_path / "a.safetensors", "--hub") == 1
  again = tmp_path / "again"
  assert export(folder, again, "--hub") == 0  # of a folder, too
  assert "This run was never evaluated." in (again / "README.md").read_text()


@pytest.mark.slow
def test_a_card_has_the_scores_of_evaluate_with_signatures(home, tmp_path):
  run, folder = tmp_path / "run", tmp_path / "signs"
  shutil.copytree(home / "run", run)
  found = ["--workdir", str(run), "--resamples=10"]
  assert evaluate.main([*found, "--split=dev"]) == 0
  assert export(run, folder, "--hub") == 0
  card = (folder / "README.md").read_text()
  report = json.loads((run / "evaluation/dev/report.json").read_text())
  assert "Split dev, " in card and "step 3." in card
  for metric in report["metrics"]:
    assert metric["signature"].replace("|", "\\|") in card


def test_programs_sign_what_the_model_signs(home, tmp_path, capsys):
  out = tmp_path / "deployed"
  assert export(home / "run", out) == 0
  described = json.loads((out / "model.json").read_text())
  encode, step = (
    jax.export.deserialize((out / name).read_bytes())
    for name in ("encode.bin", "step.bin")
  )
  assert set(encode.platforms) == {"cpu", "cuda", "tpu"}
  ids = np.zeros((1, described["source_length"]), np.int32)
  listed = described["vocabulary"]
  tokens = [listed.index(letter) for letter in "norden"] + [3]
  ids[0, : len(tokens)] = tokens
  frames, valid, state = [], [], encode.call(ids)
  while len(frames) < described["limit"]:
    pose, shown, length, *state = step.call(*state)
    frames.append(np.asarray(pose)[0])
    valid.append(np.asarray(shown)[0])
    if length[0]:
      break
  (expected,) = load.load_producer(home / "run").produce(["norden"])
  assert described["fps"] == expected.fps
  np.testing.assert_allclose(np.stack(frames), expected.frames, atol=1e-6)
  np.testing.assert_array_equal(np.stack(valid), expected.valid)
  assert export(home / "run", out) == 1
  assert "exists already" in capsys.readouterr().err


def altered(path, target, change) -> pathlib.Path:
  """A copy with `change` made to its tensors and to what it says of itself."""
  tensors = safetensors.load_file(path)
  with model_file._open(path) as file:
    about = json.loads(file.metadata()["signllm_jax"])
  written = change(tensors, about)
  text = written if isinstance(written, str) else json.dumps(about)
  safetensors.save_file(tensors, target, {"signllm_jax": text})
  return target


def _set(name, value):
  def change(tensors, about):
    *parents, last = name.split(".")
    for parent in parents:
      about = about[parent]
    about[last] = value

  return change


def _nan(tensors, about):
  tensors["params/start"][0] = np.nan


def _whole(tensors, about):
  tensors["params/start"] = np.zeros(151, np.int32)


@pytest.mark.parametrize(
  ("change", "message"),
  [
    (_set("format", 2), "format 2"),
    (_set("step", "3"), "step '3'"),
    (
      lambda tensors, about: about.pop("facts") and None,
      "no metadata of a model",
    ),
    (lambda tensors, about: "[" * 9_000, "recursion"),
    (lambda tensors, about: "[]", "no metadata of a model"),
    (_set("config", []), "not a configuration"),
    (_set("facts", {"languages": {}}), r"languages \[\]"),
    (_set("config.model.width", 64), "not float32"),
    (_set("config.model.width", "64"), "width is '64'"),
    (_set("config.model.width", 10**30), "a model file of"),
    (
      _set("config.model.encoder_layers", 10**9),
      "model.encoder_layers is 1000000000",
    ),
    (_set("config.model.heads", 0), "model.heads=0"),
    (_set("config.task", "text2langgloss"), "vocabulary of glosses"),
    (_set("config.nothing", 1), "unknown configuration fields"),
    (lambda t, a: t.pop("params/start") is None, "missing or too many"),
    (lambda t, a: t.update(more=np.zeros(1)), "missing or too many"),
    (_nan, "params/start is not finite"),
    (_whole, "is I32"),
  ],
  ids=range(18),
)
def test_hostile_files(home, tmp_path, change, message):
  bad = altered(home / "model.safetensors", tmp_path / "a.safetensors", change)
  with pytest.raises(errors.DataError, match=message):
    restore.restore(bad)


def test_damaged_files(home, tmp_path, capsys):
  whole = (home / "model.safetensors").read_bytes()
  bad = tmp_path / "a.safetensors"
  for content in (
    b"",
    b"\x00" * 100,
    whole[:-1],
    whole[:200],
    struct.pack("<Q", 1 << 60) + whole[8:],
    b"PK\x03\x04" + whole,
  ):
    bad.write_bytes(content)
    with pytest.raises(errors.DataError, match="model file"):
      restore.restore(bad)
  arguments = ["--text=wind", f"--out={tmp_path / 'a.npz'}"]
  assert produce.main([f"--model={bad}", *arguments]) == 65
  missing = tmp_path / "no.safetensors"
  assert produce.main([f"--model={missing}", *arguments]) == 1
  assert "no such file" in capsys.readouterr().err


def test_wrong_requests(home, tmp_path, capsys):
  assert export(home / "run", tmp_path / "a.zip") == 1
  assert export(home / "run", tmp_path / "a", "--dtype=float16") == 1
  assert "without --dtype" in capsys.readouterr().err
  assert export(home / "run", tmp_path / "no" / "a.safetensors") == 74
