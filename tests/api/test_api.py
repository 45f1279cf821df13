"""The Python API on a small model: sign, save, read, score, train."""

import importlib
import json
import pathlib
import pickle
import re
import subprocess
import sys

import numpy as np
import pytest
from helpers import serving
from helpers.paths import ROOT

import signllm_jax as slp
from signllm_jax.core import errors
from signllm_jax.core.skeleton import PROMPT2SIGN50
from signllm_jax.inference import text_input

FORMS = (
  *(".gif", ".mp4", ".png", ".svg", ".npz"),
  *(".skels", ".pose", ".bvh", ".h5"),
)
CUT_OFF = "cut off at the frame limit"  # the model is trained for three steps


@pytest.fixture(scope="module")
def home(tmp_path_factory) -> pathlib.Path:
  return serving.make_home(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="module")
def signer(home) -> slp.Signer:
  return slp.load(home / "run")


@pytest.fixture(scope="module")
def clip(signer) -> slp.Clip:
  with pytest.warns(UserWarning, match=CUT_OFF):
    return signer("wind")


@pytest.fixture(scope="module")
def true(home) -> slp.Clips:
  return slp.read(home / "data", "train")


# Import


def test_import_takes_milliseconds_and_leaves_jax_alone():
  code = (
    "import sys, time\n"
    "began = time.perf_counter()\n"
    "import signllm_jax as slp\n"
    "print(time.perf_counter() - began)\n"
    "dir(slp), slp.__all__, slp.__version__\n"
    "heavy = {'jax', 'flax', 'numpy', 'tensorflow', 'matplotlib'}\n"
    "print(heavy & set(sys.modules))\n"
  )
  printed = subprocess.run(
    [sys.executable, "-c", code],
    check=True,
    capture_output=True,
    text=True,
    cwd=ROOT,
  ).stdout.splitlines()
  assert float(printed[0]) < 0.5  # 0.01 s where nothing else runs
  assert printed[1] == "set()"


def test_every_name_is_there():
  assert set(slp.__all__) <= set(dir(slp))
  for name in slp.__all__:
    assert callable(getattr(slp, name)), name
  assert re.fullmatch(r"\d+\.\d+\.\d+.*", slp.__version__)
  with pytest.raises(AttributeError, match="no attribute 'sing'"):
    getattr(slp, "sing")  # noqa: B009 (pyright knows that it is not there)
  assert (ROOT / "signllm_jax" / "py.typed").exists()


def test_functions_stay_callable_beside_the_commands_of_their_names():
  for name in ("train", "evaluate"):
    command = importlib.import_module(f"signllm_jax.{name}")
    assert callable(command.main)
    assert callable(getattr(slp, name))
  with pytest.raises(errors.UsageError, match="no configuration 'nothing'"):
    slp.train("nothing", "nowhere")


# Sign


def test_a_text_is_a_clip_and_a_list_is_a_list(signer, clip):
  assert isinstance(clip, slp.Clip)
  assert clip.frames.shape == (len(clip), PROMPT2SIGN50.num_joints, 3)
  assert clip.frames.dtype == np.float32
  assert clip.valid.shape == (len(clip), PROMPT2SIGN50.num_joints)
  assert (clip.fps, clip.text, clip.gloss) == (25, "wind", "")
  assert repr(clip) == f"Clip('wind': {len(clip)} frames, 0.60 s at 25 fps)"
  with pytest.warns(UserWarning, match=CUT_OFF):
    listed = signer(["wind", "sonne"])
  assert [made.text for made in listed] == ["wind", "sonne"]
  with pytest.warns(UserWarning, match=CUT_OFF):
    assert signer("wind") == clip  # bit for bit
  assert signer([]) == []


def test_streamed_frames_are_those_of_a_call(signer):
  with (
    pytest.warns(UserWarning, match=CUT_OFF),
    pytest.warns(UserWarning, match="in 2 parts"),
  ):
    whole = signer("wind regen")
  with pytest.warns(UserWarning, match="in 2 parts"):
    streamed = np.stack(list(signer.stream("wind regen")))
  assert streamed.tobytes() == whole.frames.tobytes()


def test_a_seed_without_effect_is_a_warning(signer, clip):
  with (
    pytest.warns(UserWarning, match=CUT_OFF),
    pytest.warns(UserWarning, match="the seed has no effect"),
  ):
    assert signer("wind", seed=1) == clip


def test_prompts_speed_and_modes(signer, clip):
  with pytest.warns(UserWarning, match=CUT_OFF):
    asked = signer("How do I sign 'wind' in DGS?", mode="prompt")
  assert asked == clip
  with pytest.warns(UserWarning, match=CUT_OFF):
    slow = signer("wind", speed=0.5, smooth=True, constant_bones=True)
  assert len(slow) == 2 * len(clip) - 1
  for refused, message in (
    ({"mode": "gloss"}, "mode 'gloss' of a model that reads a text"),
    ({"mode": "song"}, "mode 'song'; expected one of text, prompt, gloss"),
    ({"speed": 9}, "a speed of 9"),
    ({"samples": 4}, "--samples and --judge go together"),
    ({"language": "KSL"}, "--language=KSL: this model signs GSL"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      signer("wind", **refused)


def test_signer_says_what_it_is(home, signer):
  assert repr(signer) == f"Signer('{home / 'run'}': GSL, 25 fps)"
  assert signer.languages == ("GSL",)
  with pytest.raises(errors.UsageError, match="nowhere"):
    slp.load(home / "nowhere")
  code, batch = signer.prepare([text_input.TextInput("Wind")])
  assert (code, batch.parts) == ("GSL", [("wind",)])


# Save and show


@pytest.mark.parametrize("suffix", FORMS)
def test_a_clip_is_saved_in_every_form(clip, tmp_path, suffix):
  path = tmp_path / "new" / f"wind{suffix}"
  clip.save(path)
  assert path.stat().st_size > 100


def test_saved_clips_are_read_again(clip, true, tmp_path):
  slp.save(tmp_path / "all.npz", [clip, true[0]])
  assert list(slp.read(tmp_path / "all.npz")) == [clip, true[0]]
  slp.save(tmp_path / "twice.npz", [clip, clip])
  names = [each.name for each in slp.read(tmp_path / "twice.npz")]
  assert names == ["twice-001", "twice-002"]
  for suffix in (".bvh", ".pose"):
    clip.save(tmp_path / f"wind{suffix}")
    (read,) = slp.read(tmp_path / f"wind{suffix}")
    difference = np.abs(read.frames - clip.frames)[clip.valid]
    assert difference.max() < 0.05  # also scaled to shoulders 1/3 apart
  with pytest.raises(errors.UsageError, match=r"unknown suffix '\.mov'"):
    clip.save(tmp_path / "wind.mov")


def test_clips_stand_side_by_side(clip, true, tmp_path):
  slp.save(tmp_path / "pair.svg", {"produced": clip, "true": true[2]})
  text = (tmp_path / "pair.svg").read_text()
  assert "produced" in text and "true" in text
  with pytest.raises(errors.UsageError, match="no picture"):
    slp.save(tmp_path / "pair.npz", {"produced": clip})
  with pytest.raises(errors.UsageError, match="nothing to save"):
    slp.save(tmp_path / "none.npz", [])


def test_a_clip_moves_in_a_notebook_without_script_or_network(true):
  long = np.concatenate([clip.frames for clip in true] * 2)[:75]
  valid = np.ones(long.shape[:2], bool)
  valid[10:20, PROMPT2SIGN50.joint("nose")] = False
  valid[10:20, 4:8] = False
  shown = slp.Clip(long, valid, 25.0, text="<b>&")._repr_html_()
  assert len(shown) < 300_000
  assert "<script" not in shown and "<b>" not in shown
  assert re.findall(r"https?://[^\"]+", shown) == ["http://www.w3.org/2000/svg"]
  frames = [len(v.split(";")) for v in re.findall(r' values="([^"]+)"', shown)]
  assert set(frames) == {75}  # every path has all frames
  assert shown.count('dur="3.000s"') == len(frames)
  assert re.search(r'd="M\d+ \d+l', shown)  # the first frame, unanimated
  minute = slp.Clip(long.repeat(20, 0), valid.repeat(20, 0), 25.0)
  assert len(minute._repr_html_()) < 300_000
  broken = slp.Clip(np.full_like(long, np.nan), valid)
  assert "not drawn" in broken._repr_html_()
  nothing = slp.Clip(long[:0], valid[:0])
  assert "0 frames" in nothing._repr_html_()


def test_a_clip_is_compared_by_its_values(clip, true):
  assert clip == slp.Clip.of(clip)
  assert clip != true[0]
  assert clip != "wind"
  assert pickle.loads(pickle.dumps(clip)) == clip
  with pytest.raises(TypeError, match="cannot be hashed"):
    hash(clip)


# Read


def test_a_split_is_a_sequence(home, true):
  assert len(true) == len(serving.TEXTS)
  assert repr(true) == f"Clips(5 of {home / 'data'}, train)"
  assert [clip.text for clip in true[1:3]] == ["sonne", "wind"]
  assert true[-1] == list(true)[4]
  with pytest.raises(IndexError):
    _ = true[5]
  with pytest.raises(errors.UsageError, match=r"which split.*dev, train"):
    slp.read(home / "data")
  with pytest.raises(errors.DataError, match="no data for the split 'test'"):
    slp.read(home / "data", "test")
  with pytest.raises(errors.UsageError, match="split 'dev' of what has none"):
    slp.read(home / "data" / "dev.skels", "dev")
  assert (
    slp.read(home / "data" / "dev.skels")[0]
    == slp.read(home / "data", "dev")[0]
  )


def test_keypoints_are_refused_until_they_are_lifted(clip, tmp_path):
  clip.save(tmp_path / "wind.h5")
  with pytest.raises(errors.UsageError, match="keypoints in 2-D"):
    slp.read(tmp_path / "wind.h5")
  (lifted,) = slp.read(tmp_path / "wind.h5", lift=True)
  assert lifted.frames[..., 2].any() and len(lifted) == len(clip)


# Score


def test_scores_of_a_pair_and_of_lists(clip, true):
  pair = slp.score(clip, true[2])
  assert {"dtw_mje", "frechet", "length_ratio"} <= set(pair)
  assert pair["length_ratio"] == len(clip) / len(true[2])
  same = slp.score(true[2], true[2])
  assert same["dtw_mje"] == pytest.approx(0, abs=1e-6)
  listed = slp.score([clip, true[0]], true[1:3], resamples=50)
  value, low, high = listed["dtw_mje"]
  assert low <= value <= high
  for bad, message in (
    (([clip], true[:2]), "1 produced clips and 2 references"),
    ((clip, true[:1]), "a clip and a list"),
    (([], []), "no clips"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      slp.score(*bad)


# Experiments and runs


def test_experiment_sets_fields_by_name():
  made = slp.experiment("quickstart", steps=7, **{"model.width": 128})
  assert isinstance(made, slp.Experiment)
  assert (made.steps, made.model.width) == (7, 128)
  assert slp.experiment("quickstart", **{"model.dropout": 0}).model.dropout == 0
  for fields, message in (
    ({"model.widht": 1}, "no field 'model.widht'.*model.width"),
    ({"model": 1}, "no field 'model'"),
    ({"model.width": "wide"}, "model.width='wide'; expected a value of type"),
    ({"steps": True}, "steps=True; expected a value of type int"),
  ):
    with pytest.raises(errors.UsageError, match=message):
      slp.experiment("quickstart", **fields)
  with pytest.raises(errors.UsageError, match="no configuration 'nothing'"):
    slp.experiment("nothing")


def test_a_run_is_trained_evaluated_and_compared(home, tmp_path):
  config = slp.Run(str(home / "run"), {}).load().config
  before = config.steps
  run = slp.train(config, home / "run")  # goes on: all steps are done
  assert config.steps == before
  assert run.report["step"] == 3 and run.report["rows"]["produced"]
  assert "step 3, produced dev: dtw_mje" in repr(run)
  scored = slp.evaluate(run, "dev", resamples=20)
  assert scored.scores["truth"]["dtw_mje"].value == pytest.approx(0, abs=1e-6)
  assert repr(scored).startswith("Evaluation(signllm, step 3: 5 sequences")
  assert "mean pose (" in str(scored)
  (tmp_path / "scored").mkdir()
  scored.save(tmp_path / "scored")
  saved = json.loads((tmp_path / "scored" / "report.json").read_text())
  assert saved["sequences"] == 5
  same = slp.compare(scored, scored)
  assert same.differences["dtw_mje"].difference == 0
  assert "Comparison(DTW-MJE" in repr(same)


def test_what_cannot_be_trained_raises(tmp_path):
  config = slp.experiment("quickstart", **{"data.folder": str(tmp_path / "no")})
  with pytest.raises(errors.DataError, match="no"):
    slp.train(config, tmp_path / "run")
  assert not (tmp_path / "run").exists()
  with pytest.raises(errors.UsageError, match="unknown data set"):
    slp.build("nothing/at_all", tmp_path)
