"""Forms with a face: DWPose as JSON, npz and .skels, and Holistic as .pose."""

import json
import shutil

import numpy as np
import pytest
from absl import logging
from helpers.paths import DATA

from data_pipeline import convert
from data_pipeline.cli import parser
from data_pipeline.keypoints import find_clips
from signllm_jax import config
from signllm_jax.core import clips, errors
from signllm_jax.core.skeleton import DWPOSE128, HOLISTIC178, PROMPT2SIGN50
from signllm_jax.data import datasets, records
from signllm_jax.formats import (
  decimals,
  dwpose,
  dwpose_npz,
  dwpose_skels,
  frame_files,
  npz,
  pose,
  registry,
  skels,
  splits,
)
from signllm_jax.inference import clip_files

REAL = DATA / "prompt2sign_2025"
JSON = REAL / "dwpose" / "human_signer_480" / "json"
DGS = DATA / "dgs_sentences"
needs_clip = pytest.mark.skipif(not REAL.exists(), reason="no such real data")
needs_dgs = pytest.mark.skipif(not DGS.exists(), reason="no such real data")


@needs_clip
def test_the_real_clip_is_the_same_in_its_forms():
  seen = dwpose.read(JSON, skeleton=DWPOSE128)
  assert seen.frames.shape == (97, 128, 3)
  assert seen.valid[:, list(DWPOSE128.face)].mean() > 0.98
  (files,) = frame_files.find(REAL / "npz", dwpose_npz.NAMING)
  arrays = dwpose_npz.read(files, skeleton=DWPOSE128)
  line = (REAL / "skels" / "train.skels").read_bytes()
  rows = decimals.parse(line.strip()).reshape(-1, dwpose_skels.FRAME)
  text = dwpose_skels.to_keypoints(dwpose_skels.to_rows(rows), 25)
  for other in (arrays, text):
    np.testing.assert_allclose(other.frames, seen.frames, atol=1e-6)
    np.testing.assert_array_equal(other.valid, seen.valid)
  (clip,) = skels.read(REAL / "skels" / "train.skels")
  np.testing.assert_allclose(clip.frames, seen.as_clip().frames, atol=1e-6)
  # The 50 joints are read as before, with or without the face.
  old = dwpose.read(JSON)
  names = [DWPOSE128.joint(name) for name in PROMPT2SIGN50.joints]
  np.testing.assert_array_equal(seen.frames[:, names], old.frames)


@needs_clip
def test_skels_of_385_numbers_round_trip_byte_for_byte():
  line = (REAL / "skels" / "train.skels").read_bytes()
  values = decimals.parse(line.strip()).reshape(-1, dwpose_skels.FRAME)
  rows = dwpose_skels.to_rows(values)
  assert rows.shape == (97, 128, 3)
  assert dwpose_skels.to_line(rows) == line


def test_json_with_a_face_round_trips(tmp_path):
  rng = np.random.default_rng(0)
  frames = rng.uniform(0.1, 0.9, (3, 128, 3)).astype(np.float32)
  frames[:, :18, 2] = 1
  frames[1, 60:70] = 0
  made = clips.Keypoints(frames, name="a", skeleton=DWPOSE128)
  dwpose.write(tmp_path / "a", made)
  again = dwpose.read(tmp_path / "a", skeleton=DWPOSE128)
  np.testing.assert_allclose(again.frames, frames, atol=1e-7)
  rows = dwpose_skels.from_keypoints(made)
  text = dwpose_skels.to_keypoints(rows, 25.0)
  np.testing.assert_allclose(text.frames, frames, atol=1e-7)


@needs_clip
def test_the_face_goes_with_its_body_among_two_people():
  seen = dwpose.read(
    REAL / "dwpose" / "multiperson" / "json", skeleton=DWPOSE128
  )
  nose, face = DWPOSE128.joint("nose"), list(DWPOSE128.face)
  both = seen.valid[:, nose] & seen.valid[:, face].all(1)
  width = np.ptp(seen.frames[both][:, face, 0], axis=1)
  apart = np.abs(
    seen.frames[both][:, face, 0].mean(1) - seen.frames[both][:, nose, 0]
  )
  assert both.mean() > 0.5 and (apart < width).all()


def test_pickled_frames_are_refused_and_nothing_is_unpickled(tmp_path):
  for number in (1, 2):
    path = tmp_path / f"{number:08d}.npz"
    np.savez(path, num_persons=1, person_0=np.array({"a": 1}, object))
  (files,) = frame_files.find(tmp_path, dwpose_npz.NAMING)
  with pytest.raises(errors.DataError, match=r"pickled|bodies") as caught:
    dwpose_npz.read(files)
  assert "JSON" in str(caught.value) and "00000001.npz" in str(caught.value)
  (source,) = find_clips.find(tmp_path)
  assert source.kind == "dwpose_npz"


@needs_dgs
def test_holistic_has_its_points_by_name():
  path = DGS / "train_1_original.pose"
  seen = pose.read_keypoints(path, HOLISTIC178)
  assert seen.frames.shape == (70, 178, 3) and seen.depth.shape == (70, 178)
  old = pose.read_keypoints(path)
  for name in set(PROMPT2SIGN50.joints) & set(HOLISTIC178.joints):
    np.testing.assert_array_equal(
      seen.frames[:, HOLISTIC178.joint(name)],
      old.frames[:, PROMPT2SIGN50.joint(name)],
    )
  clip = clips.canonical(seen.as_clip())
  brows, mouth = (list(HOLISTIC178.feature(f)) for f in ("brows", "mouth"))
  y = clip.frames[..., 1]
  assert (y[:, brows].max(1) < y[:, mouth].min(1)).all()


def test_other_skeletons_are_refused_with_both_names(tmp_path):
  frames = np.full((2, 50, 3), 0.5, np.float32)
  dwpose.write(tmp_path / "a", clips.Keypoints(frames, name="a"))
  (source,) = find_clips.find(tmp_path, skeleton="holistic178")
  with pytest.raises(errors.DataError, match=r"holistic178[\s\S]*dwpose128"):
    source.read()


@needs_clip
def test_records_have_the_skeleton(tmp_path):
  source = tmp_path / "in"
  shutil.copytree(JSON, source / "human")
  (source / "clips.files").write_text("human\n")
  (source / "clips.text").write_text("human signer\n")
  options = ["--file_format=array_record", f"--output={tmp_path / 'data'}"]
  command = ["build", "--dataset=prompt2sign/asl", f"--input={source}"]
  assert parser.main([*command, "--skeleton=dwpose128", *options]) == 0
  folder = tmp_path / "data" / "prompt2sign" / "asl_dwpose128" / "1.0.0"
  assert records.skeleton_of_build(folder) is DWPOSE128
  assert parser.main(["verify", f"--input={folder}"]) == 0
  features = json.loads((folder / "features.json").read_text())
  shape = features["featuresDict"]["features"]["frames"]["tensor"]["shape"]
  assert shape["dimensions"] == ["-1", "256"]
  settings = config.Data(str(folder), "ASL", skeleton="dwpose128")
  clip = datasets.open_clips(settings, "train")[0]
  assert clip.frames.shape == (97, 128, 2)
  with pytest.raises(errors.DataError, match=r"dwpose128[\s\S]*prompt2sign50"):
    datasets.open_clips(config.Data(str(folder), "ASL"), "train")[0]


@needs_clip
def test_a_folder_of_skels_of_385_numbers_is_a_split():
  (clip,) = splits.read_split(REAL / "skels", "train")
  assert clip.skeleton is DWPOSE128 and clip.name == "human_signer_480"


@pytest.mark.parametrize("name", ["a.skels", "a"])
def test_produced_clips_with_a_face_are_written_and_read_again(tmp_path, name):
  rng = np.random.default_rng(1)
  frames = rng.uniform(-0.4, 0.4, (5, 128, 2)).astype(np.float32)
  valid = np.ones((5, 128), bool)
  valid[2, 40:70] = valid[1, 5:8] = False
  frames[~valid] = 0
  made = clips.Clip(frames, valid, 25.0, "a", "hello", skeleton=DWPOSE128)
  form = "" if "." in name else "dwpose"
  clip_files.save(tmp_path / name, [made], form=form)
  if form:
    keypoints = dwpose.read(tmp_path / name, skeleton=DWPOSE128)
    again = keypoints.as_clip()
  else:
    (again,) = skels.read(tmp_path / name)
  np.testing.assert_array_equal(again.valid, valid)
  expected = registry.to_picture(made).frames
  np.testing.assert_allclose(again.frames, expected, atol=1e-6)
  np.testing.assert_allclose(
    clips.canonical(again).frames[valid],
    clips.canonical(made).frames[valid],
    atol=1e-4,
  )


def test_convert_writes_skels_with_a_face(tmp_path):
  frames = np.random.default_rng(2).uniform(-0.4, 0.4, (4, 128, 2))
  made = clips.canonical(
    clips.Clip(
      frames.astype(np.float32),
      np.ones((4, 128), bool),
      25.0,
      "a",
      "b",
      skeleton=DWPOSE128,
    )
  )
  npz.write(tmp_path / "a.npz", [made])
  assert convert.convert(tmp_path / "a.npz", tmp_path / "b.skels") == 1
  (again,) = skels.read(tmp_path / "b.skels")
  np.testing.assert_allclose(
    again.frames, registry.to_picture(made).frames, atol=1e-5
  )


@pytest.fixture
def warnings(monkeypatch) -> list[str]:
  found = []
  monkeypatch.setattr(
    logging, "warning", lambda form, *a: found.append(form % a)
  )
  return found


def _skels_with_gaps(folder, lines: bytes = b"\n%s \n%s") -> None:
  clip = (REAL / "skels" / "train.skels").read_bytes()
  (folder / "train.skels").write_bytes(lines % (clip, clip))
  (folder / "train.text").write_text("one\ntwo\nthree\nfour\n")
  (folder / "train.files").write_text("a\nb\nc\nd\n")


@needs_clip
def test_an_empty_line_is_a_named_gap(tmp_path, warnings):
  _skels_with_gaps(tmp_path)
  found = list(splits.read_split(tmp_path, "train"))
  assert [(clip.name, clip.text) for clip in found] == [
    ("b", "two"),
    ("d", "four"),
  ]
  assert "a (line 1), c (line 3)" in warnings[-1]
  numbers = [n for n, _ in skels.read_numbered(tmp_path / "train.skels")]
  assert numbers == [2, 4]
  assert "2 clips are missing" in warnings[-1] and "line 3" in warnings[-1]


def test_empty_lines_of_the_other_form_stay_errors(tmp_path):
  path = tmp_path / "a.skels"
  path.write_bytes(b"\n\n")
  with pytest.raises(errors.DataError, match=r"a.skels:1: an empty line"):
    list(skels.read(path))
  frames = np.random.default_rng(0).uniform(0.1, 1, (3, 50, 3))
  made = clips.Clip(frames.astype(np.float32), np.ones((3, 50), bool))
  skels.write(tmp_path / "b.skels", [made])
  path.write_bytes(b"\n" + (tmp_path / "b.skels").read_bytes())
  with pytest.raises(errors.DataError, match=r"a.skels:1: an empty line"):
    list(skels.read(path))


@needs_clip
def test_a_build_takes_the_picture_and_leaves_gaps_out(tmp_path, capsys):
  source = tmp_path / "in"
  source.mkdir()
  _skels_with_gaps(source)
  options = [f"--output={tmp_path / 'data'}", "--file_format=array_record"]
  command = ["build", "--dataset=prompt2sign/asl", f"--input={source}"]
  command += ["--skeleton=dwpose128", "--size=480x270", *options]
  assert parser.main(command) == 0
  assert "a (line 1), c (line 3)" in capsys.readouterr().err
  folder = tmp_path / "data" / "prompt2sign" / "asl_dwpose128" / "1.0.0"
  settings = config.Data(str(folder), "ASL", skeleton="dwpose128")
  found = datasets.open_clips(settings, "train")
  assert sorted(found[i].name for i in range(len(found))) == ["b", "d"]
  seen = dwpose.read(JSON, size=(480, 270), skeleton=DWPOSE128)
  expected = clips.canonical(seen.as_clip())
  np.testing.assert_allclose(found[0].frames, expected.frames, atol=1e-5)
